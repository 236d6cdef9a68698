// The published labels of VP-HMDB51 and VP-UCF101 are pickles: {"class/video.mp4": numpy array (1, 5) of
// int64}. A pickle is a program for a stack machine that may call anything; this one knows the opcodes of those
// two files (protocol 4), three names of numpy, and nothing else. It runs no code and loads no module.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace stp {

struct PickledLabels {
  struct Clip {
    std::string name;
    std::vector<std::int64_t> values;
  };
  std::vector<Clip> clips;  // in the order of the file
};

// `source` names the file in messages. Throws Error (usage) with file, byte and cure for any other opcode or
// name, a stack that does not hold what an opcode takes, an array that is not of one dimension and
// little-endian int64, arrays of different lengths, a key twice, and a file that ends too soon or goes on after
// its end.
PickledLabels read_pickled_labels(std::span<const std::byte> bytes, const std::string& source);

}  // namespace stp

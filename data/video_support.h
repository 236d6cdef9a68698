// What the FFmpeg libraries of this machine can do, for whoever asks before a long run.
#pragma once

#include <string>
#include <vector>

namespace stp {

struct VideoSupport {
  std::string libraries;              // names and versions
  std::vector<std::string> decoders;  // of the common codecs, those that are there
  std::vector<std::string> missing;   // and those that are not
  bool writes = false;                // VideoWriter's encoders are there, lossless too
};

VideoSupport video_support();

}  // namespace stp

// The header of a safetensors file (format: huggingface/safetensors, README): u64 length, a JSON object
//   {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
// padded with spaces, then the bytes of all tensors. Here are the pure functions between that text and a list
// of tensors; safetensors.h reads and writes the files. The text is hostile until it has passed through here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stp {

// Element types of the format. The packed types of less than a byte (F4, F6_*) are refused.
enum class StoredType {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};
std::string_view name(StoredType type);  // as the format spells it: "F32"
std::uint64_t bytes(StoredType type);    // of one element

// What a file may claim. The reference reader stops at 100 MB of header; 4096 tensors with the longest names
// need 2 MiB, and the rest is room for metadata, such as a digest for each tensor and a configuration.
inline constexpr std::uint64_t kMaxHeaderBytes = 16u << 20;
inline constexpr std::size_t kMaxTensors = 4096, kMaxRank = 8, kMaxNameBytes = 256;
inline constexpr std::size_t kMaxMetadata = 16384, kMaxMetadataKeyBytes = 512;

struct StoredTensor {
  std::string name = {};
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape = {};  // slowest first; empty: one element
  std::uint64_t begin = 0, end = 0;      // its bytes, counted from the first byte after the header

  std::uint64_t elements() const { return (end - begin) / bytes(type); }
};

using Metadata = std::map<std::string, std::string, std::less<>>;

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  // in the order of their bytes: contiguous from 0 to the end of the file
  Metadata metadata;
};

// Bytes of a tensor of this type and shape; nothing if they do not fit 64 bits or a dimension is negative.
std::optional<std::uint64_t> checked_bytes(StoredType type, std::span<const std::int64_t> shape);

// Checks everything and allocates in proportion to `text`, never to what it claims. `data_bytes` is what the
// file holds after the header; `source` names the file in errors. Throws Error (usage).
SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                           std::string_view source);

// The header text for tensors stored one after the other in the given order (begin and end are computed and
// set), metadata first, in the given order; padded so that the data starts at a multiple of 8. Throws Error
// (usage) for what the reader would refuse.
std::string format_safetensors_header(std::vector<StoredTensor>& tensors,
                                      std::span<const std::pair<std::string, std::string>> metadata);

}  // namespace stp

// Weights on disk: safetensors files, read without trust and written atomically.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/durable.h"
#include "engine/file.h"
#include "engine/safetensors_header.h"

namespace stp {

// An open file whose header has passed every check. Throws Error (usage) naming file, place and cause if it
// does not.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::vector<StoredTensor>& tensors() const { return header_.tensors; }  // in the order of their bytes
  const Metadata& metadata() const { return header_.metadata; }
  std::string_view header_text() const { return text_; }

  const StoredTensor* find(std::string_view name) const;  // null if there is none
  const StoredTensor& at(std::string_view name) const;    // throws Error (usage), naming the nearest ones

  // The bytes of a tensor of this file from its byte `from` on, little-endian.
  void read(const StoredTensor& tensor, std::span<std::byte> bytes, std::uint64_t from = 0) const;

  // The values of a tensor as float: F32 as stored; F16 and BF16, which fit exactly; F64 rounded to nearest.
  // Other types, and finite values that no float can hold, are refused. `values` must have the tensor's number
  // of elements.
  void read(const StoredTensor& tensor, std::span<float> values) const;
  std::vector<float> floats(std::string_view name) const;

 private:
  InputFile file_;
  std::string text_;
  SafetensorsHeader header_;
};

// Writes a file of the given tensors, their bytes in the given order; the same input gives the same file. It
// appears under its name at commit (engine/durable.h).
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                    std::span<const std::pair<std::string, std::string>> metadata = {});

  // The next bytes of the tensors, in pieces of any size.
  void append(std::span<const std::byte> bytes) { file_.append(bytes); }
  void append(std::span<const float> values) { file_.append(std::as_bytes(values)); }
  // Refused unless exactly the bytes of all tensors were appended. See DurableFile::commit.
  void commit(const std::string& keep_old_as = {});

 private:
  std::string shown_;
  std::uint64_t wanted_ = 0;
  DurableFile file_;
};

// Conversions of single elements, exact.
float float_from_f16(std::uint16_t bits);
float float_from_bf16(std::uint16_t bits);

}  // namespace stp

// Event files as TensorBoard reads them: TFRecord framing around hand-encoded protobuf (tensorflow's
// event.proto and summary.proto), scalars only.
//   record = length (u64), masked CRC-32C of it, bytes, masked CRC-32C of them; all little-endian
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace stp {

// CRC-32C (Castagnoli), as RFC 3720 has it: "123456789" -> 0xe3069283.
std::uint32_t crc32c(std::string_view bytes);

// The content of one file, record by record. It holds no clock: an event's time is its step, so that the same
// run gives the same bytes.
class EventRecords {
 public:
  EventRecords();  // begins with the version that readers ask for

  void scalar(std::string_view tag, std::int64_t step, double value);
  const std::string& bytes() const { return bytes_; }

 private:
  void append(std::string_view event);

  std::string bytes_;
};

}  // namespace stp

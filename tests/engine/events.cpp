// Event files byte by byte; tests/report/events.py has TensorBoard itself read a run's.
#include "engine/events.h"

#include <doctest/doctest.h>

#include <string>

namespace stp {
namespace {

TEST_CASE("events: CRC-32C of known texts") {
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c("") == 0);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);    // RFC 3720, B.4
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);  // RFC 3720, B.4
}

std::uint64_t number_at(const std::string& bytes, std::size_t at, int count) {
  std::uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

TEST_CASE("events: a record is length, check, bytes, check") {
  EventRecords records;
  const std::size_t first = records.bytes().size();
  records.scalar("loss", 300, 0.5);
  const std::string bytes = records.bytes().substr(first);
  const std::size_t length = number_at(bytes, 0, 8);
  REQUIRE(bytes.size() == 8 + 4 + length + 4);
  const auto masked = [](std::uint32_t crc) {
    return static_cast<std::uint32_t>((crc >> 15 | crc << 17) + 0xa282ead8u);
  };
  CHECK(number_at(bytes, 8, 4) == masked(crc32c(bytes.substr(0, 8))));
  CHECK(number_at(bytes, 12 + length, 4) == masked(crc32c(bytes.substr(12, length))));
  const std::string event = bytes.substr(12, length);
  // wall_time (double, field 1) = 300; step (varint, field 2) = 300; summary (field 5) { value { tag,
  // simple_value } }
  const std::string wanted = std::string("\x09\x00\x00\x00\x00\x00\xc0\x72\x40", 9) + "\x10\xac\x02" +
                             "\x2a\x0d" + "\x0a\x0b" + "\x0a\x04loss" + std::string("\x15\x00\x00\x00\x3f", 5);
  CHECK(event == wanted);
}

}  // namespace
}  // namespace stp

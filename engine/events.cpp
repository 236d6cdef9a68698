#include "engine/events.h"

#include <array>
#include <bit>

namespace stp {

namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  constexpr std::uint32_t kReversedPolynomial = 0x82f63b78;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kReversedPolynomial : 0);
    table[i] = crc;
  }
  return table;
}

// TFRecord stores CRCs rotated and shifted, since a CRC over data that holds CRCs says little.
std::uint32_t masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xa282ead8; }

template <class T>
std::string little_endian(T value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

// Protobuf: a field is its number and wire type, then a varint, 4 or 8 bytes, or a length and as many bytes.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string key(unsigned field, unsigned wire_type) { return varint(field << 3 | wire_type); }
std::string integer(unsigned field, std::uint64_t value) { return key(field, 0) + varint(value); }
std::string real(unsigned field, double value) {
  return key(field, 1) + little_endian(std::bit_cast<std::uint64_t>(value));
}
std::string real(unsigned field, float value) {
  return key(field, 5) + little_endian(std::bit_cast<std::uint32_t>(value));
}
std::string text(unsigned field, std::string_view bytes) {
  return key(field, 2) + varint(bytes.size()) + std::string(bytes);
}

// Field numbers of event.proto and summary.proto.
constexpr unsigned kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;
constexpr unsigned kSummaryValue = 1, kTag = 1, kSimpleValue = 2;

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = crc_table();
  std::uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

EventRecords::EventRecords() { append(real(kWallTime, 0.0) + text(kFileVersion, "brain.Event:2")); }

void EventRecords::scalar(std::string_view tag, std::int64_t step, double value) {
  const std::string summary =
      text(kSummaryValue, text(kTag, tag) + real(kSimpleValue, static_cast<float>(value)));
  append(real(kWallTime, static_cast<double>(step)) + integer(kStep, static_cast<std::uint64_t>(step)) +
         text(kSummary, summary));
}

void EventRecords::append(std::string_view event) {
  const std::string length = little_endian(static_cast<std::uint64_t>(event.size()));
  bytes_ += length + little_endian(masked(crc32c(length)));
  bytes_ += event;
  bytes_ += little_endian(masked(crc32c(event)));
}

}  // namespace stp

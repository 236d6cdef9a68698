#include "engine/digest.h"

#include <fmt/format.h>

#include <algorithm>

namespace stp {
namespace {

template <class Word>
std::uint64_t load(const std::byte* bytes) {
  Word word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace

void Digest::stripe(const std::byte* bytes) {
  for (std::size_t i = 0; i < 4; ++i) lanes_[i] = round(lanes_[i], load<std::uint64_t>(bytes + 8 * i));
}

void Digest::add(std::span<const std::byte> bytes) {
  const std::size_t held = size_ % 32;
  size_ += bytes.size();
  if (held > 0) {
    const std::size_t taken = std::min(bytes.size(), 32 - held);
    std::copy_n(bytes.begin(), taken, rest_.begin() + static_cast<std::ptrdiff_t>(held));
    bytes = bytes.subspan(taken);
    if (held + taken < 32) return;
    stripe(rest_.data());
  }
  for (; bytes.size() >= 32; bytes = bytes.subspan(32)) stripe(bytes.data());
  std::copy(bytes.begin(), bytes.end(), rest_.begin());
}

std::uint64_t Digest::value() const {
  std::uint64_t h = kPrime5;
  if (size_ >= 32) {
    h = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) h = (h ^ round(0, lane)) * kPrime1 + kPrime4;
  }
  h += size_;

  // What did not fill a stripe: by 8, by 4, by 1.
  std::span<const std::byte> rest(rest_.data(), size_ % 32);
  for (; rest.size() >= 8; rest = rest.subspan(8))
    h = std::rotl(h ^ round(0, load<std::uint64_t>(rest.data())), 27) * kPrime1 + kPrime4;
  for (; rest.size() >= 4; rest = rest.subspan(4))
    h = std::rotl(h ^ load<std::uint32_t>(rest.data()) * kPrime1, 23) * kPrime2 + kPrime3;
  for (const std::byte byte : rest)
    h = std::rotl(h ^ std::to_integer<std::uint64_t>(byte) * kPrime5, 11) * kPrime1;

  h = (h ^ (h >> 33)) * kPrime2;
  h = (h ^ (h >> 29)) * kPrime3;
  return h ^ (h >> 32);
}

std::uint64_t digest(std::span<const std::byte> bytes) {
  Digest whole;
  whole.add(bytes);
  return whole.value();
}

std::string hexadecimal(std::uint64_t value) { return fmt::format("{:016x}", value); }

}  // namespace stp

// XXH64, the 64-bit hash of Y. Collet's xxHash specification (doc/xxhash_spec.md of the xxHash project),
// written from its text. It finds damage (a flipped bit, a cut, a swapped block) and mixes at memory speed; it
// does not stand against someone who wants a collision.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace stp {

static_assert(std::endian::native == std::endian::little, "files hold little-endian numbers, read as they are");

// The digest of everything added so far. A value: copy it to go on from the same place.
class Digest {
 public:
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  std::uint64_t value() const;

 private:
  void stripe(const std::byte* bytes);  // 32 bytes

  std::array<std::uint64_t, 4> lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
  std::array<std::byte, 32> rest_{};  // the bytes after the last whole stripe
  std::uint64_t size_ = 0;

  static constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87u, kPrime2 = 0xC2B2AE3D27D4EB4Fu,
                                 kPrime3 = 0x165667B19E3779F9u, kPrime4 = 0x85EBCA77C2B2AE63u,
                                 kPrime5 = 0x27D4EB2F165667C5u;
  static std::uint64_t round(std::uint64_t lane, std::uint64_t input) {
    return std::rotl(lane + input * kPrime2, 31) * kPrime1;
  }
};

std::uint64_t digest(std::span<const std::byte> bytes);

// 16 lower-case hexadecimal digits.
std::string hexadecimal(std::uint64_t value);

}  // namespace stp

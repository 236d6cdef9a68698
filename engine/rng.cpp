#include "engine/rng.h"

#include <cmath>
#include <numbers>

namespace stp {

std::uint64_t stream_id(std::string_view name, std::initializer_list<std::uint64_t> coordinates) {
  // FNV-1a over the bytes of name and coordinates, finished with splitmix64's mixer.
  std::uint64_t h = 0xcbf29ce484222325u;
  auto eat = [&h](std::uint8_t byte) { h = (h ^ byte) * 0x100000001b3u; };
  for (char c : name) eat(static_cast<std::uint8_t>(c));
  for (std::uint64_t value : coordinates)
    for (int shift = 0; shift < 64; shift += 8) eat(static_cast<std::uint8_t>(value >> shift));
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  return h ^ (h >> 31);
}

std::uint32_t Random::bits() {
  const std::uint64_t i = index_++;
  return philox(seed_, stream_, i >> 2).word[i & 3];
}

double Random::uniform() { return (bits() + 0.5) * 0x1p-32; }

double Random::uniform(double low, double high) { return low + (high - low) * uniform(); }

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

bool Random::chance(double probability) { return uniform() < probability; }

std::uint64_t Random::below(std::uint64_t n) {
  // Rejection of the incomplete last interval keeps every value equally likely.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % n;
  for (;;) {
    const std::uint64_t high = bits();
    const std::uint64_t x = high << 32 | bits();
    if (x < limit) return x % n;
  }
}

}  // namespace stp

// Philox4x32-10, a counter-based random number generator (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011): ten rounds of multiply, swap and key addition turn (key, counter) into four random words.
// It has no state: element i of stream s under a seed is the same number on every device, in any order, on any
// number of threads. That is what makes a resumed run continue to the same bits.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define STP_HOST_DEVICE __host__ __device__
#else
#define STP_HOST_DEVICE
#endif

namespace stp {

struct Philox4 {
  std::uint32_t word[4];
};

// Four random words of block `block` (elements 4 block .. 4 block + 3) in `stream` under `seed`.
STP_HOST_DEVICE inline Philox4 philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t block) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block), c1 = static_cast<std::uint32_t>(block >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(stream), c3 = static_cast<std::uint32_t>(stream >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;  // Weyl sequence of the golden ratio
    k1 += 0xBB67AE85u;  // and of sqrt(3) - 1
  }
  return {{c0, c1, c2, c3}};
}

// A word as a float strictly inside (0, 1): (2 (x >> 9) + 1) / 2^24, so neither end occurs and log stays
// finite.
STP_HOST_DEVICE inline float unit_float(std::uint32_t word) {
  return static_cast<float>(2u * (word >> 9) + 1u) * 5.9604644775390625e-8f;
}

STP_HOST_DEVICE inline float philox_uniform(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return unit_float(philox(seed, stream, index >> 2).word[index & 3]);
}

}  // namespace stp

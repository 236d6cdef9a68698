#include "engine/rng.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>

using namespace stp;

TEST_CASE("Philox gives the published test vectors") {
  // Random123's known answers for philox4x32 with ten rounds: counter words, key words, result.
  const auto check = [](std::uint64_t block, std::uint64_t stream, std::uint64_t seed,
                        std::array<std::uint32_t, 4> wanted) {
    const Philox4 got = philox(seed, stream, block);
    for (std::size_t i = 0; i < 4; ++i) CHECK(got.word[i] == wanted[i]);
  };
  check(0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check(~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check(0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822,
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("unit floats lie strictly inside (0, 1)") {
  CHECK(unit_float(0) > 0.0f);
  CHECK(unit_float(~0u) < 1.0f);
}

TEST_CASE("streams differ by name and by coordinate, and a copy replays") {
  std::set<std::uint64_t> ids = {stream_id("a"),      stream_id("b"),         stream_id("a", {0}),
                                 stream_id("a", {1}), stream_id("a", {0, 1}), stream_id("a", {1, 0})};
  CHECK(ids.size() == 6);
  Random random(1, stream_id("a"));
  random.bits();
  Random copy = random;
  for (int i = 0; i < 9; ++i) CHECK(random.bits() == copy.bits());
}

TEST_CASE("draws have the moments of their distribution") {
  // 200,000 draws: means are known to about 1/450 of the deviation, four of which are allowed.
  constexpr int kDraws = 200000;
  const double allowed = 4 / std::sqrt(static_cast<double>(kDraws));
  Random random(7, stream_id("moments"));
  double sum = 0, squares = 0, below = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double z = random.normal();
    sum += z;
    squares += z * z;
    below += static_cast<double>(random.below(10));
  }
  CHECK(std::abs(sum / kDraws) < allowed);
  CHECK(std::abs(squares / kDraws - 1) < allowed * std::sqrt(2.0));
  CHECK(std::abs(below / kDraws - 4.5) < allowed * std::sqrt(8.25));
}

// Scaling against its definition in double precision, and what must hold exactly.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "data/frames.h"
#include "data/resize.h"
#include "engine/check.h"
#include "engine/rng.h"
#include "tests/data/files.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using Pixels = std::vector<std::uint8_t>;

Pixels noise(int width, int height, std::uint64_t seed) {
  Random random(seed, stream_id("resize test"));
  Pixels rgb(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  for (auto& value : rgb) value = static_cast<std::uint8_t>(random.below(256));
  return rgb;
}

Pixels mirrored(const Pixels& rgb, int width) {
  Pixels out = rgb;
  const std::size_t row = static_cast<std::size_t>(width) * 3;
  for (std::size_t begin = 0; begin < rgb.size(); begin += row)
    for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x)
      std::copy_n(&rgb[begin + 3 * x], 3, &out[begin + row - 3 - 3 * x]);
  return out;
}

Pixels resized(const Pixels& rgb, int height, int width, const Region& region, int Y, int X,
               bool flip = false) {
  Pixels out(static_cast<std::size_t>(Y) * static_cast<std::size_t>(X) * 3);
  Resizer(height, width, region, Y, X, flip)(rgb, out);
  return out;
}

// The definition: the weight of source pixel t in output i over [begin, begin + extent) of n outputs.
std::vector<double> weights(double begin, double extent, int n, int i, int size) {
  std::vector<double> out(static_cast<std::size_t>(size), 0);
  const double scale = extent / n, radius = std::max(scale, 1.0), centre = begin + (i + 0.5) * scale;
  double sum = 0;
  for (int t = static_cast<int>(std::floor(begin)); t < std::min<double>(size, std::ceil(begin + extent));
       ++t) {
    const double weight = std::max(0.0, 1 - std::abs(t + 0.5 - centre) / radius);
    out[static_cast<std::size_t>(t)] = weight;
    sum += weight;
  }
  for (double& weight : out) weight /= sum;
  return out;
}

std::size_t taps(const std::vector<double>& row) {
  return static_cast<std::size_t>(std::ranges::count_if(row, [](double weight) { return weight > 0; }));
}

// Compares with the definition. The tolerance: half a level for the last rounding, 1/256 for that of the rows,
// and for the weights, each off by less than 2^-14 with the errors summing to 0, at most 127.5 levels times
// 2^-14 a tap.
void check_against_definition(const Pixels& rgb, int height, int width, const Region& region, int Y, int X,
                              bool flip) {
  const Pixels out = resized(rgb, height, width, region, Y, X, flip);
  int wrong = 0;
  for (int y = 0; y < Y; ++y) {
    const auto rows = weights(region.y, region.height, Y, y, height);
    for (int x = 0; x < X; ++x) {
      const auto columns = weights(region.x, region.width, X, flip ? X - 1 - x : x, width);
      const double tolerance =
          0.5 + 1.0 / 256 + 127.5 / 16384 * static_cast<double>(taps(rows) + taps(columns));
      for (int c = 0; c < 3; ++c) {
        double wanted = 0;
        for (int v = 0; v < height; ++v) {
          if (rows[static_cast<std::size_t>(v)] == 0) continue;
          for (int u = 0; u < width; ++u)
            wanted += rows[static_cast<std::size_t>(v)] * columns[static_cast<std::size_t>(u)] *
                      rgb[static_cast<std::size_t>((v * width + u) * 3 + c)];
        }
        const double error = std::abs(wanted - out[static_cast<std::size_t>((y * X + x) * 3 + c)]);
        wrong += !(error <= tolerance);
      }
    }
  }
  CHECK(wrong == 0);
}

struct ResizeCase {
  int height, width;
  Region region;
  int Y, X;
};

const std::vector<ResizeCase>& cases() {
  static const std::vector<ResizeCase> all{
      {24, 32, {0, 0, 32, 24}, 11, 13},           // smaller
      {9, 7, {0, 0, 7, 9}, 20, 31},               // larger
      {24, 32, {3, 5, 20, 10}, 16, 16},           // a part, larger one way and smaller the other
      {24, 32, {3.25, 5.5, 20.125, 10.3}, 8, 9},  // fractions
      {24, 32, {0.3, 0.7, 0.4, 0.2}, 3, 3},       // less than a pixel
      {24, 32, {31.5, 23.5, 0.5, 0.5}, 2, 2},     // the last corner
      {1, 1, {0, 0, 1, 1}, 5, 4},
      {40, 50, {0, 0, 50, 40}, 1, 1},
      {60, 80, {0, 0, 80, 60}, 28, 28},
  };
  return all;
}

TEST_CASE("resize: agrees with its definition") {
  for (std::size_t i = 0; i < cases().size(); ++i) {
    CAPTURE(i);
    const ResizeCase& k = cases()[i];
    for (const bool flip : {false, true})
      check_against_definition(noise(k.width, k.height, i), k.height, k.width, k.region, k.Y, k.X, flip);
  }
}

TEST_CASE("resize: random regions agree with the definition") {
  Random random(5, stream_id("regions"));
  for (int trial = 0; trial < 60; ++trial) {
    CAPTURE(trial);
    const int height = 1 + static_cast<int>(random.below(40)), width = 1 + static_cast<int>(random.below(40));
    const double x = random.uniform(0, width - 0.5), y = random.uniform(0, height - 0.5);
    const Region region{x, y, random.uniform(0.1, width - x), random.uniform(0.1, height - y)};
    check_against_definition(noise(width, height, static_cast<std::uint64_t>(trial)), height, width, region,
                             1 + static_cast<int>(random.below(20)), 1 + static_cast<int>(random.below(20)),
                             trial % 2 == 1);
  }
}

TEST_CASE("resize: the same size is the same picture, a part of the same size is that part") {
  for (const auto& [width, height] : {std::pair{1, 1}, {7, 5}, {64, 64}, {33, 100}}) {
    const Pixels rgb = noise(width, height, 1);
    CHECK(resized(rgb, height, width, Region::whole(height, width), height, width) == rgb);
    CHECK(resized(rgb, height, width, Region::whole(height, width), height, width, true) ==
          mirrored(rgb, width));
  }
  const Pixels rgb = noise(20, 10, 2);
  const Pixels part = resized(rgb, 10, 20, {4, 3, 8, 5}, 5, 8);
  for (int y = 0; y < 5; ++y)
    CHECK(std::equal(&part[static_cast<std::size_t>(y * 24)], &part[static_cast<std::size_t>(y * 24)] + 24,
                     &rgb[static_cast<std::size_t>(((y + 3) * 20 + 4) * 3)]));
}

TEST_CASE("resize: one colour stays that colour, at any scale") {
  for (const int level : {0, 1, 127, 128, 254, 255})
    for (const auto& [from, to] : {std::pair{3, 200}, {200, 3}, {97, 64}, {5000, 7}}) {
      const Pixels rgb(static_cast<std::size_t>(from) * 4 * 3, static_cast<std::uint8_t>(level));
      const Pixels wide = resized(rgb, 4, from, Region::whole(4, from), 6, to);
      const Pixels high = resized(rgb, from, 4, Region::whole(from, 4), to, 6);
      for (const Pixels& out : {wide, high})
        CHECK(std::ranges::all_of(out, [&](std::uint8_t value) { return value == level; }));
    }
}

TEST_CASE("resize: flipping is exact") {
  for (std::size_t i = 0; i < cases().size(); ++i) {
    CAPTURE(i);
    const ResizeCase& k = cases()[i];
    const Pixels rgb = noise(k.width, k.height, i);
    const Region turned{k.width - (k.region.x + k.region.width), k.region.y, k.region.width, k.region.height};
    const Pixels flipped = resized(rgb, k.height, k.width, k.region, k.Y, k.X, true);
    CHECK(flipped == resized(mirrored(rgb, k.width), k.height, k.width, turned, k.Y, k.X));
  }
  // Regions of whole pixels: the flipped result is also the mirror image of the plain one.
  Random random(6, stream_id("whole regions"));
  for (int trial = 0; trial < 200; ++trial) {
    CAPTURE(trial);
    const int height = 1 + static_cast<int>(random.below(50)), width = 1 + static_cast<int>(random.below(50));
    const int x = static_cast<int>(random.below(static_cast<std::uint64_t>(width)));
    const Crop crop{x, 0, 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(width - x))), height};
    const int Y = 1 + static_cast<int>(random.below(30)), X = 1 + static_cast<int>(random.below(60));
    const Pixels rgb = noise(width, height, static_cast<std::uint64_t>(trial));
    CHECK(resized(rgb, height, width, Region::of(crop), Y, X, true) ==
          mirrored(resized(rgb, height, width, Region::of(crop), Y, X), X));
  }
}

TEST_CASE("resize: what lies outside the region has no influence") {
  const Region region{5.25, 4, 9.5, 7};
  const Pixels rgb = noise(24, 18, 1);
  Pixels other = noise(24, 18, 2);
  for (int y = 4; y < 11; ++y)
    for (int x = 5; x < 15; ++x)
      std::copy_n(&rgb[static_cast<std::size_t>((y * 24 + x) * 3)], 3,
                  &other[static_cast<std::size_t>((y * 24 + x) * 3)]);
  CHECK(resized(rgb, 18, 24, region, 5, 5) == resized(other, 18, 24, region, 5, 5));
  CHECK(resized(rgb, 18, 24, region, 30, 30, true) == resized(other, 18, 24, region, 30, 30, true));
}

TEST_CASE("resize: one set of weights serves many frames, and bad sizes are refused") {
  Resizer resizer(18, 24, {2, 3, 20, 10}, 7, 9);
  Pixels out(7 * 9 * 3);
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const Pixels rgb = noise(24, 18, seed);
    resizer(rgb, out);
    CHECK(out == resized(rgb, 18, 24, {2, 3, 20, 10}, 7, 9));
    Pixels at_once(out.size());
    resize(rgb, 18, 24, {.x = 2, .y = 3, .width = 20, .height = 10}, 7, 9, false, at_once);
    CHECK(out == at_once);
  }
  CHECK(contains(error_of([&] { resizer(noise(24, 17, 0), out); }), "1224 bytes in"));
  CHECK(contains(error_of([&] { resizer(noise(24, 18, 0), std::span(out).first(3)); }), "3 out"));
  for (const Region& region : {Region{-1, 0, 5, 5},
                               {0, 0, 25, 5},
                               {0, 0, 5, 19},
                               {0, 0, 0, 5},
                               {0, 0, 5, -1},
                               {0, 0, NAN, 5},
                               {NAN, 0, 5, 5}})
    CHECK(contains(error_of([&] { Resizer(18, 24, region, 7, 9); }), "leaves the frame"));
  CHECK(contains(error_of([&] { Resizer(18, 24, {0, 0, 5, 5}, 0, 9); }), "wanted at least 1 x 1"));
}

TEST_CASE("resize: the mirrored Weizmann clips are flips of the others, scaled or not") {
  const auto strips = test::recordings("weizmann-strips");
  if (strips.empty()) return;
  int pairs = 0;
  for (const char* name : {"wave2/0000000", "wave1/0000000", "jack/0000000", "bend/0000000"})
    for (int number = 0; number < 8; number += 2) {
      const auto plain = strips / fmt::format("{}{}.jpg", name, number);
      if (!std::filesystem::exists(plain)) continue;
      const auto a = open_frames(plain), b = open_frames(strips / fmt::format("{}{}.jpg", name, number + 1));
      Frame frame, turned;
      while (a->next(frame)) {
        REQUIRE(b->next(turned));
        CHECK(resized(frame.rgb, 64, 64, {3, 2, 50, 60}, 112, 112, true) ==
              resized(turned.rgb, 64, 64, {11, 2, 50, 60}, 112, 112));
        CHECK(mirrored(frame.rgb, 64) == turned.rgb);
      }
      CHECK_FALSE(b->next(turned));
      ++pairs;
    }
  CHECK(pairs == 4);
}

}  // namespace
}  // namespace stp

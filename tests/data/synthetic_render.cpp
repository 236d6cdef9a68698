// Pictures of VP-Synth: the rasteriser against areas known from geometry, and whole clips against the promises
// that attributes change paint and nothing else, and that a clip is a function of seed and index.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

#include "data/synthetic_clip.h"

namespace stp::synthetic {
namespace {

using Bytes = std::vector<std::uint8_t>;

SyntheticOptions small_options() {
  SyntheticOptions options;
  options.frames = 6;
  return options;
}

Bytes frames_of(const SyntheticOptions& options, const SyntheticLabel& label) {
  Clip clip(options, label);
  Bytes all, one;
  for (int t = 0; t < options.frames; ++t) {
    clip.frame(t, one);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

TEST_CASE("synthetic raster: the drawn area of a capsule is its geometric area, wherever it lies") {
  for (const float angle : {0.0F, 0.3F, 1.2F, 2.9F})
    for (const float shift : {0.0F, 0.25F, 0.7F}) {
      Picture picture(64, 64);
      const Vec2 from{32 + shift, 32 + shift};
      const Vec2 to = from + 20 * rotated({1, 0}, angle);
      draw(picture, {from, to, 5, 5}, [](Local) { return Colour{1, 1, 1}; });
      double area = 0;
      for (const Colour& c : picture.pixels) area += c.r;
      // Straight-edge coverage at the distance of the centre errs by less than 1 % at this size.
      CHECK(area == doctest::Approx(20 * 10 + std::numbers::pi * 25).epsilon(0.01));
    }
}

TEST_CASE("synthetic raster: shapes outside or larger than the picture are clipped") {
  Picture picture(8, 6);
  const auto white = [](Local) { return Colour{255, 255, 255}; };
  draw(picture, {{-50, 3}, {-40, 3}, 5, 5}, white);
  draw(picture, {{4, 900}, {4, 1000}, 5, 5}, white);
  for (const Colour& c : picture.pixels) CHECK(c.r == 0);
  draw(picture, {{4, 3}, {4, 3}, 100, 100}, white);
  for (const Colour& c : picture.pixels) CHECK(c.g == 255);
}

TEST_CASE("synthetic raster: colours and sampling") {
  const auto same = [](Colour a, Colour b) {
    CHECK(a.r == doctest::Approx(b.r));
    CHECK(a.g == doctest::Approx(b.g));
    CHECK(a.b == doctest::Approx(b.b));
  };
  same(from_hsv(0, 1, 1), {255, 0, 0});
  same(from_hsv(120, 1, 1), {0, 255, 0});
  same(from_hsv(240, 1, 1), {0, 0, 255});
  same(from_hsv(60, 0.5F, 1), {255, 255, 127.5F});
  same(from_hsv(375, 1, 1), from_hsv(15, 1, 1));
  Picture picture(2, 1);
  picture.at(0, 0) = {0, 0, 0};
  picture.at(1, 0) = {100, 100, 100};
  same(picture.sample({1, 0.5F}), {50, 50, 50});
  same(picture.sample({-9, 7}), {0, 0, 0});
  same(picture.sample({9, -7}), {100, 100, 100});
}

TEST_CASE("synthetic render: a clip is a function of seed and index") {
  const SyntheticOptions options = small_options();
  SyntheticOptions other_seed = options, more = options;
  other_seed.seed = 1;
  more.clips = 100'000;
  const SyntheticLabel label = synthetic_label(options, 11);
  const Bytes bytes = frames_of(options, label);
  CHECK(bytes == frames_of(options, label));
  CHECK(bytes == frames_of(more, synthetic_label(more, 11)));
  CHECK(bytes != frames_of(other_seed, label));
  SyntheticLabel next = label;
  ++next.index;
  CHECK(bytes != frames_of(options, next));
}

TEST_CASE("synthetic render: an attribute changes paint, neither the motion nor the outline") {
  SyntheticOptions options = small_options();
  options.difficulty = 1;
  for (std::int64_t index = 0; index < 16; ++index) {
    const SyntheticLabel label = synthetic_label(options, index);
    for (int a = 0; a < kSyntheticAttributes; ++a) {
      SyntheticLabel flipped = label;
      flipped.attributes[a] = !flipped.attributes[a];
      Clip before(options, label), after(options, flipped);
      Bytes mask, other_mask, rgb, other_rgb;
      std::size_t inside = 0;
      for (int t = 0; t < options.frames; ++t) {
        const Skeleton s = before.skeleton(t), other = after.skeleton(t);
        for (int j = 0; j < kJoints; ++j) CHECK((s[j].x == other[j].x && s[j].y == other[j].y));
        before.silhouette(t, mask);
        after.silhouette(t, other_mask);
        REQUIRE(mask == other_mask);
        before.frame(t, rgb);
        after.frame(t, other_rgb);
        std::size_t outside = 0;
        for (std::size_t i = 0; i < rgb.size(); ++i) {
          outside += mask[i / 3] == 0 && rgb[i] != other_rgb[i];
          inside += std::abs(rgb[i] - other_rgb[i]) > 30;
        }
        CHECK(outside == 0);
      }
      // At least eight pixels of each frame look clearly different.
      CHECK(inside > static_cast<std::size_t>(8 * options.frames));
    }
  }
}

TEST_CASE("synthetic render: people cover a part of the picture that can be seen, and move in it") {
  const SyntheticOptions options = small_options();
  for (std::int64_t index = 0; index < 16; ++index) {
    Clip clip(options, synthetic_label(options, index));
    Bytes first, last;
    clip.silhouette(0, first);
    clip.silhouette(5, last);
    std::size_t covered = 0, moved = 0;
    for (std::size_t i = 0; i < first.size(); ++i) {
      covered += first[i] > 127;
      moved += (first[i] > 127) != (last[i] > 127);
    }
    CHECK(covered > first.size() / 12);
    CHECK(covered < first.size() / 2);
    CHECK(moved > first.size() / 100);  // five frames are 0.42 of a cycle
  }
}

TEST_CASE("synthetic render: people stay in the picture however long and hard the clip") {
  SyntheticOptions options = small_options();
  options.difficulty = 1;
  options.frames = 4096;
  options.frame_rate = 4;  // 17 minutes
  for (std::int64_t index = 0; index < 16; ++index) {
    Clip clip(options, synthetic_label(options, index));
    Bytes mask;
    clip.silhouette(4095, mask);
    const auto covered = std::count_if(mask.begin(), mask.end(), [](std::uint8_t v) { return v > 127; });
    CHECK(covered > 64 * 64 / 12);
  }
}

TEST_CASE("synthetic render: an easy clip has a still camera and no noise") {
  SyntheticOptions options = small_options();
  options.difficulty = 0;
  Clip clip(options, synthetic_label(options, 3));
  Bytes first, rgb, mask, first_mask;
  clip.frame(0, first);
  clip.silhouette(0, first_mask);
  for (int t = 1; t < options.frames; ++t) {
    clip.frame(t, rgb);
    clip.silhouette(t, mask);
    for (std::size_t i = 0; i < mask.size(); ++i)
      if (mask[i] == 0 && first_mask[i] == 0) REQUIRE(rgb[3 * i] == first[3 * i]);
  }
}

TEST_CASE("synthetic render: sizes that are not square show whole people") {
  SyntheticOptions options = small_options();
  for (const auto& [width, height] : {std::pair{96, 48}, std::pair{48, 96}, std::pair{32, 32}}) {
    options.width = width;
    options.height = height;
    Clip clip(options, synthetic_label(options, 5));
    Bytes rgb;
    clip.frame(0, rgb);
    CHECK(rgb.size() == static_cast<std::size_t>(3 * width * height));
  }
}

}  // namespace
}  // namespace stp::synthetic

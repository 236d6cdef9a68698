// Changes of colour: each against its definition in double precision, and draws as pure functions of their
// names.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "data/augment.h"
#include "engine/check.h"

namespace stp {
namespace {

constexpr int kT = 3, kY = 10, kX = 12;
constexpr std::array<double, 3> kLuma{0.299, 0.587, 0.114};

std::vector<std::uint8_t> noise() {
  Random random(9, stream_id("pixels"));
  std::vector<std::uint8_t> pixels(3 * kT * kY * kX);
  for (std::uint8_t& value : pixels) value = static_cast<std::uint8_t>(random.bits() >> 24);
  return pixels;
}

std::vector<std::uint8_t> applied(const Augmentation& augmentation) {
  std::vector<std::uint8_t> pixels = noise();
  apply(augmentation, pixels, kT, kY, kX);
  return pixels;
}

double luma(const std::uint8_t* rgb) { return kLuma[0] * rgb[0] + kLuma[1] * rgb[1] + kLuma[2] * rgb[2]; }

double clamped(double v) { return std::clamp(v, 0.0, 255.0); }

// The largest difference between `pixels` and definition(i), the wanted value of byte i.
template <class Definition>
double worst(const std::vector<std::uint8_t>& pixels, const Definition& definition) {
  double most = 0;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const double error = std::abs(pixels[i] - definition(i));
    if (!(error <= most)) most = error;
  }
  return most;
}

// One rounding to a whole value.
constexpr double kRounding = 0.5 + 1e-6;
// The same, and coefficients rounded to 2^-16, three of them times 255.
constexpr double kMatrixRounding = 0.5 + 3 * 255 * 0x1p-17 + 1e-6;

TEST_CASE("clip augment: nothing drawn changes nothing") { CHECK(applied({}) == noise()); }

TEST_CASE("clip augment: brightness, contrast and gamma are what they say") {
  const auto before = noise();
  Augmentation a;
  a.brightness = 1.3;
  CHECK(!(worst(applied(a), [&](std::size_t i) { return clamped(1.3 * before[i]); }) > kRounding));
  a = {};
  a.gamma = 0.8;
  CHECK(
      !(worst(applied(a), [&](std::size_t i) { return 255 * std::pow(before[i] / 255.0, 0.8); }) > kRounding));
  a = {};
  a.contrast = 1.4;
  double mean = 0;
  for (std::size_t i = 0; i < before.size(); i += 3) mean += luma(&before[i]) / (kT * kY * kX);
  CHECK(!(worst(applied(a), [&](std::size_t i) { return clamped(mean + 1.4 * (before[i] - mean)); }) >
          kRounding));
}

TEST_CASE("clip augment: saturation and grayscale keep luma and scale chroma") {
  const auto before = noise();
  const auto wanted = [&](double s) {
    return [&before, s](std::size_t i) {
      const double y = luma(&before[i - i % 3]);
      return clamped(y + s * (before[i] - y));
    };
  };
  Augmentation a;
  a.saturation = 1.2;
  CHECK(!(worst(applied(a), wanted(1.2)) > kMatrixRounding));
  a = {};
  a.grayscale = true;
  const auto gray = applied(a);
  CHECK(!(worst(gray, wanted(0)) > kMatrixRounding));
  for (std::size_t i = 0; i < gray.size(); i += 3) REQUIRE((gray[i] == gray[i + 1] && gray[i] == gray[i + 2]));
}

TEST_CASE("clip augment: hue turns the colours, a whole turn gives them back") {
  Augmentation a;
  a.hue = 0.05;
  const auto before = noise(), after = applied(a);
  double moved = 0;
  for (std::size_t i = 0; i < before.size(); i += 3) {
    moved = std::max(moved, std::abs(static_cast<double>(before[i]) - after[i]));
    const auto clipped = [](std::uint8_t v) { return v == 0 || v == 255; };
    if (clipped(after[i]) || clipped(after[i + 1]) || clipped(after[i + 2])) continue;
    // Luma of three roundings, weighted 0.299 + 0.587 + 0.114 = 1.
    CHECK(!(std::abs(luma(&before[i]) - luma(&after[i])) > kMatrixRounding));
  }
  CHECK(moved > 10);
  a.hue = 1;
  CHECK(applied(a) == before);
  // Red turns towards yellow, or towards magenta the other way.
  for (const double turn : {0.1, -0.1}) {
    std::vector<std::uint8_t> red = {180, 80, 80};
    Augmentation turned;
    turned.hue = turn;
    apply(turned, red, 1, 1, 1);
    CHECK((red[1] > 90) == (turn > 0));
    CHECK((red[2] > 90) == (turn < 0));
  }
  // Grays have no hue.
  std::vector<std::uint8_t> gray(3 * kT * kY * kX, 77);
  a.hue = 0.3;
  apply(a, gray, kT, kY, kX);
  CHECK(std::ranges::all_of(gray, [](std::uint8_t v) { return v == 77; }));
}

TEST_CASE("clip augment: erasing grays the same square of every frame, and only it") {
  Augmentation a;
  a.erase_side = 4;
  a.erase_y = 5;
  a.erase_x = 8;
  const auto before = noise(), after = applied(a);
  std::size_t i = 0;
  for (int t = 0; t < kT; ++t)
    for (int y = 0; y < kY; ++y)
      for (int x = 0; x < kX; ++x)
        for (int c = 0; c < 3; ++c, ++i) {
          const bool erased = y >= 5 && y < 9 && x >= 8 && x < 12;
          REQUIRE(after[i] == (erased ? 128 : before[i]));
        }
}

TEST_CASE("clip augment: extreme draws stay within bytes") {
  Augmentation a;
  a.brightness = 10;
  a.contrast = 10;
  a.gamma = 0.05;
  a.saturation = 10;
  for (const double hue : {-0.5, -0.31, 0.2, 0.5}) {
    a.hue = hue;
    CHECK(applied(a).size() == noise().size());
  }
}

AugmentSpec everything() {
  AugmentSpec spec;
  for (Jitter* jitter :
       {&spec.brightness, &spec.contrast, &spec.gamma, &spec.saturation, &spec.hue, &spec.erase})
    jitter->chance = 0.5;
  spec.grayscale = 0.5;
  return spec;
}

std::string key(const Augmentation& a) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {}", a.flip, a.grayscale, a.brightness, a.contrast, a.gamma,
                     a.saturation, a.hue, a.erase_side, a.erase_y, a.erase_x);
}

TEST_CASE("clip augment: a draw is a function of seed, epoch and item, and of each of them") {
  const AugmentSpec spec = everything();
  const auto draw = [&](int seed, int epoch, int item) {
    return key(draw_augmentation(spec, kY, kX, static_cast<std::uint64_t>(seed),
                                 static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(item)));
  };
  CHECK(draw(1, 2, 3) == draw(1, 2, 3));
  CHECK(draw(1, 2, 3) != draw(0, 2, 3));
  CHECK(draw(1, 2, 3) != draw(1, 0, 3));
  CHECK(draw(1, 2, 3) != draw(1, 2, 0));
  CHECK(draw(1, 2, 3) != draw(1, 3, 2));

  // Switching one change off leaves the draws of the others alone.
  AugmentSpec less = spec;
  less.contrast.chance = 0;
  for (std::uint64_t item = 0; item < 50; ++item) {
    const Augmentation a = draw_augmentation(spec, kY, kX, 1, 0, item),
                       b = draw_augmentation(less, kY, kX, 1, 0, item);
    CHECK(b.contrast == 1);
    CHECK(a.hue == b.hue);
    CHECK(a.erase_x == b.erase_x);
  }
}

TEST_CASE("clip augment: draws keep to their probabilities and ranges") {
  const AugmentSpec spec = everything();
  constexpr int kDraws = 10'000;
  int flips = 0, bright = 0, erased = 0;
  for (std::uint64_t item = 0; item < kDraws; ++item) {
    const Augmentation a = draw_augmentation(spec, 112, 64, 1, 0, item);
    flips += a.flip;
    bright += a.brightness != 1;
    erased += a.erase_side > 0;
    REQUIRE((a.brightness >= 0.9 && a.brightness <= 1.1));
    REQUIRE((a.hue >= -0.05 && a.hue <= 0.05));
    // 0.08 .. 0.17 of 64
    if (a.erase_side > 0) REQUIRE((a.erase_side >= 5 && a.erase_side <= 11));
    REQUIRE((a.erase_x >= 0 && a.erase_x + a.erase_side <= 64));
    REQUIRE((a.erase_y >= 0 && a.erase_y + a.erase_side <= 112));
  }
  // 5,000 with a standard deviation of 50; five of them.
  for (const int count : {flips, bright, erased}) CHECK(!(std::abs(count - kDraws / 2) > 250));
  AugmentSpec whole = spec;
  whole.erase = {1, 1, 1};
  CHECK(draw_augmentation(whole, kY, kX, 1, 0, 0).erase_side == kY);
}

TEST_CASE("clip augment: bad specs are refused by field, and clips of another size") {
  const auto message = [](const AugmentSpec& spec) {
    try {
      check_augment_spec(spec);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  AugmentSpec spec;
  CHECK(message(spec).empty());
  spec.flip = 1.5;
  CHECK(message(spec) == "augment flip: probability 1.5, wanted 0 to 1");
  spec = {};
  spec.hue = {0.5, -0.6, 0};
  CHECK(message(spec) == "augment hue: -0.6 to 0, wanted a range within -0.5 to 0.5");
  spec = {};
  spec.gamma.low = 2;
  CHECK(message(spec) == "augment gamma: 2 to 1.15, wanted a range within 0.05 to 20");
  spec = {};
  spec.erase.chance = std::nan("");
  CHECK(message(spec) == "augment erase: probability nan, wanted 0 to 1");
  std::vector<std::uint8_t> pixels(10);
  CHECK_THROWS_AS(apply({}, pixels, kT, kY, kX), Error);
}

}  // namespace
}  // namespace stp

// Blur, blackening and down-sampling against plain definitions in double precision, and where they act.
#include "data/obfuscation.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <numeric>

#include "engine/rng.h"
#include "tests/temporary.h"

namespace stp {
namespace {

constexpr int kHeight = 31, kWidth = 26;

std::vector<std::uint8_t> noise(int height, int width, std::uint64_t seed) {
  Random random(seed, stream_id("picture"));
  std::vector<std::uint8_t> rgb(std::size_t{3} * height * width);
  for (std::uint8_t& v : rgb) v = static_cast<std::uint8_t>(random.below(256));
  return rgb;
}

// abcd -> ...dcb abcd cba...
int reflected(int i, int n) {
  while (n > 1 && (i < 0 || i >= n)) i = i < 0 ? -i : 2 * (n - 1) - i;
  return n > 1 ? i : 0;
}

double gaussian(const std::vector<std::uint8_t>& rgb, int height, int width, int y, int x, int c, int kernel,
                double sigma) {
  double sum = 0, weights = 0;
  const int r = kernel / 2;
  for (int i = -r; i <= r; ++i) {
    for (int j = -r; j <= r; ++j) {
      const double w = std::exp(-(i * i + j * j) / (2 * sigma * sigma));
      weights += w;
      sum += w * rgb[3 * (std::size_t{1} * reflected(y + i, height) * width + reflected(x + j, width)) + c];
    }
  }
  return sum / weights;
}

TEST_CASE("obfuscation: blur is a Gaussian within the box and nothing outside") {
  for (const auto& [kernel, sigma] : {std::pair(13, 10.0), {21, 10.0}, {3, 0.5}, {1, 1.0}, {255, 40.0}}) {
    for (const Box box : {Box{0, 0, kWidth, kHeight}, {3, 5, 17, 30}, {-4, -9, 2, 3}, {7, 7, 7, 20}}) {
      const std::vector<std::uint8_t> before = noise(kHeight, kWidth, 1);
      std::vector<std::uint8_t> after = before;
      blur(after, kHeight, kWidth, box, gaussian_taps(kernel, sigma));
      double largest = 0;
      for (int i = 0; i < 3 * kHeight * kWidth; ++i) {
        const int y = i / 3 / kWidth, x = i / 3 % kWidth;
        const bool hidden = y >= box.y0 && y < box.y1 && x >= box.x0 && x < box.x1;
        const auto at = static_cast<std::size_t>(i);
        const double wanted =
            hidden ? gaussian(before, kHeight, kWidth, y, x, i % 3, kernel, sigma) : before[at];
        largest = std::max(largest, std::abs(after[at] - wanted));
      }
      CAPTURE(kernel);
      CAPTURE(box.x0);
      // Rounded once to 8 bits; taps of 14 bits err by 2^-15 each, 255 of them by 2 of 255 at the very most.
      CHECK(!!(largest <= (kernel == 255 ? 1.5 : 0.6)));
    }
  }
}

TEST_CASE("obfuscation: an even picture stays what it is under any blur") {
  std::vector<std::uint8_t> rgb(std::size_t{3} * kHeight * kWidth, 201);
  const std::vector<std::uint8_t> before = rgb;
  for (const int kernel : {1, 13, 21, 101})
    blur(rgb, kHeight, kWidth, {0, 0, kWidth, kHeight}, gaussian_taps(kernel, 10));
  CHECK(rgb == before);
}

TEST_CASE("obfuscation: blackening blackens the box") {
  std::vector<std::uint8_t> rgb(std::size_t{3} * kHeight * kWidth, 9);
  blacken(rgb, kHeight, kWidth, {20, 28, 99, 99});
  CHECK(std::accumulate(rgb.begin(), rgb.end(), 0) == 9 * 3 * (kHeight * kWidth - 6 * 3));
}

TEST_CASE(
    "obfuscation: coarsening by one changes nothing, by all leaves the mean, by repeating leaves blocks") {
  const std::vector<std::uint8_t> before = noise(12 * 2, 18, 2);
  std::vector<std::uint8_t> clip = before;
  coarsen(clip, 2, 12, 18, 1, false);
  CHECK(clip == before);
  coarsen(clip, 2, 12, 18, 64, false);
  for (int t = 0; t < 2; ++t) {
    for (std::size_t c = 0; c < 3; ++c) {
      const std::size_t first = std::size_t{3} * 12 * 18 * static_cast<std::size_t>(t) + c;
      for (std::size_t i = 0; i < 12 * 18; ++i) REQUIRE(clip[first + 3 * i] == clip[first]);
    }
  }
  clip = before;
  coarsen(clip, 2, 12, 18, 3, true);
  for (std::size_t y = 0; y < 24; ++y) {
    for (std::size_t x = 0; x < 18; ++x) {
      REQUIRE(clip[3 * (y * 18 + x)] == clip[3 * (y / 3 * 3 * 18 + x / 3 * 3)]);
    }
  }
}

Picture picture_of(const std::vector<std::uint8_t>& rgb) { return {kHeight * 2, kWidth * 2, rgb}; }

TEST_CASE("obfuscation: the box follows what moves, and hides everything before it knows") {
  constexpr int height = 2 * kHeight, width = 2 * kWidth;
  MotionBox box;
  const auto frame = [](int at) {  // a bright square of 8 pixels on grey
    std::vector<std::uint8_t> rgb(std::size_t{3} * height * width, 90);
    for (int y = 30; y < 38; ++y) {
      for (int x = at; x < at + 8; ++x)
        std::fill_n(&rgb[3 * (std::size_t{1} * y * width + x)], 3, std::uint8_t{230});
    }
    return rgb;
  };
  const std::vector<std::uint8_t> first = frame(4);
  CHECK(box(picture_of(first)) == Box{0, 0, width, height});
  CHECK(box(picture_of(first)) == Box{0, 0, width, height});  // nothing moved yet
  Box last;
  for (int at = 5; at < 40; ++at) {
    const std::vector<std::uint8_t> rgb = frame(at);
    last = box(picture_of(rgb));
    CHECK((last.x0 <= at && last.x1 >= at + 8 && last.y0 <= 30 && last.y1 >= 38));
  }
  CHECK((last.x1 - last.x0 < width && last.y1 - last.y0 < 24));  // and no more than that
  const std::vector<std::uint8_t> end = frame(39);
  for (int still = 0; still < 20; ++still) CHECK(box(picture_of(end)).y0 > 20);
}

std::filesystem::path boxes(const TemporaryFolder& folder, const std::string& text) {
  std::ofstream(folder.path() / "boxes.csv") << text;
  return folder.path() / "boxes.csv";
}

TEST_CASE("obfuscation: boxes hold for eight frames, each frame has its own") {
  const TemporaryFolder folder;
  Obfuscation o;
  o.kind = Obfuscation::Kind::blacken;
  o.where = Obfuscation::Where::boxes;
  o.boxes = boxes(folder,
                  "video,frame,x0,y0,x1,y1,score\nwave/a.avi,2,0,0,1,1,0.9\nwave/a.avi,2,1.5,1,2.5,2,0.8\n"
                  "wave/b.avi,0,0,0,9,9\n");
  const std::vector<Item> items = {{"a", "wave/a", 0, {}}};
  const auto filter = Obfuscator(o, items).filter(0);
  CHECK(!filter->needs_every_frame());
  const std::vector<std::uint8_t> white(std::size_t{3} * 4 * 4, 1);
  const auto left = [&](int number) {
    const Picture picture = (*filter)(number, {4, 4, white});
    return std::accumulate(picture.rgb.begin(), picture.rgb.end(), 0) / 3;
  };
  CHECK(left(0) == 16);
  CHECK(left(2) == 13);  // one pixel, and the two that a fraction touches
  CHECK(left(10) == 13);
  CHECK(left(11) == 16);
  CHECK(contains(error_of([&] { Obfuscator(o, {{"c", "wave/c", 0, {}}}); }), "no box for c; add its boxes"));
}

TEST_CASE("obfuscation: bad tables of boxes are refused with file and line") {
  const TemporaryFolder folder;
  const std::string header = "video,frame,x0,y0,x1,y1\n";
  for (const auto& [text, words] : {std::pair<std::string, std::string>{header, "no box"},
                                    {header + "a/b,1,2,3,4\n", "boxes.csv:2: 5 columns, wanted 6 or 7"},
                                    {header + "a/b,-1,0,0,4,4\n", "boxes.csv:2: '-1' is no number of a frame"},
                                    {header + "a/b,1,0,0,4,x\n", "'x' is no coordinate"},
                                    {header + "a/b,1,0,0,nan,4\n", "'nan' is no coordinate"},
                                    {header + "a/b,1,5,0,4,4\n", "the box is empty; x0 must be below x1"},
                                    {header + "../b,1,0,0,4,4\n", "'../b' is no clip; write CLASS/VIDEO"}}) {
    const auto file = boxes(folder, text);
    CHECK(contains(error_of([&] { const BoxTable table(file); }), words));
  }
}

TEST_CASE("obfuscation: values that cannot be meant are refused") {
  const auto words = [](auto change) {
    Obfuscation o;
    change(o);
    return error_of([&] { check_obfuscation(o); });
  };
  CHECK(contains(words([](Obfuscation& o) { o.kernel = 12; }), "give an odd side"));
  CHECK(contains(words([](Obfuscation& o) { o.factor = 0; }), "factor is 0"));
  CHECK(contains(words([](Obfuscation& o) { o.sigma = NAN; }), "sigma is nan"));
  CHECK(contains(words([](Obfuscation& o) { o.where = Obfuscation::Where::boxes; }), "no file is named"));
}

}  // namespace
}  // namespace stp

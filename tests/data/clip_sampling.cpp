// Frame numbers, starts and crops, compared with their rules written out and with cases counted by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "data/clip.h"
#include "engine/check.h"

namespace stp {
namespace {

using Numbers = std::vector<int>;

TEST_CASE("clip: frame numbers, long enough and padded in the three ways") {
  CHECK(clip_frames(100, 7, 4, 3, Padding::loop) == Numbers{7, 10, 13, 16});
  CHECK(clip_frames(17, 7, 4, 3, Padding::loop) == Numbers{7, 10, 13, 16});  // ends on the last frame
  // 7 frames at rate 2: places 0 2 4 6.
  CHECK(clip_frames(7, 0, 9, 2, Padding::loop) == Numbers{0, 2, 4, 6, 0, 2, 4, 6, 0});
  CHECK(clip_frames(7, 0, 9, 2, Padding::last) == Numbers{0, 2, 4, 6, 6, 6, 6, 6, 6});
  CHECK(clip_frames(7, 0, 9, 2, Padding::mirror) == Numbers{0, 2, 4, 6, 4, 2, 0, 2, 4});
  for (const Padding padding : {Padding::loop, Padding::last, Padding::mirror}) {
    CHECK(clip_frames(1, 0, 3, 4, padding) == Numbers{0, 0, 0});
    CHECK(clip_frames(4, 0, 3, 4, padding) == Numbers{0, 0, 0});  // one place only
  }
  CHECK(clip_frames(5, 0, 4, 4, Padding::loop) == Numbers{0, 4, 0, 4});
}

TEST_CASE("clip: no frame number lies outside the video, whatever the lengths") {
  Random random(1, stream_id("test"));
  for (int frames = 1; frames <= 40; ++frames)
    for (int T = 1; T <= 18; T += 1 + T / 3)
      for (int rate = 1; rate <= 5; ++rate) {
        std::vector<int> starts = {random_start(frames, T, rate, random)};
        for (int i = 0; i < 5; ++i) starts.push_back(even_start(frames, T, rate, i, 5));
        starts.push_back(even_start(frames, T, rate, 0, 1));
        for (const int start : starts)
          for (const Padding padding : {Padding::loop, Padding::last, Padding::mirror}) {
            const Numbers numbers = clip_frames(frames, start, T, rate, padding);
            REQUIRE(numbers.size() == static_cast<std::size_t>(T));
            CHECK(numbers.front() == start);
            for (const int n : numbers) REQUIRE((n >= 0 && n < frames));
            // Only a video that is too short is padded.
            if ((frames - 1) / rate + 1 >= T) CHECK(numbers.back() == start + (T - 1) * rate);
          }
      }
}

TEST_CASE("clip: training starts are uniform over all that fit") {
  Random random(3, stream_id("test"));
  // 12 frames, 4 at rate 3 need 10: starts 0, 1, 2.
  std::vector<int> count(3, 0);
  constexpr int kDraws = 30'000;
  for (int i = 0; i < kDraws; ++i) ++count.at(static_cast<std::size_t>(random_start(12, 4, 3, random)));
  // A count of 10,000 has a standard deviation of 82; five of them.
  for (const int n : count) CHECK(!(std::abs(n - kDraws / 3) > 410));
  for (int i = 0; i < 100; ++i) CHECK(random_start(10, 4, 3, random) == 0);
  for (int i = 0; i < 100; ++i) CHECK(random_start(3, 4, 3, random) == 0);
}

TEST_CASE("clip: evaluation starts are spread over the places of the video") {
  const auto starts = [](int frames, int T, int rate, int n) {
    Numbers out;
    for (int i = 0; i < n; ++i) out.push_back(even_start(frames, T, rate, i, n));
    return out;
  };
  // VideoMAE's rule: 40 places of which a clip takes 16, steps of (40 - 16) / 4 = 6 places.
  CHECK(starts(80, 16, 2, 5) == Numbers{0, 12, 24, 36, 48});
  CHECK(starts(79, 16, 2, 5) == Numbers{0, 12, 24, 36, 48});
  CHECK(starts(34, 16, 2, 5) == Numbers{0, 0, 0, 0, 2});  // one place more than a clip: 0, 1/4, ... 1, cut
  CHECK(starts(20, 16, 2, 5) == Numbers{0, 0, 0, 0, 0});  // too short
  CHECK(starts(80, 16, 2, 1) == Numbers{24});             // the middle
  CHECK(starts(80, 16, 2, 2) == Numbers{0, 48});
}

TEST_CASE("clip: evaluation crops lie at both ends and in the middle of the long side") {
  CHECK(even_crop(240, 320, 112, 112, 0, 1) == Crop{40, 0, 240, 240});
  CHECK(even_crop(240, 320, 112, 112, 0, 3) == Crop{0, 0, 240, 240});
  CHECK(even_crop(240, 320, 112, 112, 1, 3) == Crop{40, 0, 240, 240});
  CHECK(even_crop(240, 320, 112, 112, 2, 3) == Crop{80, 0, 240, 240});
  CHECK(even_crop(320, 240, 64, 64, 2, 3) == Crop{0, 80, 240, 240});   // a tall frame
  CHECK(even_crop(240, 320, 60, 80, 2, 3) == Crop{0, 0, 320, 240});    // same aspect: no room
  CHECK(even_crop(240, 320, 50, 100, 2, 3) == Crop{0, 80, 320, 160});  // a wider target
  CHECK(even_crop(1, 1, 112, 64, 1, 3) == Crop{0, 0, 1, 1});
  CHECK(even_crop(1, 1000, 112, 112, 0, 1) == Crop{499, 0, 1, 1});
}

bool inside(const Crop& crop, int height, int width) {
  return crop.x >= 0 && crop.y >= 0 && crop.width >= 1 && crop.height >= 1 && crop.x + crop.width <= width &&
         crop.y + crop.height <= height;
}

TEST_CASE("clip: training crops stay inside the frame and keep to their ranges") {
  Random random(5, stream_id("test"));
  CropSpec spec;
  for (const CropSpec::Kind kind : {CropSpec::Kind::centre, CropSpec::Kind::resized, CropSpec::Kind::scaled}) {
    spec.kind = kind;
    for (const auto& [height, width] : {std::pair{240, 320}, {320, 240}, {1, 1}, {2, 1000}, {64, 64}})
      for (const auto& [Y, X] : {std::pair{112, 112}, {64, 128}, {1, 1}})
        for (int i = 0; i < 200; ++i)
          REQUIRE(inside(random_crop(height, width, Y, X, spec, random), height, width));
  }
}

TEST_CASE("clip: random parts have the area and aspect asked for, and their places vary") {
  Random random(5, stream_id("test"));
  CropSpec spec;
  spec.area_low = 0.25;
  spec.area_high = 0.5;
  std::set<std::pair<int, int>> places;
  for (int i = 0; i < 500; ++i) {
    const Crop crop = random_crop(480, 640, 100, 100, spec, random);
    const double area = static_cast<double>(crop.width) * crop.height / (480.0 * 640.0);
    const double aspect = static_cast<double>(crop.width) / crop.height;
    // Sides of 240 pixels and more rounded to whole ones: 0.5 / 240 each way and side.
    CHECK((area > 0.25 * 0.995 && area < 0.5 * 1.005));
    CHECK((aspect > 0.75 * 0.995 && aspect < 4.0 / 3 * 1.005));
    places.emplace(crop.x, crop.y);
  }
  CHECK(places.size() > 450);
}

TEST_CASE("clip: random parts take the aspect of a target that is not square") {
  Random random(5, stream_id("test"));
  CropSpec spec;
  spec.area_low = 0.1;
  spec.area_high = 0.2;
  for (int i = 0; i < 200; ++i) {
    const Crop crop = random_crop(480, 640, 50, 100, spec, random);
    const double aspect = static_cast<double>(crop.width) / crop.height / 2;
    // Sides of 107 pixels and more rounded to whole ones.
    CHECK((aspect > 0.75 * 0.99 && aspect < 4.0 / 3 * 1.01));
  }
}

TEST_CASE("clip: scaled cuts are the covering part divided by the factor") {
  Random random(5, stream_id("test"));
  CropSpec spec;
  spec.kind = CropSpec::Kind::scaled;
  spec.factor_low = spec.factor_high = 1.5;
  std::set<int> places;
  for (int i = 0; i < 500; ++i) {
    const Crop crop = random_crop(240, 320, 112, 112, spec, random);
    CHECK((crop.width == 160 && crop.height == 160));
    places.insert(crop.x);
  }
  CHECK(*places.begin() == 0);
  CHECK(*places.rbegin() == 160);  // both ends are reached: 500 draws of 161 places miss one with p = 0.04
  spec.factor_low = spec.factor_high = 1;
  CHECK(random_crop(240, 320, 112, 112, spec, random).width == 240);
}

TEST_CASE("clip: bad crop ranges are refused") {
  const auto message = [](const CropSpec& spec) {
    try {
      check_crop_spec(spec);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CropSpec spec;
  CHECK(message(spec).empty());
  spec.area_low = 0;
  CHECK(message(spec) == "crop area: 0 to 1, wanted a range within 0.0001 to 1");
  spec = {};
  spec.aspect_high = 0.5;
  CHECK(message(spec) == "crop aspect: 0.75 to 0.5, wanted a range within 0.0001 to 10000");
  spec = {};
  spec.factor_low = 0.9;
  CHECK(message(spec) == "crop factor: 0.9 to 1.25, wanted a range within 1 to 10000");
  spec = {};
  spec.area_high = std::nan("");
  CHECK(message(spec) == "crop area: 0.4 to nan, wanted a range within 0.0001 to 1");
}

}  // namespace
}  // namespace stp

// Frames from videos, folders and strips through one interface.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "data/frames.h"
#include "data/image.h"
#include "tests/data/files.h"
#include "tests/data/video_samples.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using test::moving_frame;
using test::Pixels;

std::vector<Pixels> all_frames(FrameSource& source, const Rational& time_base) {
  std::vector<Pixels> frames;
  Frame frame;
  while (source.next(frame)) {
    CHECK(frame.time == static_cast<std::int64_t>(frames.size()));
    CHECK(frame.width == source.info().width);
    CHECK(frame.height == source.info().height);
    frames.push_back(frame.rgb);
  }
  CHECK_FALSE(source.next(frame));
  CHECK_FALSE(source.skip());
  CHECK(source.info().time_base == time_base);
  CHECK(source.damaged() == 0);
  CHECK(source.damage().empty());
  return frames;
}

// Five frames of 24 x 24 as a lossless video, a folder and a strip.
struct Three {
  std::vector<Pixels> frames;
  std::array<std::filesystem::path, 3> paths;

  explicit Three(const TemporaryFolder& folder)
      : paths{folder / "a.mp4", folder / "frames", folder / "strip.png"} {
    constexpr int side = 24, count = 5;
    std::filesystem::create_directory(paths[1]);
    Pixels strip(static_cast<std::size_t>(side * side * count * 3));
    VideoSpec spec;
    spec.width = spec.height = side;
    spec.time_base = {1, 25};
    spec.lossless = true;
    VideoWriter writer(paths[0], spec);
    for (int n = 0; n < count; ++n) {
      frames.push_back(moving_frame(n, side, side));
      writer.write(frames.back(), n);
      write_png(paths[1] / fmt::format("frame {}.png", n + 7), frames.back(), side, side);
      for (int y = 0; y < side; ++y)
        std::copy_n(&frames.back()[static_cast<std::size_t>(y * side * 3)], side * 3,
                    &strip[static_cast<std::size_t>((y * count + n) * side * 3)]);
    }
    writer.finish();
    write_png(paths[2], strip, side * count, side);
  }
};

TEST_CASE("frames: a video, a folder and a strip of the same frames read alike") {
  const TemporaryFolder folder;
  const Three three(folder);
  put(three.paths[1] / "n_frames", "5\n");  // what others leave in such folders
  std::filesystem::create_directory(three.paths[1] / "thumbnails");
  for (const auto& path : three.paths) {
    const auto source = open_frames(path);
    CHECK(source->info().declared_frames == 5);
    CHECK(all_frames(*source, {1, 25}) == three.frames);
    const auto again = open_frames(path);
    Frame frame;
    CHECK((again->skip() && again->skip() && again->next(frame)));
    CHECK(frame.rgb == three.frames[2]);
    CHECK(frame.time == 2);
  }
}

TEST_CASE("frames: numbers in names are in the order of numbers") {
  const TemporaryFolder folder;
  const std::vector<std::string> order{"0.png",
                                       "1.PNG",
                                       "2.png",
                                       "10.png",
                                       "010.png.jpg",
                                       "a1b2.png",
                                       "a1b10.png",
                                       "a2b1.png",
                                       "b99999999999999999999998.png",
                                       "b99999999999999999999999.png",
                                       "b100000000000000000000000.png"};
  for (std::size_t i = 0; i < order.size(); ++i)
    write_png(folder / order[i], Pixels(12, static_cast<std::uint8_t>(i)), 2, 2);
  const auto source = open_frames(folder.path(), {.limits = {}, .frame_rate = {30000, 1001}});
  const auto frames = all_frames(*source, {1001, 30000});
  REQUIRE(frames.size() == order.size());
  for (std::size_t i = 0; i < frames.size(); ++i) CHECK(int{frames[i][0]} == static_cast<int>(i));
}

TEST_CASE("frames: what is no sequence of frames is refused") {
  const TemporaryFolder folder;
  CHECK(contains(error_of([&] { open_frames(folder.path()); }), "no .jpg or .png"));
  CHECK(contains(error_of([&] { open_frames(folder / "absent"); }), "No such file"));
  write_png(folder / "1.png", moving_frame(0, 8, 6), 8, 6);
  write_png(folder / "2.png", moving_frame(0, 8, 7), 8, 7);
  const auto source = open_frames(folder.path());
  Frame frame;
  REQUIRE(source->next(frame));
  CHECK(contains(error_of([&] { source->next(frame); }),
                 "2.png: 8x7 pixels, the first frame of the folder has 8x6"));
  CHECK(contains(error_of([&] { open_frames(folder / "1.png"); }), "no strip"));
  CHECK(
      contains(error_of([&] { open_frames(folder.path(), {.limits = {.frames = 1}}); }), "more than 1 frames"));
  CHECK(contains(error_of([&] { open_frames(folder.path(), {.limits = {.frame_pixels = 47}}); }),
                 "the limit is 47"));
  CHECK(contains(error_of([&] { open_frames(folder.path(), {.limits = {.total_pixels = 95}}); }),
                 "95 pixels in all"));
  CHECK(contains(error_of([&] {
                   open_frames(folder.path(), {.limits = {}, .frame_rate = {0, 1}});
                 }),
                 "frame rate 0/1"));
  put(folder / "1.png", "no picture");
  CHECK(contains(error_of([&] { open_frames(folder.path()); }), "neither JPEG nor PNG"));
}

TEST_CASE("frames: the strips and folders of the published sets") {
  const auto strips = test::recordings("weizmann-strips");
  if (strips.empty()) return;
  int read = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(strips)) {
    if (!entry.is_regular_file()) continue;
    const auto source = open_frames(entry.path());
    CHECK(source->info().width == 64);
    CHECK(source->info().height == 64);
    CHECK(source->info().codec == "png");  // though named .jpg
    int frames = 0;
    for (Frame frame; source->next(frame);) ++frames;
    CHECK(frames == source->info().declared_frames);
    CHECK(frames >= 51);
    CHECK(frames <= 146);
    ++read;
  }
  CHECK(read == 28);
  const auto folders = test::recordings("ucf101/frames/ApplyEyeMakeup");
  if (folders.empty()) return;
  for (const auto& entry : std::filesystem::directory_iterator(folders)) {
    const auto source = open_frames(entry.path());
    CHECK(source->info().codec == "jpeg");
    int frames = 0;
    for (Frame frame; source->next(frame);) frames += frame.width == 340 && frame.height == 256 ? 1 : 0;
    CHECK(frames == 25);
  }
}

}  // namespace
}  // namespace stp

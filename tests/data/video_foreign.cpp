// Files that others write: formats, several streams, changes midway. Made with the program ffmpeg; skipped
// where it is not installed.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/data/video_samples.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using test::decode;
using test::ffmpeg;
using test::read_apart;
using test::shell_quoted;

std::string pattern(int width, int height) {
  return fmt::format("-f lavfi -i testsrc2=s={}x{}:r=10:d=1", width, height);
}

void make(const std::filesystem::path& path, const std::string& arguments,
          const std::string& source = pattern(96, 64)) {
  ffmpeg(source + " " + arguments + " " + shell_quoted(path.string()));
}

// The frames as ffmpeg converts them, with the same settings as ours.
std::string converted(const std::filesystem::path& path, const std::string& siting) {
  return ffmpeg(
      "-i " + shell_quoted(path.string()) +
      " -map 0:v:0 -fps_mode passthrough -vf scale=flags=bilinear+accurate_rnd+full_chroma_int+bitexact:"
      "sws_dither=none" +
      siting + " -pix_fmt rgb24 -f rawvideo -");
}

TEST_CASE("video reader: codecs, pixel formats, ranges and matrices agree with ffmpeg") {
  if (!test::have_ffmpeg()) return;
  const TemporaryFolder folder;
  const std::string left = ":in_h_chr_pos=0:in_v_chr_pos=128", centre = ":in_h_chr_pos=128:in_v_chr_pos=128";
  struct Case {
    std::string name, arguments, siting, format;
  };
  const std::vector<Case> cases{
      {"h264.mp4", "-c:v libx264 -pix_fmt yuv420p", left, "yuv420p"},
      {"ten.mp4", "-c:v libx264 -pix_fmt yuv420p10le", left, "yuv420p10le"},
      {"grey.mkv", "-c:v ffv1 -pix_fmt gray", "", "gray"},
      {"full.mp4", "-c:v libx264 -pix_fmt yuvj420p -color_range pc", left, "yuvj420p"},
      {"bt709.mp4", "-c:v libx264 -pix_fmt yuv420p -colorspace bt709", left, "yuv420p"},
      {"bt2020.mp4", "-c:v libx264 -pix_fmt yuv420p -colorspace bt2020nc", left, "yuv420p"},
      {"444.mp4", "-c:v libx264 -pix_fmt yuv444p", "", "yuv444p"},
      {"mpeg4.avi", "-c:v mpeg4", left, "yuv420p"},
      {"mpeg2.mpg", "-c:v mpeg2video", left, "yuv420p"},
      {"mpeg2.ts", "-c:v mpeg2video", left, "yuv420p"},
      {"mjpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p", centre, "yuvj420p"},
      {"flv.flv", "-c:v flv1", centre, "yuv420p"},
      {"wmv.wmv", "-c:v wmv2", centre, "yuv420p"},
      {"prores.mov", "-c:v prores_ks -pix_fmt yuv422p10le", "", "yuv422p10le"},
      {"bgra.mkv", "-c:v ffv1 -pix_fmt bgra", "", "bgra"},
      {"palette.avi", "-c:v rawvideo -pix_fmt pal8", "", "pal8"},
      {"huffyuv.avi", "-c:v huffyuv -pix_fmt yuv422p", "", "yuv422p"},
      {"anim.gif", "", "", "bgra"},
      {"png.mov", "-c:v png -pix_fmt rgb24", "", "rgb24"},
      {"odd.avi", "-vf scale=97:63 -c:v mpeg4", left, "yuv420p"},
      {"raw.h264", "-c:v libx264 -pix_fmt yuv420p", left, "yuv420p"},
  };
  for (const Case& k : cases) {
    CAPTURE(k.name);
    make(folder / k.name, k.arguments);
    const auto read = decode(folder / k.name);
    CHECK(read.info.pixel_format == k.format);
    CHECK(read.damaged == 0);
    CHECK(read.frames.size() == 10);
    for (std::size_t i = 1; i < read.times.size(); ++i) CHECK(read.times[i] > read.times[i - 1]);
    const std::string wanted = converted(folder / k.name, k.siting);
    std::string got;
    for (const auto& frame : read.frames) got.append(frame.begin(), frame.end());
    REQUIRE(got.size() == wanted.size());
    int worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      worst = std::max(
          worst, std::abs(int{static_cast<std::uint8_t>(got[i])} - int{static_cast<std::uint8_t>(wanted[i])}));
    // Equal where the program and our libraries are of one version; another version may round the last bit
    // otherwise.
    CHECK(worst <= 1);
  }
}

TEST_CASE("video reader: a colour matrix without conversion is refused, with the file's name") {
  if (!test::have_ffmpeg()) return;
  const TemporaryFolder folder;
  make(folder / "a.mp4", "-c:v libx264 -pix_fmt yuv420p -colorspace ycgco");
  CHECK(contains(read_apart(folder / "a.mp4").error, "a.mp4: colour matrix ycgco"));
}

TEST_CASE("video reader: among several streams the default one, never the cover; the others are named") {
  if (!test::have_ffmpeg()) return;
  const TemporaryFolder folder;
  const std::string two = pattern(96, 64) + " " + pattern(128, 96);
  make(folder / "first.mkv", "-map 0 -map 1 -c:v mpeg4 -disposition:0 default -disposition:1 0", two);
  make(folder / "second.mkv", "-map 0 -map 1 -c:v mpeg4 -disposition:0 0 -disposition:1 default", two);
  make(folder / "larger.mkv", "-map 0 -map 1 -c:v mpeg4 -disposition:0 0 -disposition:1 0", two);
  CHECK(decode(folder / "first.mkv").info.width == 96);
  CHECK(decode(folder / "second.mkv").info.width == 128);
  CHECK(decode(folder / "larger.mkv").info.width == 128);
  CHECK(decode(folder / "first.mkv").info.others == std::vector<std::string>{"video mpeg4"});
  make(folder / "cover.png", "-frames:v 1");
  make(folder / "sound.mp4", "-c:v mpeg4 -c:a aac", pattern(96, 64) + " -f lavfi -i sine=d=1");
  const std::string cover = " -i " + shell_quoted((folder / "cover.png").string());
  make(folder / "both.mp4", "-map 0 -map 1 -c copy -disposition:v:1 attached_pic",
       "-i " + shell_quoted((folder / "sound.mp4").string()) + cover);
  const auto both = decode(folder / "both.mp4");
  CHECK(both.frames.size() == 10);
  CHECK(both.info.others == std::vector<std::string>{"audio aac", "picture png"});
  make(folder / "only.mp4", "-map 0 -map 1 -c:a aac -c:v png -disposition:v:0 attached_pic",
       "-f lavfi -i sine=d=1" + cover);
  CHECK(contains(read_apart(folder / "only.mp4").error, "no video stream (it has: audio aac, picture png)"));
}

TEST_CASE(
    "video reader: a change of size or format midway is an error that names it, the frames before are good") {
  if (!test::have_ffmpeg()) return;
  const TemporaryFolder folder;
  make(folder / "a.ts", "-c:v libx264 -pix_fmt yuv420p");
  make(folder / "b.ts", "-c:v libx264 -pix_fmt yuv420p", pattern(128, 96));
  make(folder / "c.ts", "-c:v libx264 -pix_fmt yuv444p");
  const std::string a = content(folder / "a.ts");
  put(folder / "size.ts", a + content(folder / "b.ts"));
  put(folder / "format.ts", a + content(folder / "c.ts"));
  CHECK(contains(read_apart(folder / "size.ts").error, "128x96 yuv420p, the frames before are 96x64 yuv420p"));
  CHECK(contains(read_apart(folder / "format.ts").error, "96x64 yuv444p, the frames before are 96x64 yuv420p"));
  VideoReader reader(folder / "size.ts");
  int frames = 0;
  Frame frame;
  CHECK_THROWS_AS(for (; reader.next(frame); ++frames){}, Error);
  CHECK(frames == 10);
}

TEST_CASE("video reader: recordings joined end to end have times that go on") {
  if (!test::have_ffmpeg()) return;
  const TemporaryFolder folder;
  make(folder / "a.ts", "-c:v mpeg2video");
  const std::string a = content(folder / "a.ts");
  put(folder / "joined.ts", a + a + a);
  const auto read = decode(folder / "joined.ts");
  CHECK(read.frames.size() == 30);
  CHECK(read.repaired > 0);
  const std::int64_t frame = 9000;  // a tenth of a second in units of 1/90000 s
  for (std::size_t i = 1; i < read.times.size(); ++i) CHECK(read.times[i] > read.times[i - 1]);
  CHECK(read.times.back() - read.times.front() <= 32 * frame);
}

TEST_CASE("video reader: variable rates and late or early beginnings are kept") {
  if (!test::have_ffmpeg()) return;
  const TemporaryFolder folder;
  make(folder / "uneven.mp4", "-vf \"select='not(mod(n,3))+eq(n,1)'\" -fps_mode vfr -c:v libx264");
  const auto uneven = decode(folder / "uneven.mp4");
  const std::int64_t unit = uneven.info.time_base.den / 10;
  CHECK(uneven.times == std::vector<std::int64_t>{0, unit, 3 * unit, 6 * unit, 9 * unit});
  make(folder / "late.mp4", "-c:v libx264 -output_ts_offset 3.3");
  const auto late = decode(folder / "late.mp4");
  CHECK(late.times.front() * 10 == 33 * late.info.time_base.den);
  make(folder / "early.ts", "-c:v libx264 -output_ts_offset 95440");  // wraps: the library calls it -2 s
  const auto early = decode(folder / "early.ts");
  CHECK(early.times.front() >= 0);
  CHECK(early.times.size() == 10);
}

TEST_CASE("video writer: ffmpeg reads the files as we do") {
  if (!test::have_ffmpeg()) return;
  const TemporaryFolder folder;
  for (const bool lossless : {true, false})
    for (const auto& [width, height] : {std::pair{48, 32}, {49, 33}}) {
      VideoSpec spec;
      spec.width = width;
      spec.height = height;
      spec.lossless = lossless;
      test::write_moving(folder / "a.mp4", spec, test::count_to(5));
      const std::string wanted =
          converted(folder / "a.mp4", lossless || width % 2 == 1 ? "" : ":in_h_chr_pos=128:in_v_chr_pos=128");
      std::string got;
      for (const auto& frame : decode(folder / "a.mp4").frames) got.append(frame.begin(), frame.end());
      REQUIRE(got.size() == wanted.size());
      int worst = 0;
      for (std::size_t i = 0; i < got.size(); ++i)
        worst = std::max(worst, std::abs(int{static_cast<std::uint8_t>(got[i])} -
                                         int{static_cast<std::uint8_t>(wanted[i])}));
      CHECK(worst <= 1);  // as above
    }
}

}  // namespace
}  // namespace stp

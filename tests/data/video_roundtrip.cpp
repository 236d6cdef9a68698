// What is written can be read: pixels, sizes, times, and nothing besides.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cmath>
#include <map>
#include <set>

#include "data/libav.h"
#include "tests/data/video_samples.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using test::count_to;
using test::decode;
using test::moving_frame;
using test::Pixels;

struct Size {
  int width, height;
};

// Time bases that each container can state.
Rational time_base_for(const std::string& extension) {
  return extension == ".mkv" ? Rational{1, 1000} : Rational{1001, 30000};
}

VideoSpec spec_of(int width, int height, bool lossless = false) {
  VideoSpec spec;
  spec.width = width;
  spec.height = height;
  spec.lossless = lossless;
  return spec;
}

TEST_CASE("video writer: lossless is bit exact in every container and size") {
  const TemporaryFolder folder;
  for (const std::string extension : {".mp4", ".mov", ".mkv"})
    for (const Size size : {Size{1, 1}, {2, 2}, {3, 5}, {17, 9}, {1, 64}, {64, 2}, {112, 112}, {97, 63}}) {
      CAPTURE(extension);
      CAPTURE(size.width);
      VideoSpec spec = spec_of(size.width, size.height, true);
      spec.time_base = time_base_for(extension);
      const auto path = folder / fmt::format("a{}", extension);
      test::write_moving(path, spec, count_to(6));
      const auto read = decode(path);
      REQUIRE(read.frames.size() == 6);
      for (int i = 0; i < 6; ++i)
        CHECK(read.frames[static_cast<std::size_t>(i)] == moving_frame(i, size.width, size.height));
      CHECK(read.info.width == size.width);
      CHECK(read.info.height == size.height);
      CHECK(read.info.codec == "h264");
      CHECK(read.info.pixel_format == "gbrp");
      CHECK(read.damaged == 0);
    }
}

TEST_CASE("video writer: lossy keeps every size and comes close") {
  const TemporaryFolder folder;
  for (const Size size : {Size{1, 1}, {2, 2}, {5, 3}, {64, 48}, {65, 48}, {64, 49}, {112, 112}}) {
    CAPTURE(size.width);
    CAPTURE(size.height);
    const auto path = folder / "a.mp4";
    test::write_moving(path, spec_of(size.width, size.height), count_to(8));
    const auto read = decode(path);
    REQUIRE(read.frames.size() == 8);
    CHECK(read.info.width == size.width);
    CHECK(read.info.height == size.height);
    const bool even = size.width % 2 == 0 && size.height % 2 == 0;
    CHECK(read.info.pixel_format == (even ? "yuv420p" : "yuv444p"));
    // x264's rate factor 18 on smooth content: about 2 levels, chroma of the smallest pictures somewhat more.
    for (int i = 0; i < 8; ++i) {
      const double off = test::mean_difference(read.frames[static_cast<std::size_t>(i)],
                                               moving_frame(i, size.width, size.height));
      CHECK(off <= 6);
    }
  }
}

TEST_CASE("video writer: flat colours come back, black exactly") {
  const TemporaryFolder folder;
  // Limited range has 219 levels for 256: one level of luma is 1.16 of grey; a level of chroma moves blue
  // by 2.1.
  const std::vector<std::array<std::uint8_t, 3>> colours{{0, 0, 0},     {255, 255, 255}, {128, 128, 128},
                                                         {255, 0, 0},   {0, 255, 0},     {0, 0, 255},
                                                         {13, 200, 77}, {250, 128, 3}};
  for (const Size size : {Size{32, 32}, {33, 31}}) {
    VideoWriter writer(folder / "a.mp4", spec_of(size.width, size.height));
    for (std::size_t i = 0; i < colours.size(); ++i) {
      Pixels rgb;
      for (int p = 0; p < size.width * size.height; ++p)
        rgb.insert(rgb.end(), colours[i].begin(), colours[i].end());
      writer.write(rgb, static_cast<std::int64_t>(i));
    }
    writer.finish();
    const auto read = decode(folder / "a.mp4");
    REQUIRE(read.frames.size() == colours.size());
    for (std::size_t i = 0; i < colours.size(); ++i) {
      int worst = 0;
      for (std::size_t p = 0; p < read.frames[i].size(); ++p)
        worst = std::max(worst, std::abs(int{read.frames[i][p]} - int{colours[i][p % 3]}));
      CAPTURE(i);
      CHECK(worst <= (i == 0 ? 0 : 4));
    }
  }
}

TEST_CASE("video writer: at the best quality every pixel of an odd size comes back in its place") {
  const TemporaryFolder folder;
  VideoSpec spec = spec_of(33, 31);
  spec.quality = 0;
  // Columns of pure colours side by side: chroma that is shifted by half a pixel would mix them.
  Pixels rgb;
  for (int p = 0; p < 33 * 31; ++p)
    for (int channel = 0; channel < 3; ++channel) rgb.push_back(p % 33 % 3 == channel ? 220 : 30);
  VideoWriter writer(folder / "a.mp4", spec);
  writer.write(rgb, 0);
  writer.finish();
  const auto read = decode(folder / "a.mp4");
  int worst = 0;
  for (std::size_t p = 0; p < rgb.size(); ++p)
    worst = std::max(worst, std::abs(int{read.frames[0][p]} - int{rgb[p]}));
  CHECK(worst <= 4);  // limited range, as above
}

TEST_CASE("video writer: times are kept exactly, in odd time bases and at uneven distances") {
  const TemporaryFolder folder;
  struct Case {
    const char* extension;
    Rational time_base;
    std::vector<std::int64_t> times;
    Rational read_base;
    std::int64_t factor;
  };
  const std::vector<Case> cases{
      {".mp4", {1, 30}, {0, 1, 2, 3, 4}, {1, 30}, 1},
      {".mp4", {1001, 30000}, {0, 1, 3, 4, 90}, {1, 30000}, 1001},
      {".mp4", {1, 1}, {0, 1, 7}, {1, 1}, 1},
      {".mp4", {7, 3}, {5, 6, 100}, {1, 3}, 7},
      {".mp4", {2, 60}, {1, 2}, {1, 30}, 1},
      {".mp4", {1, 90000}, {123456, 126459, 129465}, {1, 90000}, 1},
      {".mov", {1, 10'000'000}, {1, 333'334, 2'000'000'000}, {1, 10'000'000}, 1},
      {".mp4", {1, 2147483647}, {0, 1, 2147483647}, {1, 2147483647}, 1},
      {".mov", {1499, 45000}, {0, 2, 3}, {1, 45000}, 1499},
      {".mp4", {1, 1000}, {86'400'000, 86'400'033}, {1, 1000}, 1},    // begins after a day
      {".mp4", {1, 90000}, {8589934592, 8589937595}, {1, 90000}, 1},  // begins at 33 bits
      {".mkv", {1, 1000}, {0, 33, 67, 100, 40000}, {1, 1000}, 1},
      {".mkv", {1, 25}, {3, 4, 9}, {1, 1000}, 40},
      {".mkv", {1, 1000}, {86'400'000, 86'400'033}, {1, 1000}, 1},
      {".mp4", {1, 30}, {7}, {1, 30}, 1},  // one frame
      {".mkv", {1, 10}, {0}, {1, 1000}, 100},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    VideoSpec spec = spec_of(16, 16);
    spec.time_base = cases[i].time_base;
    const auto path = folder / fmt::format("{}{}", i, cases[i].extension);
    test::write_moving(path, spec, cases[i].times);
    const auto read = decode(path);
    CHECK(read.info.time_base == cases[i].read_base);
    CHECK(read.repaired == 0);
    std::vector<std::int64_t> wanted;
    for (const std::int64_t time : cases[i].times) wanted.push_back(time * cases[i].factor);
    CHECK(read.times == wanted);
  }
}

TEST_CASE("video writer: a frame rate that is unknown, odd or huge is only a hint") {
  const TemporaryFolder folder;
  for (const Rational rate :
       {Rational{0, 1}, {1, 1000}, {343125, 12301}, {90000, 1}, {INT64_MAX, 1}, {1, INT64_MAX}}) {
    VideoSpec spec = spec_of(16, 16);
    spec.frame_rate = rate;
    test::write_moving(folder / "a.mp4", spec, {0, 2, 5});
    CHECK(decode(folder / "a.mp4").times == std::vector<std::int64_t>{0, 2, 5});
  }
}

TEST_CASE("video writer: the shape of pixels is kept") {
  const TemporaryFolder folder;
  for (const std::string extension : {".mp4", ".mov", ".mkv"}) {
    VideoSpec spec = spec_of(34, 26);
    spec.time_base = {1, 1000};
    spec.pixel_aspect = {64, 51};
    const auto path = folder / fmt::format("a{}", extension);
    test::write_moving(path, spec, {0, 40});
    CHECK(decode(path).info.pixel_aspect == Rational{64, 51});
  }
}

TEST_CASE("video writer: the same frames give the same bytes, for the owner only") {
  const TemporaryFolder folder;
  for (const std::string extension : {".mp4", ".mov", ".mkv"})
    for (const bool lossless : {false, true}) {
      VideoSpec spec = spec_of(50, 34, lossless);
      spec.time_base = {1, 1000};
      const auto a = folder / fmt::format("a{}", extension),
                 b = folder / fmt::format("other name{}", extension);
      test::write_moving(a, spec, {0, 40, 80, 100});
      test::write_moving(b, spec, {0, 40, 80, 100});
      CHECK(content(a) == content(b));
      struct stat status {};
      REQUIRE(stat(a.c_str(), &status) == 0);
      CHECK((status.st_mode & 0777) == 0600);
    }
}

// Every key of a dictionary that is not in `allowed`.
std::string unlisted(const AVDictionary* dictionary, const std::set<std::string>& allowed) {
  std::string found;
  for (const AVDictionaryEntry* tag = nullptr;
       (tag = av_dict_get(dictionary, "", tag, AV_DICT_IGNORE_SUFFIX)) != nullptr;)
    if (!allowed.contains(tag->key)) found += fmt::format("{}={};", tag->key, tag->value);
  return found;
}

TEST_CASE("video writer: one stream, and no tag, side data or name beyond what the container forces") {
  const TemporaryFolder folder;
  const std::map<std::string, std::set<std::string>> format_tags{
      {".mp4", {"major_brand", "minor_version", "compatible_brands"}},
      {".mov", {"major_brand", "minor_version", "compatible_brands"}},
      {".mkv", {"encoder"}}};
  const std::map<std::string, std::set<std::string>> stream_tags{
      {".mp4", {"language", "vendor_id"}}, {".mov", {"vendor_id"}}, {".mkv", {"DURATION"}}};
  for (const auto& [extension, allowed] : format_tags)
    for (const bool lossless : {false, true}) {
      CAPTURE(extension);
      VideoSpec spec = spec_of(48, 32, lossless);
      spec.time_base = {1, 1000};
      const auto path = folder / fmt::format("secret-name{}", extension);
      test::write_moving(path, spec, {0, 40, 80});
      AVFormatContext* format = nullptr;
      REQUIRE(avformat_open_input(&format, path.c_str(), nullptr, nullptr) == 0);
      CHECK(format->nb_streams == 1);
      CHECK(format->nb_chapters == 0);
      CHECK(unlisted(format->metadata, allowed).empty());
      CHECK(unlisted(format->streams[0]->metadata, stream_tags.at(extension)).empty());
      CHECK(format->streams[0]->nb_side_data == 0);
      avformat_close_input(&format);
      const std::string bytes = content(path);
      for (const char* name : {"x264", "Lavc", "secret", "VideoHandler", "cabac", "crf"})
        CHECK(!contains(bytes, name));
      if (extension != ".mkv") CHECK(!contains(bytes, "Lavf"));
      const auto read = decode(path);
      CHECK(read.info.others.empty());
    }
}

TEST_CASE(
    "video writer: a black tubelet beside bright ones stays black before and close to black after coding") {
  const TemporaryFolder folder;
  for (const bool lossless : {true, false}) {
    VideoWriter writer(folder / "a.mp4", spec_of(64, 64, lossless));
    for (int n = 0; n < 8; ++n) {
      Pixels rgb = moving_frame(n, 64, 64);
      for (int y = 16; y < 32; ++y)
        for (int x = 32; x < 48; ++x)
          for (int c = 0; c < 3; ++c) rgb[static_cast<std::size_t>((y * 64 + x) * 3 + c)] = 0;
      writer.write(rgb, n);
    }
    writer.finish();
    int worst = 0, worst_inside = 0;
    for (const Pixels& rgb : decode(folder / "a.mp4").frames)
      for (int y = 16; y < 32; ++y)
        for (int x = 32; x < 48; ++x)
          for (int c = 0; c < 3; ++c) {
            const int value = rgb[static_cast<std::size_t>((y * 64 + x) * 3 + c)];
            worst = std::max(worst, value);
            if (y >= 20 && y < 28 && x >= 36 && x < 44) worst_inside = std::max(worst_inside, value);
          }
    // Lossy: the deblocking filter and the interpolation of chroma reach a few pixels over the edge.
    CHECK(worst <= (lossless ? 0 : 80));
    CHECK(worst_inside <= (lossless ? 0 : 12));
  }
}

}  // namespace
}  // namespace stp

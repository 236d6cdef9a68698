// Files that are cut, or in which bits have flipped: frames or one Error, and the damage is counted.
#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "engine/rng.h"
#include "tests/data/video_samples.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using test::count_to;
using test::decode;
using test::read_apart;

constexpr int kFrames = 12;

VideoSpec small(const std::string& extension) {
  VideoSpec spec;
  spec.width = 64;
  spec.height = 48;
  if (extension == ".mkv") spec.time_base = {1, 1000};
  return spec;
}

std::string clip(const TemporaryFolder& folder, const std::string& extension) {
  const auto path = folder / ("whole" + extension);
  test::write_moving(path, small(extension), count_to(kFrames));
  return content(path);
}

// In the test's own process, which is quicker; none of these files has died yet. Returns frames, or -1 for an
// Error.
int frames_of(const std::filesystem::path& path, std::int64_t& damaged) {
  try {
    const auto read = decode(path);
    damaged = read.damaged;
    return static_cast<int>(read.frames.size());
  } catch (const Error&) {
    return -1;
  }
}

TEST_CASE("video reader: a file cut anywhere gives fewer frames and a count of damage, or an error") {
  const TemporaryFolder folder;
  for (const std::string extension : {".mp4", ".mkv", ".mov"}) {
    const std::string bytes = clip(folder, extension);
    for (std::size_t cut = 1; cut < bytes.size(); cut += 1 + bytes.size() / 150) {
      CAPTURE(extension);
      CAPTURE(cut);
      put(folder / "cut", std::string_view(bytes).substr(0, cut));
      std::int64_t damaged = 0;
      const int frames = frames_of(folder / "cut", damaged);
      CHECK(frames <= kFrames);
      // Matroska: what is cut may be the index behind the last frame, which nobody misses.
      CHECK((frames < 0 || damaged > 0 || (frames == kFrames && cut > bytes.size() * 9 / 10)));
    }
  }
}

TEST_CASE("video reader: flipped bits give frames or an error, never a crash, a hang or a flood") {
  const TemporaryFolder folder;
  Random random(1, stream_id("flips"));
  for (const std::string extension : {".mp4", ".mkv"}) {
    const std::string bytes = clip(folder, extension);
    for (int trial = 0; trial < 60; ++trial) {
      CAPTURE(extension);
      CAPTURE(trial);
      std::string bad = bytes;
      const int flips = trial % 3 == 0 ? 1 : 8;
      for (int i = 0; i < flips; ++i) {
        // Half of them where the structure is: at the two ends.
        const std::size_t span = i % 2 == 0 ? bad.size() : std::min<std::size_t>(bad.size(), 900);
        const std::size_t at = random.below(span);
        char& byte = i % 4 == 1 ? bad[bad.size() - 1 - at] : bad[at];
        byte = static_cast<char>(byte ^ (1 << random.below(8)));
      }
      put(folder / "bad", bad);
      const auto outcome = read_apart(folder / "bad");
      CHECK_FALSE(outcome.died);
      CHECK(outcome.peak_mb <= 512);
      CHECK(outcome.frames <= 10000);
    }
  }
}

TEST_CASE("video reader: damage within the pictures is counted") {
  const TemporaryFolder folder;
  std::string bytes = clip(folder, ".mp4");
  // The coded pictures lie behind the header of the box "mdat".
  const std::size_t data = bytes.find("mdat") + 4;
  for (std::size_t i = 0; i < 40; ++i) bytes[data + 60 + i] = static_cast<char>(37 * i);
  put(folder / "bad.mp4", bytes);
  VideoReader reader(folder / "bad.mp4");
  while (reader.skip()) {
  }
  CHECK(reader.damaged() > 0);
  CHECK(!reader.damage().empty());
  CHECK(reader.damage().find('\n') == std::string::npos);
}

// Puts a display matrix into every track header of an MP4 file: 9 numbers, of which these are a, b, c, d
// (16.16).
void put_matrix(std::string& bytes, const std::array<std::int32_t, 4>& abcd) {
  const std::array<std::int32_t, 9> matrix{abcd[0], abcd[1], 0, abcd[2], abcd[3], 0, 0, 0, 1 << 30};
  const std::size_t at = bytes.find("tkhd");
  REQUIRE(at != std::string::npos);
  const bool wide = bytes[at + 4] == 1;  // version 1 has 64-bit times
  for (std::size_t i = 0; i < matrix.size(); ++i)
    for (std::size_t byte = 0; byte < 4; ++byte)
      bytes[at + 4 + (wide ? 52 : 40) + 4 * i + byte] =
          static_cast<char>(static_cast<std::uint32_t>(matrix[i]) >> (24 - 8 * byte));
}

TEST_CASE("video reader: the eight ways to turn a picture are applied to its pixels") {
  const TemporaryFolder folder;
  VideoSpec spec = small(".mp4");
  spec.lossless = true;
  spec.pixel_aspect = {4, 3};
  test::write_moving(folder / "a.mp4", spec, count_to(2));
  const std::string bytes = content(folder / "a.mp4");
  const auto upright = decode(folder / "a.mp4").frames[1];
  constexpr std::int32_t one = 1 << 16;
  struct Turn {
    std::array<std::int32_t, 4> abcd;  // x' = a x + c y, y' = b x + d y, then moved to begin at 0
    int rotation;
    bool mirrored;
  };
  const std::vector<Turn> turns{{{one, 0, 0, one}, 0, false},     {{0, one, -one, 0}, 90, false},
                                {{-one, 0, 0, -one}, 180, false}, {{0, -one, one, 0}, 270, false},
                                {{-one, 0, 0, one}, 0, true},     {{0, -one, -one, 0}, 90, true},
                                {{one, 0, 0, -one}, 180, true},   {{0, one, one, 0}, 270, true}};
  for (const Turn& turn : turns) {
    CAPTURE(turn.rotation);
    CAPTURE(turn.mirrored);
    std::string turned = bytes;
    put_matrix(turned, turn.abcd);
    put(folder / "turned.mp4", turned);
    const auto read = decode(folder / "turned.mp4");
    CHECK(read.info.rotation == turn.rotation);
    CHECK(read.info.mirrored == turn.mirrored);
    const bool lying = turn.rotation % 180 == 90;
    const int width = lying ? 48 : 64, height = lying ? 64 : 48;
    REQUIRE(read.info.width == width);
    REQUIRE(read.info.height == height);
    CHECK(read.info.pixel_aspect == (lying ? Rational{3, 4} : Rational{4, 3}));
    // The definition, pixel by pixel: mirror first, then turn clockwise in steps of 90 degrees.
    int wrong = 0;
    for (int y = 0; y < 48; ++y)
      for (int x = 0; x < 64; ++x) {
        int u = turn.mirrored ? 63 - x : x, v = y, w = 64, h = 48;
        for (int step = 0; step < turn.rotation / 90; ++step) {
          const int old_u = u;
          u = h - 1 - v;
          v = old_u;
          std::swap(w, h);
        }
        wrong += std::memcmp(&upright[static_cast<std::size_t>((y * 64 + x) * 3)],
                             &read.frames[1][static_cast<std::size_t>((v * width + u) * 3)], 3) != 0;
      }
    CHECK(wrong == 0);
  }
  for (const std::array<std::int32_t, 4>& bad :
       {std::array{46341, 46341, -46341, 46341}, {0, 0, 0, 0}, {one, one, 0, 0}, {one, 0, 0, 0}}) {
    std::string turned = bytes;
    put_matrix(turned, bad);
    put(folder / "turned.mp4", turned);
    CHECK(contains(read_apart(folder / "turned.mp4").error, "no right angle"));
  }
}

TEST_CASE("video reader: times that stand still in the file are repaired") {
  const TemporaryFolder folder;
  std::string bytes = clip(folder, ".mp4");
  // The box "stts" says how long each frame lasts; one entry for all frames but the last.
  const std::size_t at = bytes.find("stts");
  REQUIRE(at != std::string::npos);
  for (std::size_t i = 0; i < 4; ++i) bytes[at + 4 + 8 + 4 + i] = 0;
  put(folder / "still.mp4", bytes);
  const auto read = decode(folder / "still.mp4");
  REQUIRE(read.frames.size() == kFrames);
  CHECK(read.repaired > 0);
  for (std::size_t i = 1; i < read.times.size(); ++i) CHECK(read.times[i] > read.times[i - 1]);
}

TEST_CASE("video reader: frames left out do not change those that are read") {
  const TemporaryFolder folder;
  clip(folder, ".mp4");
  const auto all = decode(folder / "whole.mp4");
  VideoReader reader(folder / "whole.mp4");
  Frame frame;
  for (int n = 0; n < kFrames; ++n) {
    if (n % 3 != 2) {
      REQUIRE(reader.skip());
      continue;
    }
    REQUIRE(reader.next(frame));
    CHECK(frame.rgb == all.frames[static_cast<std::size_t>(n)]);
    CHECK(frame.time == all.times[static_cast<std::size_t>(n)]);
  }
  CHECK_FALSE(reader.skip());
  CHECK_FALSE(reader.next(frame));
}

}  // namespace
}  // namespace stp

// Real recordings: every intact clip decodes to the frames that its manifest counts, and every bad file ends
// well.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

#include "tests/data/files.h"
#include "tests/data/video_samples.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using Row = std::map<std::string, std::string>;

// The fields of one line; quotes keep commas.
std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      out.emplace_back();
    } else if (c != '\r') {
      out.back() += c;
    }
  }
  return out;
}

// The manifest's video files.
std::vector<Row> videos(const std::filesystem::path& manifest) {
  std::ifstream file(manifest);
  std::string line;
  std::getline(file, line);
  const auto names = fields(line);
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    const auto values = fields(line);
    REQUIRE(values.size() == names.size());
    Row row;
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = values[i];
    const std::string extension = std::filesystem::path(row["path"]).extension().string();
    const std::string_view known = ".avi.mkv.mp4.mov.gif.webm";
    if (!extension.empty() && known.find(extension) != std::string_view::npos) rows.push_back(row);
  }
  return rows;
}

TEST_CASE("video reader: every intact recording decodes to the frames that were counted in it") {
  const auto manifest = test::recordings("MANIFEST.csv");
  if (manifest.empty()) return;
  int read = 0, fewer_than_declared = 0;
  for (Row& row : videos(manifest)) {
    const std::string& name = row["path"];
    const int wanted = std::atoi(row["decoded_frames"].c_str());
    if (name.starts_with("odd/") && (wanted == 0 || name == "odd/corrupted.mp4")) continue;
    CAPTURE(name);
    VideoReader reader(manifest.parent_path() / name);
    Frame frame;
    int frames = 0;
    std::int64_t last = -1;
    bool increasing = true;
    for (; reader.next(frame); ++frames) {
      increasing = increasing && frame.time > last;
      last = frame.time;
    }
    CHECK(frames == wanted);
    CHECK(increasing);
    CHECK(reader.damaged() == 0);
    const bool lying = std::abs(std::atoi(row["rotation"].c_str())) % 180 == 90;
    CHECK(reader.info().width == std::atoi(row[lying ? "height" : "width"].c_str()));
    CHECK(reader.info().height == std::atoi(row[lying ? "width" : "height"].c_str()));
    fewer_than_declared += reader.info().declared_frames > frames ? 1 : 0;
    ++read;
  }
  CHECK(read >= 340);
  CHECK(fewer_than_declared >= 290);  // all of JHMDB: headers are not to be trusted
}

TEST_CASE("video reader: every odd file gives its frames or one error, quickly and within bounds") {
  const auto odd = test::recordings("odd");
  if (odd.empty()) return;
  struct Fate {
    int frames;         // or
    const char* error;  // part of the message
  };
  const std::map<std::string, Fate> fates{
      {"-video-with-dash-.mp4", {5, ""}},
      {"afconvert-aac-0.5s.mp4", {0, "no video stream (it has: audio aac)"}},
      {"bbb_sunflower_QCIF_30fps_mp4v_noaudio_1f.mp4", {1, ""}},
      {"bipbop_cbcs_video_init.mp4", {0, "no frame decodes"}},
      {"chunk_out_of_range.mp4", {0, "contradictionary STSC and STCO"}},
      {"corrupted.mp4", {49, ""}},
      {"hevc_white_frame.mp4", {1, ""}},
      {"newtonscradle.gif", {36, ""}},
      {"no_duration.webm", {74, ""}},
      {"realshort.mp4", {36, ""}},
      {"result.webm", {0, "the file is empty"}},
      {"test_case_1185230.mp4", {0, "no frame decodes"}},
      {"tiny_av1.mp4", {1, ""}},
      {"video_0.mov", {3, ""}},
      {"video_90.mov", {3, ""}},
      {"video_colr_nclx_rgb.mp4", {3, ""}},
      {"video_with_failing_audio.mp4", {280, ""}},
      {"zero_empty_stsc.mp4", {0, "no frame decodes"}},
  };
  for (const auto& [name, fate] : fates) {
    CAPTURE(name);
    const auto outcome = test::read_apart(odd / name);
    CHECK_FALSE(outcome.died);
    CHECK(outcome.frames == fate.frames);
    CHECK(contains(outcome.error, fate.error));
    CHECK((fate.frames > 0) == outcome.error.empty());
    CHECK(outcome.exit_code == (outcome.error.empty() ? 0 : 2));
    CHECK((outcome.damaged > 0) == (name == "corrupted.mp4"));
    CHECK(outcome.peak_mb <= 512);
  }
  const auto turned = test::read_apart(odd / "video_90.mov");
  CHECK(turned.width == 320);
  CHECK(turned.height == 568);
}

TEST_CASE("video reader: real frames are ffmpeg's") {
  const auto manifest = test::recordings("MANIFEST.csv");
  if (manifest.empty() || !test::have_ffmpeg()) return;
  for (Row& row : videos(manifest)) {
    const std::string& name = row["path"];
    const bool chosen =
        name.starts_with("hmdb51/") || name.starts_with("misc/part_0") || name.starts_with("odd/realshort");
    if (!chosen) continue;
    CAPTURE(name);
    const auto path = manifest.parent_path() / name;
    const std::string wanted = test::ffmpeg(
        "-i " + test::shell_quoted(path.string()) +
        " -map 0:v:0 -fps_mode passthrough -vf scale=flags=bilinear+accurate_rnd+full_chroma_int+bitexact:"
        "sws_dither=none:in_h_chr_pos=0:in_v_chr_pos=128 -pix_fmt rgb24 -f rawvideo -");
    std::string got;
    for (const auto& frame : test::decode(path).frames) got.append(frame.begin(), frame.end());
    REQUIRE(got.size() == wanted.size());
    int worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      worst = std::max(
          worst, std::abs(int{static_cast<std::uint8_t>(got[i])} - int{static_cast<std::uint8_t>(wanted[i])}));
    CHECK(worst <= 1);  // another version of the program may round the last bit otherwise
  }
}

}  // namespace
}  // namespace stp

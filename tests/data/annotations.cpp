// The label files behind the paper's Tables 3 to 5: what is read of each, and that no damage gets through.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/json_file.h"
#include "data/labels.h"
#include "data/listing.h"
#include "data/names.h"
#include "data/pa_hmdb51.h"
#include "data/tags.h"
#include "engine/rng.h"
#include "tests/data/files.h"

namespace stp {
namespace {

using test::TemporaryFolder;
using Values = std::vector<std::uint8_t>;

// A label file in its published form, and what it takes to read it. `read` returns the message of the refusal.
struct Format {
  std::string file, text;
  std::function<void(const std::filesystem::path&)> read;  // the folder
};

const std::string kPa = R"({
  "a_#1.avi": {
    "skin_color": [[0, 4, 1], [5, 9, [2, 3]]],
    "face": [[0, 9, 0]],
    "gender": [[1, 9, [0, 1]]],
    "nudity": [[0, 9, 2]],
    "relationship": [[0, 3, 0], [3, 9, 1]],
    "review": true,
    "note": ""
  }
})";
const std::string kCelebv = R"({
  "meta_info": {"appearance_mapping": ["Male", "Blurry", "young", "Rosy_Cheeks", "pointy_nose", "brown_hair"]},
  "clips": {
    "x_0": {"ytb_id": "x", "attributes": {"appearance": [1, 1, 0, 0, 1, 0],
            "emotion": {"sep_flag": false, "labels": "happy"}}},
    "x_1": {"ytb_id": "x", "attributes": {"appearance": [0, 0, 1, 1, 0, 1],
            "emotion": {"sep_flag": true, "labels": [
              {"emotion": "neutral", "start_sec": 0, "end_sec": 1.5},
              {"emotion": "sadness", "start_sec": 1.5, "end_sec": 3.5}]}}}
  }
})";
const std::string kHvuTags = "Tag,Category\nrun,action\njump,action\nball,object\nbeach,scene\nred,attribute\n";
const std::string kHvuClips =
    "Tags,youtube_id,time_start,time_end\nball|run|red,abc-_123,10.0,20.0\nbeach|jump,d--e,0.0,10.0\n";
const std::string kVispr =
    R"({"image_path": "train2017/1.jpg", "flickr_url": "", "labels": ["a4_gender", "a10_face_partial", "a1_age_approx"]})";

std::vector<Format> formats() {
  return {{"wave.json", kPa, [](const auto& folder) { read_pa_hmdb51(folder); }},
          {"celebvhq_info.json", kCelebv,
           [](const auto& folder) { read_celebv_hq(folder / "celebvhq_info.json"); }},
          {"clips.csv", kHvuClips,
           [](const auto& folder) {
             std::ofstream(folder / "tags.csv") << kHvuTags;
             read_hvu(folder / "clips.csv", folder / "tags.csv");
           }},
          {"1.json", kVispr, [](const auto& folder) { read_vispr(folder, VisprLabels::vispr1); }}};
}

TEST_CASE("annotations: PA-HMDB51, frame by frame") {
  const TemporaryFolder folder;
  folder.write("wave.json", kPa);
  const std::vector<PaVideo> videos = read_pa_hmdb51(folder.path());
  REQUIRE(videos.size() == 1);
  const PaVideo& v = videos[0];
  CHECK(v.name == "wave/a_#1.avi");
  CHECK(v.frames() == 10);
  CHECK(v.at(0, 0) == 1);
  CHECK(v.at(1, 5) == 0);
  CHECK(v.at(2, 0) == -1);  // its first segment begins at frame 1
  CHECK(v.at(2, 1) == 1);   // one of several people is identifiable
  CHECK(v.at(4, 2) == 0);
  CHECK(v.at(4, 3) == 1);  // in two segments
  CHECK(v.at(4, 10) == -1);
}

TEST_CASE("annotations: PA-HMDB51 as published") {
  const auto folder = test::recordings("pa-hmdb51/PrivacyAttributes");
  if (folder.empty()) return;
  const std::vector<PaVideo> videos = read_pa_hmdb51(folder);
  CHECK(videos.size() == 515);
  // 52,413 labels of skin colour, gender and relationship; in face and nudity one frame has none or two.
  std::array<int, 5> positive{}, negative{};
  for (const PaVideo& v : videos) {
    for (std::size_t a = 0; a < 5; ++a) {
      for (int t = 0; t < v.frames(); ++t) {
        positive[a] += v.at(a, t) == 1 ? 1 : 0;
        negative[a] += v.at(a, t) == 0 ? 1 : 0;
      }
    }
  }
  CHECK(positive == std::array<int, 5>{50936, 39324, 51352, 31313, 8208});
  CHECK(negative == std::array<int, 5>{1477, 13088, 1061, 21099, 44205});
}

// The tables that this project ships, beside the lists and labels that they were made from.
TEST_CASE("annotations: shipped tables say what the published lists and labels say") {
  struct Set {
    const char* name;
    Layout layout;
    std::size_t clips;
  };
  for (const auto& [name, layout, clips] :
       {Set{"hmdb51", Layout::hmdb51, 6766}, Set{"ucf101", Layout::ucf101, 13320}}) {
    CAPTURE(name);
    const std::string table = STP_SOURCE_DIR "/data/annotations/vp_" + std::string(name) + ".csv";
    const Labels ours(table);
    CHECK(ours.size() == clips);
    CHECK(ours.attributes() ==
          std::vector<std::string>{"skin_color", "face", "gender", "nudity", "relationship"});
    const auto labels = test::recordings("vp/" + std::string(name) + "_privacy_attribute_label.csv");
    const auto splits = test::recordings(std::string(name) + "/splits");
    if (labels.empty() || splits.empty()) continue;
    const Labels theirs(labels);
    const std::vector<int> line = theirs.find(ours.names());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      REQUIRE(line[i] >= 0);
      CHECK(std::ranges::equal(ours.values(i), theirs.values(static_cast<std::size_t>(line[i]))));
    }
    for (const int split : {1, 2, 3}) {
      const Listing here = read_listing(Layout::table, table, split),
                    there = read_listing(layout, splits, split);
      std::map<std::string, std::pair<std::string, Part>> parts;
      for (const Listed& clip : there.clips)
        parts[clip_name(clip.path)] = {there.classes[static_cast<std::size_t>(clip.label)], clip.part};
      REQUIRE(here.clips.size() == parts.size());
      for (const Listed& clip : here.clips) {
        const auto& [action, part] = parts.at(clip_name(clip.path));
        CHECK(here.classes[static_cast<std::size_t>(clip.label)] == action);
        CHECK(clip.part == part);
      }
    }
  }
}

TEST_CASE("annotations: a table of splits that says nothing sensible is refused with its line") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& text, int split = 1) {
    const auto path = folder.write("table.csv", text);
    return folder.error_of([&] { read_listing(Layout::table, path, split); });
  };
  const std::string head = "video,split_1,face\n";
  CHECK(error(head + "a/x,1,0\nb/y,2,1\n") == "");
  CHECK(error("") == "DIR/table.csv: empty; wanted a table of clips and splits");
  CHECK(error(head + "a/x,1,0\n", 2) ==
        "DIR/table.csv:1: no columns 'video' and 'split_2'; give a table of clips and splits");
  for (const char* line : {"a/x,3,0", "a/x,,0", "x,1,0", "a/x,1", "a/x,1,0,0"})
    CHECK(error(head + line + "\n").starts_with("DIR/table.csv:2: '"));
  CHECK(error(head + "a/x,1,0\na/x,2,0\n").find("keep one of them") != std::string::npos);
  CHECK(error(head + "../x,1,0\n").find("leaves the data set's folder") != std::string::npos);
}

TEST_CASE("annotations: 60 of 100 videos train an attacker, the same for the same seed") {
  const std::vector<bool> training = pa_training_videos(515, 1);
  CHECK(std::count(training.begin(), training.end(), true) == 309);
  CHECK(training == pa_training_videos(515, 1));
  CHECK(training != pa_training_videos(515, 2));
  CHECK(pa_training_videos(0, 1).empty());
}

TEST_CASE("annotations: CelebV-HQ, the longest expression and five attributes by name") {
  const TemporaryFolder folder;
  const CelebvHq all = read_celebv_hq(folder.write("celebvhq_info.json", kCelebv));
  CHECK(all.expressions.size() == 8);
  CHECK(all.expressions[static_cast<std::size_t>(all.expression.at(0))] == "happy");
  CHECK(all.expressions[static_cast<std::size_t>(all.expression.at(1))] == "sadness");
  CHECK(all.attributes.labels ==
        std::vector<std::string>{"young", "pointy_nose", "male", "rosy_cheeks", "brown_hair"});
  REQUIRE(all.attributes.rows.size() == 2);
  CHECK(all.attributes.rows[0].name == "x_0");
  CHECK(all.attributes.rows[0].values == Values{0, 1, 1, 0, 0});
  CHECK(all.attributes.rows[1].values == Values{1, 0, 0, 1, 1});
}

TEST_CASE("annotations: HVU, a table for each category") {
  const TemporaryFolder folder;
  const auto tables = read_hvu(folder.write("clips.csv", kHvuClips), folder.write("tags.csv", kHvuTags));
  REQUIRE(tables.size() == 3);
  CHECK(tables[0].first == "action");
  CHECK(tables[0].second.labels == std::vector<std::string>{"jump", "run"});
  REQUIRE(tables[0].second.rows.size() == 2);
  CHECK(tables[0].second.rows[0].name == "abc-_123_000010_000020");
  CHECK(tables[0].second.rows[0].values == Values{0, 1});
  CHECK(tables[0].second.rows[1].values == Values{1, 0});
  CHECK(tables[1].second.rows[0].values == Values{1});
  CHECK(tables[2].second.rows[1].values == Values{1});
}

TEST_CASE("annotations: VISPR under both lists of attributes") {
  const TemporaryFolder folder;
  folder.write("1.json", kVispr);
  const TagTable five = read_vispr(folder.path(), VisprLabels::pa_hmdb51);
  REQUIRE(five.rows.size() == 1);
  CHECK(five.rows[0].name == "train2017/1.jpg");
  CHECK(five.rows[0].values == Values{0, 1, 1, 0, 0});
  CHECK(read_vispr(folder.path(), VisprLabels::vispr1).rows[0].values == Values{0, 1, 0, 1, 0, 0, 0});
}

// The one-line refusal of a damaged text, or "".
std::string refusal(const Format& format, const std::string& text) {
  const TemporaryFolder folder;
  folder.write(format.file, text);
  try {
    format.read(folder.path());
  } catch (const Error& error) {
    CHECK(error.fault() == Fault::usage);
    const std::string message = error.what();
    CHECK(message.find_first_of("\n\r") == std::string::npos);
    CHECK(message.find(format.file) != std::string::npos);
    CHECK(message.find("; ") != std::string::npos);  // the cure
    return message;
  }
  return "";
}

std::string with(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("annotations: what no author would write is refused with file and line") {
  struct Case {
    std::size_t format;
    std::string from, to, words;
  };
  const Case cases[] = {
      {0, "[0, 9, 0]", "[9, 0, 0]", "wave.json:2: 'a_#1.avi' has a segment from frame 9 to 0"},
      {0, "[0, 9, 0]", "[0, 9, 4]", "label that is not 0 to 3"},
      {0, "[0, 9, 0]", "[0, 9, -1]", "label that is not 0 to 3"},
      {0, "[0, 9, 0]", "[0, 9, []]", "label that is not 0 to 3"},
      {0, "[0, 9, 0]", "[0, 9, true]", "label that is not 0 to 3"},
      {0, "[0, 9, 0]", "[0, 9.5, 0]", "frame number"},
      {0, "[0, 9, 0]", "[0, 99999999999, 0]", "frame number"},
      {0, "[0, 9, 0]", "[0, 9]", "not [first, last, value]"},
      {0, "[[0, 9, 0]]", "[]", "without segments"},
      {0, "\"face\"", "\"Face\"", "lacks face"},
      {0, "\"nudity\"", "\"face\"", "wave.json:4: 'face' is there twice"},
      {0, "a_#1.avi", "../a.avi", "no video's name"},
      {0, "\"note\": \"\"", "\"note\": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]", "more than 16 levels"},
      {1, "\"happy\"", "\"merry\"", "celebvhq_info.json:4: 'x_0' has an expression that is none of"},
      {1, "[1, 1, 0, 0, 1, 0]", "[1, 1, 0, 0, 1]", "does not have 6 attributes"},
      {1, "[1, 1, 0, 0, 1, 0]", "[1, 1, 0, 0, 1, 2]", "does not have 6 attributes of 0 or 1"},
      {1, "\"young\"", "\"old\"", "lacks young"},
      {1, "\"end_sec\": 1.5", "\"end_sec\": -1", "without its times"},
      {1, "\"x_1\"", "\"x_0\"", "'x_0' is there twice"},
      {1, "\"clips\"", "\"clip\"", "has no clips"},
      {2, "10.0,20.0", "20.0,10.0", "clips.csv:2: it goes from 20 to 10 seconds"},
      {2, "10.0,", "ten,", "no time in seconds"},
      {2, "ball|run", "ball|fly", "tag 'fly' has no category"},
      {2, "ball|run", "ball|Tag", "tag 'Tag' has no category"},  // the header of the categories is no tag
      {2, "abc-_123", "../abc", "no video"},
      {2, "beach|jump,d--e,0.0,10.0", "ball,abc-_123,10.0,20.0",
       "clips.csv:3: clip 'abc-_123_000010_000020' is there twice"},
      {2, "ball|run|red,abc-_123,10.0,20.0", "ball", "clips.csv:2: wanted TAG|TAG,ID,START,END"},
      {3, "\"a4_gender\"", "\"gender\"", "'gender' is no attribute of VISPR"},
      {3, "\"a4_gender\"", "4", "no text"},
      {3, "\"labels\"", "\"label\"", "has no labels"},
      {3, "train2017/1.jpg", "/etc/passwd", "no path of an image"},
  };
  const std::vector<Format> all = formats();
  for (const Case& c : cases) {
    CAPTURE(c.to);
    const Format& format = all[c.format];
    CHECK(refusal(format, with(format.text, c.from, c.to)).find(c.words) != std::string::npos);
  }
}

TEST_CASE("annotations: files cut anywhere are refused, if a part is missing, and random damage does no harm") {
  Random random(1, stream_id("annotations"));
  for (const Format& format : formats()) {
    CAPTURE(format.file);
    CHECK(refusal(format, format.text) == "");
    // A zero byte does not end a text, whatever a parser takes it for.
    CHECK(refusal(format, format.text + std::string("\0x", 2)) != "");
    for (std::size_t size = 0; size + 1 < format.text.size(); size += 1 + random.below(4)) {
      const std::string message = refusal(format, format.text.substr(0, size));
      // A table may end after any of its lines; JSON may not.
      if (format.file.ends_with(".json")) CHECK(message != "");
    }
    for (int i = 0; i < 400; ++i) {
      std::string bad = format.text;
      for (std::uint64_t n = 1 + random.below(3); n > 0; --n)
        bad[random.below(bad.size())] = static_cast<char>(random.below(256));
      refusal(format, bad);
    }
  }
}

}  // namespace
}  // namespace stp

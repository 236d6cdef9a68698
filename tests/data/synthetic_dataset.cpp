// VP-Synth on disk: layout, labels, reproducible bytes, interruption, and folders that are not ours.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "data/dataset.h"
#include "data/labels.h"
#include "data/synthetic.h"
#include "data/synthetic_clip.h"
#include "data/video.h"
#include "tests/data/files.h"

namespace stp {
namespace {

namespace fs = std::filesystem;

SyntheticOptions tiny_options() {
  SyntheticOptions options;
  options.clips = 40;
  options.width = options.height = 32;
  options.frames = 3;
  return options;
}

std::string content(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

// Every file below a folder but the lock: name to bytes.
std::map<std::string, std::string> tree(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != ".lock")
      files[fs::relative(entry.path(), folder).string()] = content(entry.path());
  return files;
}

fs::path video(const fs::path& folder, const SyntheticLabel& label) {
  return folder / "videos" / synthetic_action_name(label.action) / label.name;
}

TEST_CASE("synthesize: files, split lists and label table agree, and read as the published sets do") {
  const test::TemporaryFolder folder;
  const SyntheticOptions options = tiny_options();
  std::int64_t last = 0;
  synthesize(folder / "set", options, 1, [&](std::int64_t done, std::int64_t all) {
    CHECK(done == ++last);
    CHECK(all == 40);
  });
  CHECK(last == 40);
  CHECK(tree(folder / "set").size() == 40 + 3 * 8 + 2);

  const Labels labels(folder / "set/labels.csv");
  CHECK(labels.size() == 40);
  CHECK(labels.attributes() ==
        std::vector<std::string>(kSyntheticAttributeNames.begin(), kSyntheticAttributeNames.end()));
  for (int split = 1; split <= 3; ++split) {
    DatasetSpec spec;
    spec.videos = folder / "set/videos";
    spec.splits = folder / "set/splits";
    spec.labels = folder / "set/labels.csv";
    spec.split = split;
    const Dataset set = read_dataset(spec);
    CHECK(set.classes.size() == kSyntheticActions);
    CHECK(set.train.size() == 32);
    CHECK(set.test.size() == 8);
    for (const auto* part : {&set.train, &set.test})
      for (const Item& item : *part) {
        const SyntheticLabel label = synthetic_label(
            options, std::stoll(item.path.stem().string().substr(item.path.stem().string().size() - 6)));
        CHECK(item.label == label.action);
        CHECK(item.path == video(folder / "set", label));
        CHECK(label.splits[split - 1] == (part == &set.test ? Part::test : Part::train));
        for (int a = 0; a < kSyntheticAttributes; ++a)
          CHECK((item.attributes.at(a) == 1) == label.attributes[a]);
      }
  }
  const std::string list = content(folder / "set/splits/burpee_test_split1.txt");
  CHECK(list.starts_with("burpee_000000.mp4 "));
  CHECK(list.ends_with(" \n"));
}

TEST_CASE("synthesize: the same options give the same bytes on any number of threads, another seed others") {
  const test::TemporaryFolder folder;
  SyntheticOptions options = tiny_options();
  synthesize(folder / "a", options);
  synthesize(folder / "b", options, 2);
  CHECK(tree(folder / "a") == tree(folder / "b"));
  options.seed = 1;
  synthesize(folder / "c", options);
  const auto a = tree(folder / "a"), c = tree(folder / "c");
  for (const auto& [name, bytes] : a)
    if (name.starts_with("videos")) CHECK(bytes != c.at(name));
}

TEST_CASE("synthesize: videos hold the rendered frames at the stated rate; lossless ones bit for bit") {
  const test::TemporaryFolder folder;
  SyntheticOptions options = tiny_options();
  options.lossless = true;
  synthesize(folder / "set", options);
  for (const std::int64_t index : {0, 17, 39}) {
    const SyntheticLabel label = synthetic_label(options, index);
    VideoReader reader(video(folder / "set", label));
    synthetic::Clip clip(options, label);
    Frame frame;
    std::vector<std::uint8_t> wanted;
    for (int t = 0; t < options.frames; ++t) {
      REQUIRE(reader.next(frame));
      clip.frame(t, wanted);
      CHECK(frame.rgb == wanted);
      CHECK(static_cast<double>(frame.time) * reader.info().time_base.value() == doctest::Approx(t / 12.0));
    }
    CHECK(!reader.next(frame));
  }
}

TEST_CASE("synthesize: an interrupted synthesis goes on, a complete one is left alone") {
  const test::TemporaryFolder folder;
  const SyntheticOptions options = tiny_options();
  synthesize(folder / "whole", options);
  CHECK_THROWS_WITH(synthesize(folder / "set", options, 1,
                               [](std::int64_t done, std::int64_t) {
                                 if (done == 13) fail("stopped");
                               }),
                    "stopped");
  CHECK(content(folder / "set/synthetic.json").find("\"complete\": false") != std::string::npos);
  CHECK(tree(folder / "set").size() == 14);
  const auto kept = fs::last_write_time(video(folder / "set", synthetic_label(options, 0)));
  synthesize(folder / "set", options);
  CHECK(tree(folder / "set") == tree(folder / "whole"));
  CHECK(fs::last_write_time(video(folder / "set", synthetic_label(options, 0))) == kept);

  bool touched = false;
  synthesize(folder / "set", options, 1, [&](std::int64_t, std::int64_t) { touched = true; });
  CHECK(!touched);
  fs::remove(video(folder / "set", synthetic_label(options, 5)));
  synthesize(folder / "set", options);
  CHECK(tree(folder / "set") == tree(folder / "whole"));
}

TEST_CASE("synthesize: an error in any thread stops all and is told") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH(synthesize(folder / "set", tiny_options(), 2,
                               [](std::int64_t done, std::int64_t) {
                                 if (done == 5) fail("stopped");
                               }),
                    "stopped");
  CHECK(tree(folder / "set").size() < 10);
}

TEST_CASE("synthesize: a folder with anything else in it is refused and left as it was") {
  const test::TemporaryFolder folder;
  SyntheticOptions options = tiny_options();
  const auto refusal = [&](const char* name) {
    return folder.error_of([&] { synthesize(folder / name, options); });
  };
  folder.write("foreign/notes.txt", "mine");
  CHECK(refusal("foreign") == "DIR/foreign is not empty and holds no synthetic.json; name a new folder");
  CHECK(tree(folder / "foreign").size() == 1);

  folder.write("odd/synthetic.json", "[1, 2");
  CHECK(refusal("odd") ==
        "DIR/odd/synthetic.json was not written by this program's generator; name another folder");
  folder.write("other/synthetic.json", R"({"complete": true, "data_set": "another"})");
  CHECK(refusal("other") ==
        "DIR/other/synthetic.json was not written by this program's generator; name another folder");
  folder.write("large/synthetic.json", std::string(1 << 20, ' '));
  CHECK(refusal("large").find("synthetic.json") != std::string::npos);

  synthesize(folder / "set", options);
  options.difficulty = 0.5;
  CHECK(
      refusal("set") ==
      "DIR/set/synthetic.json holds a data set with difficulty = 0.2, wanted 0.5; name another folder, or the "
      "same options to go on");
}

TEST_CASE("synthesize: bad options, threads and places are refused before anything is written") {
  const test::TemporaryFolder folder;
  SyntheticOptions options = tiny_options();
  CHECK(folder.error_of([&] { synthesize(folder / "set", options, 0); }) ==
        "synthesize: threads = 0, wanted 1 to 256");
  options.frames = 0;
  CHECK(folder.error_of([&] { synthesize(folder / "set", options); }) ==
        "synthesize: frames = 0, wanted 1 to 4096");
  CHECK(!fs::exists(folder / "set"));
  folder.write("file", "");
  CHECK(folder.error_of([&] { synthesize(folder / "file/set", tiny_options()); }).find("DIR/file/set") !=
        std::string::npos);
}

}  // namespace
}  // namespace stp

// The loader and the check of a data set on real recordings: ten classes of short clips, and files that are
// odd.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "data/check.h"
#include "data/footage_memory.h"
#include "data/loader.h"
#include "data/text_file.h"
#include "tests/data/files.h"

namespace stp {
namespace {

Dataset ten_classes() {
  DatasetSpec spec;
  spec.videos = test::recordings("jhmdb/videos");
  spec.splits = test::recordings("hmdb51/splits");
  spec.labels = test::recordings("vp/hmdb51_privacy_attribute_label.csv");
  spec.missing = Missing::skip;
  if (spec.videos.empty() || spec.splits.empty() || spec.labels.empty()) return {};
  return read_dataset(spec);
}

// Frames that decode by path, as they were counted with FFmpeg's own tools; of the files in `folder`.
std::map<std::string, std::int64_t> counted_frames(const std::string& folder) {
  std::map<std::string, std::int64_t> counts;
  const auto path = test::recordings("MANIFEST.csv");
  if (path.empty()) return counts;
  const TextFile file(path, "manifest");
  const auto header = split(file.lines().front().text, ',');
  const auto column = std::ranges::find(header, "decoded_frames") - header.begin();
  for (const TextFile::Line& line : file.lines()) {
    std::string text(line.text);
    // One column may hold a comma, "matroska,webm", and then stands in quotes.
    for (std::size_t at; (at = text.find("\"matroska,webm\"")) != std::string::npos;)
      text.replace(at, 15, "matroska");
    if (!text.starts_with(folder + "/") || text.find('"') != std::string::npos) continue;
    const auto fields = split(text, ',');
    counts[std::string(fields.front())] =
        std::max(0, whole_number(fields[static_cast<std::size_t>(column)], 1'000'000));
  }
  return counts;
}

TEST_CASE("loader: every real clip decodes to the frames counted elsewhere") {
  const Dataset dataset = ten_classes();
  const auto counts = counted_frames("jhmdb");
  if (dataset.train.empty() || counts.empty()) return;
  std::vector<Item> items = dataset.train;
  items.insert(items.end(), dataset.test.begin(), dataset.test.end());
  const CheckReport report = check_items(items, {});
  CHECK(report.items.size() == 290);
  CHECK(report.bad == 0);
  CHECK(report.damaged == 0);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string path = "jhmdb/videos/" + items[i].path.parent_path().filename().string() + "/" +
                             items[i].path.filename().string();
    CAPTURE(path);
    CHECK(report.items[i].frames == counts.at(path));
    CHECK(report.items[i].width == 320);
    CHECK(report.items[i].height == 240);
    CHECK(report.items[i].too_short == (report.items[i].frames < 31));
  }
}

TEST_CASE("loader: odd files are told apart: decodes, damaged, nothing to decode") {
  const auto folder = test::recordings("odd");
  const auto counts = counted_frames("odd");
  if (folder.empty() || counts.empty()) return;
  std::vector<Item> items;
  items.reserve(counts.size());
  for (const auto& [path, frames] : counts) items.push_back({folder.parent_path() / path, path, 0, {}});
  const CheckReport report = check_items(items, {});
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::int64_t wanted = counts.at(items[i].name);
    CAPTURE(items[i].name);
    CAPTURE(report.items[i].cause);
    CHECK(report.items[i].ok == (wanted > 0));
    if (wanted == 0) CHECK(report.items[i].cause.find(items[i].path.filename().string()) != std::string::npos);
    if (wanted == 0) continue;
    const bool corrupted = items[i].name == "odd/corrupted.mp4";
    CHECK((report.items[i].damaged > 0) == corrupted);
    if (!corrupted) CHECK(report.items[i].frames == wanted);
  }
}

TEST_CASE("loader: batches of real clips do not depend on threads, cache or resuming") {
  const Dataset dataset = ten_classes();
  if (dataset.train.empty()) return;
  LoaderOptions options;
  options.batch = 6;
  options.Y = 64;
  options.X = 80;
  options.short_side = 96;
  options.augment.brightness.chance = 0.5;
  options.threads = 1;
  Loader first(dataset.train, options);
  CHECK(first.batches() == 206 / 6);
  options.threads = 3;
  options.memory = std::make_shared<FootageMemory>(std::size_t{1} << 30);
  Loader second(dataset.train, options);
  second.open({0, 30});
  Batch a, b;
  first.open({0, 30});
  for (int i = 0; i < 4; ++i) {
    REQUIRE(first.next(a));
    REQUIRE(second.next(b));
    CHECK(a.pixels == b.pixels);
    CHECK(a.items == b.items);
    CHECK(a.attributes == b.attributes);
    CHECK(a.A == 5);
  }
  CHECK_FALSE(first.next(a));
}

// A data set of plain lists over real files: `train` and `test` are the lines of the two lists.
Dataset listed(const std::string& videos, std::string_view train, std::string_view test) {
  const auto root = test::recordings(videos);
  if (root.empty()) return {};
  const test::TemporaryFolder folder;
  folder.write("train.txt", train);
  folder.write("test.txt", test);
  DatasetSpec spec;
  spec.layout = Layout::lists;
  spec.videos = root;
  spec.splits = folder.path();
  return read_dataset(spec);
}

TEST_CASE("loader: real folders of frames") {
  const Dataset dataset = listed("ucf101/frames", "ApplyEyeMakeup/v_000001 ApplyEyeMakeup\n",
                                 "ApplyEyeMakeup/v_000002 ApplyEyeMakeup\n");
  if (dataset.train.empty()) return;
  for (const auto* items : {&dataset.train, &dataset.test}) {
    const CheckReport report = check_items(*items, {});
    CHECK(report.bad == 0);
    CHECK(report.frames == 25);
    CHECK(report.items[0].width == 340);
    CHECK(report.items[0].height == 256);
  }
}

TEST_CASE("loader: a real strip and its mirrored copy give mirrored clips") {
  const Dataset dataset = listed("weizmann-strips", "wave1/00000002.jpg wave1\njack/00000004.jpg jack\n",
                                 "wave1/00000003.jpg wave1\njack/00000005.jpg jack\n");
  if (dataset.train.empty()) return;
  CHECK(dataset.classes == std::vector<std::string>{"jack", "wave1"});
  LoaderOptions options;
  options.views = LoaderOptions::Views::even;
  options.clips = 3;
  options.crops = 1;
  options.T = 12;
  options.Y = options.X = 64;
  options.batch = 6;
  Batch plain, mirrored;
  REQUIRE(Loader(dataset.train, options).next(plain));
  REQUIRE(Loader(dataset.test, options).next(mirrored));
  REQUIRE(plain.B == 6);
  CHECK(plain.labels == std::vector<int>{1, 1, 1, 0, 0, 0});
  constexpr std::size_t kRow = 64 * 3;
  std::vector<std::uint8_t> turned;
  for (std::size_t row = 0; row < plain.pixels.size(); row += kRow)
    for (std::size_t x = 64; x-- > 0;)
      turned.insert(turned.end(), &plain.pixels[row + 3 * x], &plain.pixels[row + 3 * x] + 3);
  CHECK(turned == mirrored.pixels);
}

}  // namespace
}  // namespace stp

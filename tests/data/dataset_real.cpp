// The published lists, label tables and the real clips of ten classes, against counts that are known.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/labels.h"
#include "tests/data/files.h"

namespace stp {
namespace {

std::array<int, 3> parts(const Listing& listing) {
  std::array<int, 3> count{};
  for (const Listed& clip : listing.clips) ++count[static_cast<std::size_t>(clip.part)];
  return count;
}

// Every listed clip has its line in the table, and no line serves two.
void check_all_labelled(const Listing& listing, const std::filesystem::path& table) {
  if (table.empty()) return;
  const Labels labels(table);
  std::vector<std::string> paths;
  for (const Listed& clip : listing.clips) paths.push_back(clip.path);
  std::vector<bool> seen(labels.size(), false);
  int found = 0;
  for (const int line : labels.find(paths)) {
    if (line < 0 || seen[static_cast<std::size_t>(line)]) continue;
    seen[static_cast<std::size_t>(line)] = true;
    ++found;
  }
  CHECK(found == static_cast<int>(listing.clips.size()));
}

TEST_CASE("dataset: the official HMDB51 splits") {
  const auto folder = test::recordings("hmdb51/splits");
  if (folder.empty()) return;
  for (int split = 1; split <= 3; ++split) {
    const Listing listing = read_listing(Layout::hmdb51, folder, split);
    CHECK(listing.classes.size() == 51);
    CHECK(parts(listing) == std::array<int, 3>{1666, 3570, 1530});
    check_all_labelled(listing, test::recordings("vp/hmdb51_privacy_attribute_label.csv"));
  }
}

TEST_CASE("dataset: the official UCF101 splits") {
  const auto folder = test::recordings("ucf101/splits");
  if (folder.empty()) return;
  const std::array<std::array<int, 3>, 3> counts{{{0, 9537, 3783}, {0, 9586, 3734}, {0, 9624, 3696}}};
  for (int split = 1; split <= 3; ++split) {
    const Listing listing = read_listing(Layout::ucf101, folder, split);
    CHECK(listing.classes.size() == 101);
    CHECK(listing.classes.front() == "ApplyEyeMakeup");
    CHECK(parts(listing) == counts[static_cast<std::size_t>(split - 1)]);
    check_all_labelled(listing, test::recordings("vp/ucf101_privacy_attribute_label.csv"));
  }
}

TEST_CASE("dataset: ten classes of real clips under HMDB51's lists and VP-HMDB51's labels") {
  DatasetSpec spec;
  spec.videos = test::recordings("jhmdb/videos");
  spec.splits = test::recordings("hmdb51/splits");
  spec.labels = test::recordings("vp/hmdb51_privacy_attribute_label.csv");
  if (spec.videos.empty() || spec.splits.empty() || spec.labels.empty()) return;
  spec.missing = Missing::skip;
  const Dataset dataset = read_dataset(spec);
  CHECK(dataset.classes == std::vector<std::string>{"brush_hair", "golf", "kick_ball", "pour", "pullup", "push",
                                                    "shoot_bow", "shoot_gun", "walk", "wave"});
  CHECK(dataset.missing_classes == 41);
  CHECK(dataset.missing_clips == 3570 + 1530 - 290);
  CHECK(dataset.unused_clips == 0);
  std::vector<int> train(10, 0), test(10, 0), positive(5, 0);
  for (const Item& item : dataset.train) ++train[static_cast<std::size_t>(item.label)];
  for (const Item& item : dataset.test) ++test[static_cast<std::size_t>(item.label)];
  CHECK(train == std::vector<int>{20, 23, 22, 20, 20, 21, 20, 20, 20, 20});
  CHECK(test == std::vector<int>{9, 6, 7, 9, 9, 8, 9, 9, 9, 9});
  for (const auto* items : {&dataset.train, &dataset.test})
    for (const Item& item : *items)
      for (std::size_t a = 0; a < 5; ++a) positive[a] += item.attributes.at(a) == 1;
  CHECK(positive == std::vector<int>{267, 181, 257, 99, 19});

  // Splits 2 and 3 leave 50 and 51 of the clips unused.
  for (const auto& [split, counts] :
       std::map<int, std::array<int, 3>>{{2, {160, 80, 50}}, {3, {166, 73, 51}}}) {
    spec.split = split;
    const Dataset other = read_dataset(spec);
    CHECK(static_cast<int>(other.train.size()) == counts[0]);
    CHECK(static_cast<int>(other.test.size()) == counts[1]);
    CHECK(other.unused_clips == counts[2]);
  }

  // The same by naming the classes; strict reading then fails on HMDB51's clips that JHMDB does not have.
  spec.split = 1;
  spec.classes = {"wave", "golf"};
  CHECK(read_dataset(spec).train.size() == 43);
  spec.missing = Missing::refuse;
  CHECK_THROWS_AS(read_dataset(spec), Error);
}

}  // namespace
}  // namespace stp

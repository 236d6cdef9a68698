// What the published labels say before any video is seen: chance and the action-posterior floor of VP-HMDB51
// and VP-UCF101, against figures worked out apart from this program, from the same files.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tools/experiment/label_floor.h"

namespace stp {
namespace {

// The published labels of a split.
SplitLabels published(const std::string& set, int split) {
  const std::string table = STP_SOURCE_DIR "/data/annotations/vp_" + set + ".csv";
  return read_split_labels(Layout::table, table, split, table);
}

// The beginning of the line of `table` that begins with `name`, without blanks between: "name|58.80|0.696|...".
std::string line_of(const std::string& table, const std::string& name, std::size_t fields) {
  std::string line = "\n";
  line += name;
  std::size_t next = table.find(line);
  if (next == std::string::npos) return "";
  next += line.size();
  line = name;
  for (std::size_t i = 0; i < fields; ++i) {
    const std::size_t begin = table.find_first_not_of(' ', next);
    next = table.find_first_of(" \n", begin);
    line += '|';
    line.append(table, begin, next - begin);
  }
  return line;
}

struct Point {
  double top1, cmap, f1;
};

// Both sides are means of 12 draws, of generators that share nothing. A draw deviates by 0.5 points of cMAP on
// HMDB51's 1530 test clips and by 0.3 on UCF101's 3783; so the difference of two means by 0.5 sqrt(2 / 12) =
// 0.2 and 0.12, of which four are allowed. F1 deviates by 0.006 and 0.004 a draw.
void check_curve(const SplitLabels& labels, const std::vector<Point>& curve, double cmap, double f1) {
  for (const Point& point : curve) {
    const FloorPoint floor = action_posterior_floor(labels.train, labels.test, point.top1 / 100);
    CAPTURE(point.top1);
    CHECK(!!(std::abs(floor.cmap - point.cmap) <= cmap));
    CHECK(!!(std::abs(floor.f1 - point.f1) <= f1));
  }
}

TEST_CASE("metrics: chance and floor of VP-HMDB51, split 1") {
  const SplitLabels labels = published("hmdb51", 1);
  const std::string table = floor_table(labels, {1.0});
  CHECK(table.starts_with("51 classes, 3570 training and 1530 test clips\n"));
  CHECK(line_of(table, "chance: constant, all present", 7) ==
        "chance: constant, all present|58.80|0.696|0.696|90.9|59.5|90.8|31.0");
  CHECK(line_of(table, "chance: training share", 3) == "chance: training share|58.80|0.530|0.381");
  CHECK(line_of(table, "action known to 100.00 %", 8) ==
        "action known to 100.00 %|73.71|0.660|0.620|95.5|81.3|94.9|51.3|45.6");
  check_curve(labels,
              {{81.1, 70.5, .632},
               {79.6, 70.1, .631},
               {74.6, 69.2, .615},
               {51.4, 65.9, .563},
               {50.7, 65.8, .563},
               {48.6, 65.5, .562},
               {40.8, 64.0, .545},
               {31.3, 62.4, .528}},
              0.8, 0.01);
}

TEST_CASE("metrics: chance and floor of VP-UCF101, split 1") {
  const SplitLabels labels = published("ucf101", 1);
  const std::string table = floor_table(labels, {1.0});
  CHECK(table.starts_with("101 classes, 9537 training and 3783 test clips\n"));
  CHECK(line_of(table, "chance: constant, all present", 3) ==
        "chance: constant, all present|58.67|0.694|0.694");
  CHECK(line_of(table, "chance: training share", 2) == "chance: training share|58.67|0.532");
  CHECK(line_of(table, "action known to 100.00 %", 8) ==
        "action known to 100.00 %|77.33|0.708|0.648|96.8|82.9|96.1|49.2|61.7");
  check_curve(labels,
              {{92.2, 75.5, .696},
               {84.9, 73.9, .677},
               {84.2, 73.8, .677},
               {82.55, 73.3, .670},
               {81.0, 73.0, .664},
               {78.4, 72.6, .660},
               {72.8, 71.4, .648},
               {56.1, 68.1, .585}},
              0.5, 0.007);
}

TEST_CASE("metrics: chance of the other official splits") {
  struct Row {
    const char* set;
    int split;
    double cmap, ones, majority, floor;
  };
  // HMDB51's majority and floor by scikit-learn, from the same files; the others as published, to two digits,
  // to three, and to one.
  for (const Row& row :
       {Row{"hmdb51", 2, 58.89, .695, .5352, 73.7516}, Row{"hmdb51", 3, 58.65, .689, .5365, 73.0642},
        Row{"ucf101", 2, 57.83, .687, .527, 76.5}, Row{"ucf101", 3, 58.20, .690, .530, 77.6}}) {
    const SplitLabels labels = published(row.set, row.split);
    const ChancePoints chance = chance_points(labels.train, labels.test);
    CAPTURE(row.set);
    CAPTURE(row.split);
    CHECK(!!(std::abs(chance.cmap - row.cmap) <= 0.0051));
    CHECK(!!(std::abs(chance.f1_ones - row.ones) <= 0.00051));
    CHECK(!!(std::abs(chance.f1_majority - row.majority) <= 0.00051));
    CHECK(!!(std::abs(action_posterior_floor(labels.train, labels.test, 1).cmap - row.floor) <= 0.051));
  }
}

}  // namespace
}  // namespace stp

// Label tables: what is read, and for every bad table the exact message.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/labels.h"
#include "data/names.h"
#include "tests/data/files.h"

namespace stp {
namespace {

using test::TemporaryFolder;

std::vector<int> row(const Labels& labels, std::size_t clip) {
  const auto values = labels.values(clip);
  return {values.begin(), values.end()};
}

std::string bad_table(std::string_view text) {
  const TemporaryFolder folder;
  const auto path = folder.write("labels.csv", text);
  return folder.error_of([&] { const Labels labels(path); });
}

TEST_CASE("labels: a table is read column by column, with any line ends") {
  const TemporaryFolder folder;
  for (const std::string end : {"\n", "\r\n"}) {
    const auto path = folder.write(
        "labels.csv",
        fmt::format("\xEF\xBB\xBFvideo,skin_color,face{0}wave/a.mp4,1,0{0}{0}golf/b_#1!.mp4,0,1 {0}golf/c,0,0",
                    end));
    const Labels labels(path);
    CHECK(labels.attributes() == std::vector<std::string>{"skin_color", "face"});
    CHECK(labels.names() == std::vector<std::string>{"wave/a.mp4", "golf/b_#1!.mp4", "golf/c"});
    REQUIRE(labels.size() == 3);
    CHECK(row(labels, 0) == std::vector<int>{1, 0});
    CHECK(row(labels, 1) == std::vector<int>{0, 1});
    CHECK(row(labels, 2) == std::vector<int>{0, 0});
    CHECK(labels.find({"golf/b_@1.avi", "wave/a", "wave/b.avi"}) == std::vector<int>{1, 0, -1});
  }
}

TEST_CASE("labels: every bad table is refused with file, line and cure") {
  const std::string cure = "; give a CSV table with the header video,ATTRIBUTE,... and values 0 or 1";
  const std::string nul("video,a\nw/b,1\0,\n", 16);
  const std::string nul_in_name("video,a\nw/b\0c,1\n", 16);
  struct Case {
    std::string text, message;
  };
  const Case cases[] = {
      {"", "DIR/labels.csv: empty" + cure},
      {"\n \r\n", "DIR/labels.csv: empty" + cure},
      {"video,a\n", "DIR/labels.csv: a header and no clip" + cure},
      {"wave/a.mp4,1,0\n", "DIR/labels.csv:1: no header" + cure},
      {"clip,face\nw/a,1\n", "DIR/labels.csv:1: the first column is 'clip', wanted 'video'" + cure},
      {"\"video\",\"face\"\n", "DIR/labels.csv:1: the first column is '\"video\"', wanted 'video'" + cure},
      {"video\nw/a\n", "DIR/labels.csv:1: no attribute column" + cure},
      {"video,face,\n", "DIR/labels.csv:1: attribute column 2 has no name; name it"},
      {"video,a,b,a\n", "DIR/labels.csv:1: attribute 'a' occurs twice; rename or remove one column"},
      {"video,a,b\nw/x,1,0\nw/y,1\n",
       "DIR/labels.csv:3: 2 columns, wanted 3 (video and 2 attributes); mend the line"},
      {"video,a\nw/x,1,0\n", "DIR/labels.csv:2: 3 columns, wanted 2 (video and 1 attributes); mend the line"},
      {"video,a\nw/x,2\n", "DIR/labels.csv:2: a is '2', wanted 0 or 1; mend the value"},
      {"video,a\nw/x,-1\n", "DIR/labels.csv:2: a is '-1', wanted 0 or 1; mend the value"},
      {"video,a\nw/x,\n", "DIR/labels.csv:2: a is '', wanted 0 or 1; mend the value"},
      {"video,a\nw/x, 1\n", "DIR/labels.csv:2: a is ' 1', wanted 0 or 1; mend the value"},
      {"video,a\nw/x,1.0\n", "DIR/labels.csv:2: a is '1.0', wanted 0 or 1; mend the value"},
      {"video,a\nw/x,1\n\nw/x,1\n", "DIR/labels.csv:4: clip 'w/x' was labelled in line 2; keep one of them"},
      {"video,a\nw/x.avi,1\nw/x.mp4,0\n",
       "DIR/labels.csv:3: clip 'w/x.mp4' was labelled in line 2; keep one of them"},
      {"video,a\n../x,1\n",
       "DIR/labels.csv:2: '../x' is no clip; write CLASS/VIDEO below the data set's folder"},
      {"video,a\n/etc/x,1\n",
       "DIR/labels.csv:2: '/etc/x' is no clip; write CLASS/VIDEO below the data set's folder"},
      {"video,a\n,1\n", "DIR/labels.csv:2: '' is no clip; write CLASS/VIDEO below the data set's folder"},
      {nul, "DIR/labels.csv:2: control character \\x00; save the label table as plain text"},
      {nul_in_name, "DIR/labels.csv:2: control character \\x00; save the label table as plain text"},
      {"video,a\nw/\x1b[2Jx,1\n",
       "DIR/labels.csv:2: control character \\x1b; save the label table as plain text"},
      {"video,a\rw/x,1\r", "DIR/labels.csv:1: control character \\x0d; save the label table as plain text"},
      {"video,a\n" + std::string(70'000, 'x') + ",1\n",
       "DIR/labels.csv:2: a line of 70002 bytes, the limit is 65536; this is no label table"},
      {"\x80\x04\x95",
       "DIR/labels.csv: byte 2: the file ends too soon; fetch the published file again, or give a CSV table "
       "with "
       "the header video,ATTRIBUTE,... and values 0 or 1"},
  };
  for (const Case& c : cases) CHECK(bad_table(c.text) == c.message);
}

TEST_CASE("labels: too many attributes, a folder, nothing there, and a file too large are refused") {
  std::string header = "video";
  for (int a = 0; a <= 4096; ++a) header += fmt::format(",{}a", a);
  CHECK(bad_table(header) == "DIR/labels.csv:1: 4097 attribute columns, the limit is 4096");

  const TemporaryFolder folder;
  const auto error = [&](const std::string& name) {
    return folder.error_of([&] { const Labels labels(folder / name); });
  };
  CHECK(error("none.csv") == "cannot read DIR/none.csv: No such file or directory (check the path)");
  CHECK(error("") == "cannot read DIR/: it is no regular file");
  folder.write("labels.pickle", "video,a\nw/x,1\n");
  CHECK(error("labels.pickle").starts_with("DIR/labels.pickle: byte 0: not a pickle of protocol 4; "));
  // Sparse: a claim of 4 GiB that takes no disk, and must take no memory.
  std::filesystem::resize_file(folder.write("large.csv", "video,a\n"), std::uintmax_t{4} << 30);
  CHECK(error("large.csv") ==
        "DIR/large.csv has 4294967296 bytes, more than the 67108864 allowed here: is it the right file?");
}

TEST_CASE("labels: lines that mean the same clip must agree") {
  const TemporaryFolder folder;
  const auto find = [&](std::string_view text, const std::vector<std::string>& clips) {
    const Labels labels(folder.write("labels.csv", text));
    return labels.find(clips);
  };
  // Written out exactly, each name finds its own line.
  CHECK(find("video,a\nw/Smile,1\nw/Smile!,0\n", {"w/Smile!.avi", "w/Smile.avi"}) == std::vector<int>{1, 0});
  // Spelled otherwise, both lines could be meant: good if they agree, an error if not.
  CHECK(find("video,a\nw/x_#1,1\nw/x_@1,1\n", {"w/x_1"}) == std::vector<int>{0});
  CHECK(folder.error_of([&] { find("video,a\nw/x_#1,1\nw/x_@1,0\n", {"w/x_1"}); }) ==
        "DIR/labels.csv: 'w/x_1' could be 'w/x_#1' or 'w/x_@1'; remove or rename one");
}

TEST_CASE("labels: names") {
  CHECK(clip_name("wave/21_wave.avi") == "wave/21_wave");
  CHECK(clip_name("wave/21.wave.AVI") == "wave/21.wave");
  CHECK(clip_name("wave/clip.1") == "wave/clip.1");
  CHECK(clip_name("wave.avi/clip") == "wave.avi/clip");
  CHECK(clip_name("") == "");
  CHECK(normalised_name("golf/Tips_#2!_(a).avi") == "golf/tips_2_a");
  CHECK(normalised_name("golf/tips_@2_[a].mp4") == "golf/tips_2_a");
  CHECK(normalised_name("HandstandPushups/v_HandStandPushups_g01_c01.avi") ==
        normalised_name("HandstandPushups/v_HandstandPushups_g01_c01"));
  CHECK(stays_below("wave/a..b.avi"));
  for (const char* path : {"", "/a", "a//b", "../a", "a/../../b", "a/..", "./a", "a/", "a\\..\\b"})
    CHECK_FALSE(stays_below(path));

  // Names of which nothing is left do not match each other.
  CHECK(match_names({"w/!!"}, {"w/??"}, "list") == std::vector<int>{-1});
  // The nearest spelling wins, whatever the order.
  CHECK(match_names({"w/a.avi", "w/a!.avi"}, {"w/A", "w/a.mp4"}, "list") == std::vector<int>{1, 0});
}

TEST_CASE("labels: the published tables") {
  struct Set {
    const char* file;
    std::size_t clips;
    std::vector<int> positive;
    int none;  // clips with all labels 0
  };
  const Set sets[] = {{"vp/hmdb51_privacy_attribute_label.csv", 6766, {6109, 4194, 6195, 1815, 1431}, 234},
                      {"vp/ucf101_privacy_attribute_label.csv", 13320, {12143, 7994, 11949, 3289, 3375}, 433}};
  for (const Set& set : sets) {
    const auto path = test::recordings(set.file);
    if (path.empty()) continue;
    const Labels labels(path);
    CHECK(labels.attributes() ==
          std::vector<std::string>{"skin_color", "face", "gender", "nudity", "relationship"});
    CHECK(labels.size() == set.clips);
    std::vector<int> positive(5, 0);
    int none = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      int sum = 0;
      for (std::size_t a = 0; a < 5; ++a) {
        positive[a] += labels.values(i)[a];
        sum += labels.values(i)[a];
      }
      none += sum == 0;
    }
    CHECK(positive == set.positive);
    CHECK(none == set.none);
    std::filesystem::path pickle = path;
    pickle.replace_extension(".pickle");
    const Labels pickled(pickle);
    REQUIRE(pickled.size() == labels.size());
    CHECK(pickled.attributes() == labels.attributes());
    const std::vector<int> line = labels.find(pickled.names());
    for (std::size_t i = 0; i < pickled.size(); ++i) {
      REQUIRE(line[i] >= 0);
      CHECK(row(pickled, i) == row(labels, static_cast<std::size_t>(line[i])));
    }
  }
}

}  // namespace
}  // namespace stp

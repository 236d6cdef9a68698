// Split lists of the three layouts: what is read, and for every bad list the exact message.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "data/listing.h"
#include "tests/data/files.h"

namespace stp {
namespace {

using test::TemporaryFolder;
using Files = std::vector<std::pair<std::string, std::string>>;

Listing listing_of(const TemporaryFolder& folder, Layout layout, const Files& files, int split = 1) {
  for (const auto& [name, text] : files) folder.write("splits/" + name, text);
  return read_listing(layout, folder / "splits", split);
}

std::string bad_lists(Layout layout, const Files& files, int split = 1) {
  const TemporaryFolder folder;
  return folder.error_of([&] { listing_of(folder, layout, files, split); });
}

// "PATH LABEL PART" of every clip, to compare a listing in one line.
std::vector<std::string> shown(const Listing& listing) {
  std::vector<std::string> out;
  for (const Listed& clip : listing.clips)
    out.push_back(fmt::format("{} {} {}", clip.path, clip.label, "ute"[static_cast<int>(clip.part)]));
  return out;
}

TEST_CASE("dataset: HMDB51 lists") {
  const TemporaryFolder folder;
  const Listing listing = listing_of(folder, Layout::hmdb51,
                                     {{"wave_test_split1.txt", "b.avi 1 \na_#1!.avi 2 \n"},
                                      {"golf_test_split1.txt", "x.avi 0 \r\ny.avi 1 \r\n"},
                                      {"golf_test_split2.txt", "broken"},
                                      {"readme.txt", "ignored"}});
  CHECK(listing.classes == std::vector<std::string>{"golf", "wave"});
  CHECK(shown(listing) ==
        std::vector<std::string>{"golf/x.avi 0 u", "golf/y.avi 0 t", "wave/b.avi 1 t", "wave/a_#1!.avi 1 e"});
  CHECK(listing.clips[3].where == (folder / "splits/wave_test_split1.txt").string() + ":2");
}

TEST_CASE("dataset: UCF101 lists") {
  const TemporaryFolder folder;
  const Listing listing = listing_of(folder, Layout::ucf101,
                                     {{"classInd.txt", "1 Wave\r\n2 Archery\r\n"},
                                      {"trainlist02.txt", "Archery/v_b.avi 2\r\nWave/v_c.avi 1\r\n"},
                                      {"testlist02.txt", "Wave/v_a.avi\r\nArchery/v_a.avi 2\r\n"}},
                                     2);
  CHECK(listing.classes == std::vector<std::string>{"Wave", "Archery"});
  CHECK(shown(listing) == std::vector<std::string>{"Archery/v_b.avi 1 t", "Wave/v_c.avi 0 t",
                                                   "Wave/v_a.avi 0 e", "Archery/v_a.avi 1 e"});
}

TEST_CASE("dataset: plain lists, classes by name or by number") {
  const TemporaryFolder folder;
  Listing listing = listing_of(
      folder, Layout::lists, {{"train.txt", "b/one two.mp4 wave\na/x bow\n"}, {"test.txt", "a/y.mp4\twave\n"}});
  CHECK(listing.classes == std::vector<std::string>{"bow", "wave"});
  CHECK(shown(listing) == std::vector<std::string>{"b/one two.mp4 1 t", "a/x 0 t", "a/y.mp4 1 e"});
  listing = listing_of(folder, Layout::lists, {{"train.txt", "a 10\nb 9\n"}, {"test.txt", "c 10\n"}});
  CHECK(listing.classes == std::vector<std::string>{"9", "10"});
  CHECK(shown(listing) == std::vector<std::string>{"a 1 t", "b 0 t", "c 1 e"});
}

TEST_CASE("dataset: classes are selected in the data set's order") {
  const TemporaryFolder folder;
  const Files files = {{"a_test_split1.txt", "1.avi 1\n"},
                       {"b_test_split1.txt", "1.avi 1\n"},
                       {"c_test_split1.txt", "1.avi 2\n"}};
  const Listing all = listing_of(folder, Layout::hmdb51, files);
  const Listing some = select_classes(all, {"c", "a"});
  CHECK(some.classes == std::vector<std::string>{"a", "c"});
  CHECK(shown(some) == std::vector<std::string>{"a/1.avi 0 t", "c/1.avi 1 e"});
  CHECK(folder.error_of([&] {
    select_classes(all, {"a", "d"});
  }) == "DIR/splits: no class 'd'; nearest are a, b, c");
  CHECK(folder.error_of([&] { select_classes(all, {"jumping"}); }) ==
        "DIR/splits: no class 'jumping'; there are a, b, c");
}

TEST_CASE("dataset: every bad list is refused with file, line and cure") {
  struct Case {
    Layout layout;
    int split;
    Files files;
    std::string message;
  };
  const std::pair<std::string, std::string> index = {"classInd.txt", "1 A\n2 B\n"};
  const std::pair<std::string, std::string> tests = {"testlist01.txt", "A/t.avi\n"};
  const Case cases[] = {
      {Layout::hmdb51,
       4,
       {{"a_test_split1.txt", "x 1\n"}},
       "DIR/splits: no CLASS_test_split4.txt there; HMDB51 has the splits 1, 2 and 3"},
      {Layout::hmdb51, 0, {{"a_test_split1.txt", "x 1\n"}}, "DIR/splits: split 0; splits are numbered from 1"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "x.avi 1\ny.avi\n"}},
       "DIR/splits/a_test_split1.txt:2: 'y.avi', wanted VIDEO and 1 (train), 2 (test) or 0 (unused)"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "x.avi 3\n"}},
       "DIR/splits/a_test_split1.txt:1: 'x.avi 3', wanted VIDEO and 1 (train), 2 (test) or 0 (unused)"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "x y.avi 1\n"}},
       "DIR/splits/a_test_split1.txt:1: 'x y.avi 1', wanted VIDEO and 1 (train), 2 (test) or 0 (unused)"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "../x.avi 1\n"}},
       "DIR/splits/a_test_split1.txt:1: '../x.avi' leaves the class's folder; write the name of the video "
       "alone"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", ".. 1\n"}},
       "DIR/splits/a_test_split1.txt:1: 'a/..' leaves the data set's folder; write CLASS/VIDEO"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "..\\x 1\n"}},
       "DIR/splits/a_test_split1.txt:1: 'a/..\\x' leaves the data set's folder; write CLASS/VIDEO"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "x.avi 1\nx.avi 1\n"}},
       "DIR/splits/a_test_split1.txt:2: 'a/x.avi' is listed in DIR/splits/a_test_split1.txt:1; keep one of "
       "them"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "x.avi 1\nx.mp4 2\n"}},
       "DIR/splits/a_test_split1.txt:2: 'a/x.mp4' is listed for another use in DIR/splits/a_test_split1.txt:1; "
       "keep "
       "one of them"},
      {Layout::hmdb51,
       1,
       {{"a_test_split1.txt", "x\x01.avi 1\n"}},
       "DIR/splits/a_test_split1.txt:1: control character \\x01; save the split list as plain text"},
      {Layout::ucf101,
       1,
       {index, {"trainlist01.txt", "A/x.avi 1\n"}},
       "DIR/splits/testlist01.txt: no such list; UCF101 has the splits 1, 2 and 3"},
      {Layout::ucf101,
       7,
       {index, tests},
       "DIR/splits/trainlist07.txt: no such list; UCF101 has the splits 1, 2 and 3"},
      {Layout::ucf101,
       1,
       {tests},
       "cannot read DIR/splits/classInd.txt: No such file or directory (check the path)"},
      {Layout::ucf101,
       1,
       {{"classInd.txt", "\n"}},
       "DIR/splits/classInd.txt: no class; wanted lines 'NUMBER CLASS'"},
      {Layout::ucf101,
       1,
       {{"classInd.txt", "0 A\n"}},
       "DIR/splits/classInd.txt:1: '0 A', wanted '1 CLASS'; classes are numbered from 1 without gaps"},
      {Layout::ucf101,
       1,
       {{"classInd.txt", "1 A\n3 B\n"}},
       "DIR/splits/classInd.txt:2: '3 B', wanted '2 CLASS'; classes are numbered from 1 without gaps"},
      {Layout::ucf101,
       1,
       {{"classInd.txt", "1 A\n2 A\n"}},
       "DIR/splits/classInd.txt:2: class 'A' occurs twice; keep one of them"},
      {Layout::ucf101,
       1,
       {index, tests, {"trainlist01.txt", "A/x.avi\n"}},
       "DIR/splits/trainlist01.txt:1: 'A/x.avi', wanted 'CLASS/VIDEO NUMBER'"},
      {Layout::ucf101,
       1,
       {index, {"trainlist01.txt", "A/x.avi 1\n"}, {"testlist01.txt", "y.avi\n"}},
       "DIR/splits/testlist01.txt:1: 'y.avi', wanted 'CLASS/VIDEO'"},
      {Layout::ucf101,
       1,
       {index, tests, {"trainlist01.txt", "C/x.avi 1\n"}},
       "DIR/splits/trainlist01.txt:1: class 'C' is not in classInd.txt; mend the line or add the class"},
      {Layout::ucf101,
       1,
       {index, tests, {"trainlist01.txt", "A/x.avi 2\n"}},
       "DIR/splits/trainlist01.txt:1: class 'A' has number 1 in classInd.txt, not '2'; mend the line"},
      {Layout::ucf101,
       1,
       {index, tests, {"trainlist01.txt", "A/../B/x.avi 1\n"}},
       "DIR/splits/trainlist01.txt:1: 'A/../B/x.avi' leaves the data set's folder; write CLASS/VIDEO"},
      {Layout::ucf101,
       1,
       {index, tests, {"trainlist01.txt", "B/x.avi 2\nA/t.avi 1\n"}},
       "DIR/splits/testlist01.txt:1: 'A/t.avi' is listed for another use in DIR/splits/trainlist01.txt:2; keep "
       "one of "
       "them"},
      {Layout::lists,
       1,
       {{"train.txt", "a/x.mp4\n"}},
       "DIR/splits/train.txt:1: 'a/x.mp4', wanted 'PATH CLASS'"},
      {Layout::lists,
       1,
       {{"train.txt", "/etc/passwd wave\n"}},
       "DIR/splits/train.txt:1: '/etc/passwd' leaves the data set's folder; write CLASS/VIDEO"},
      {Layout::lists,
       1,
       {{"train.txt", "a/../../b wave\n"}},
       "DIR/splits/train.txt:1: 'a/../../b' leaves the data set's folder; write CLASS/VIDEO"},
      {Layout::lists,
       1,
       {{"train.txt", "a/b wave\n"}},
       "cannot read DIR/splits/test.txt: No such file or directory (check the path)"},
      {Layout::lists,
       1,
       {{"train.txt", "a/b wave\n"}, {"test.txt", "a/b wave\n"}},
       "DIR/splits/test.txt:1: 'a/b' is listed for another use in DIR/splits/train.txt:1; keep one of them"},
      {Layout::lists,
       2,
       {{"train.txt", "a/b wave\n"}},
       "DIR/splits: split 2; train.txt and test.txt are the only split, 1"},
  };
  for (const Case& c : cases) CHECK(bad_lists(c.layout, c.files, c.split) == c.message);
  const TemporaryFolder folder;
  CHECK(folder.error_of([&] { read_listing(Layout::hmdb51, folder / "none", 1); }) ==
        "DIR/none: no such folder; give the folder of the split lists");
}

}  // namespace
}  // namespace stp

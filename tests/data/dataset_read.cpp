// Data sets joined from lists, files and labels. The "videos" are empty files: nothing is decoded here.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/labels.h"
#include "tests/data/files.h"

namespace stp {
namespace {

using test::TemporaryFolder;

// Two classes with two clips each, all on disk: one file of another format, one folder of frames, one name with
// a character that the list does not have.
void write_small_set(const TemporaryFolder& folder) {
  folder.write("splits/golf_test_split1.txt", "a.avi 1 \nb_#1.avi 2 \n");
  folder.write("splits/wave_test_split1.txt", "c.avi 1 \nd!.avi 2 \ne.avi 0 \n");
  folder.write("videos/golf/a.avi", "");
  folder.write("videos/golf/b_@1.mp4", "");
  folder.write("videos/golf/notes.txt", "not a clip");
  folder.write("videos/wave/c/frame1.jpg", "");
  folder.write("videos/wave/d.avi", "");
  folder.write("labels.csv",
               "video,skin_color,face\ngolf/a.mp4,1,0\ngolf/b_#1.mp4,0,1\nwave/c.mp4,1,1\nwave/d.mp4,0,0\n");
}

DatasetSpec spec_of(const TemporaryFolder& folder) {
  DatasetSpec spec;
  spec.videos = folder / "videos";
  spec.splits = folder / "splits";
  spec.labels = folder / "labels.csv";
  return spec;
}

TEST_CASE("dataset: clips, lists and labels are joined by name") {
  const TemporaryFolder folder;
  write_small_set(folder);
  const Dataset dataset = read_dataset(spec_of(folder));
  CHECK(dataset.classes == std::vector<std::string>{"golf", "wave"});
  CHECK(dataset.attributes == std::vector<std::string>{"skin_color", "face"});
  REQUIRE(dataset.train.size() == 2);
  REQUIRE(dataset.test.size() == 2);
  CHECK(dataset.train[0].path == folder / "videos/golf/a.avi");
  CHECK(dataset.train[0].name == "golf/a");
  CHECK(dataset.train[0].label == 0);
  CHECK(dataset.train[0].attributes == std::vector<float>{1, 0});
  CHECK(dataset.train[1].path == folder / "videos/wave/c");
  CHECK(dataset.train[1].label == 1);
  CHECK(dataset.test[0].path == folder / "videos/golf/b_@1.mp4");
  CHECK(dataset.test[0].name == "golf/b_#1");
  CHECK(dataset.test[0].attributes == std::vector<float>{0, 1});
  CHECK(dataset.test[1].path == folder / "videos/wave/d.avi");
  CHECK(dataset.missing_clips == 0);
  CHECK(dataset.unused_clips == 0);
}

TEST_CASE("dataset: without labels, of some classes, and with clips that are not used") {
  const TemporaryFolder folder;
  write_small_set(folder);
  folder.write("videos/wave/e.avi", "");
  folder.write("videos/wave/extra.avi", "");
  DatasetSpec spec = spec_of(folder);
  spec.labels.clear();
  spec.classes = {"wave"};
  const Dataset dataset = read_dataset(spec);
  CHECK(dataset.classes == std::vector<std::string>{"wave"});
  CHECK(dataset.attributes.empty());
  REQUIRE(dataset.train.size() == 1);
  CHECK(dataset.train[0].label == 0);
  CHECK(dataset.train[0].attributes.empty());
  CHECK(dataset.unused_clips == 2);
}

TEST_CASE("dataset: what is missing on disk is refused, or skipped and counted") {
  const TemporaryFolder folder;
  write_small_set(folder);
  folder.write("splits/climb_test_split1.txt", "x.avi 1\ny.avi 2\n");
  folder.write("splits/wave_test_split1.txt", "c.avi 1\nd!.avi 2\nf.avi 2\n");
  DatasetSpec spec = spec_of(folder);
  CHECK(folder.error_of([&] { read_dataset(spec); }) ==
        "DIR/splits/climb_test_split1.txt:1: 'climb/x.avi' is not on disk, nor is its folder (3 clips of the "
        "lists are "
        "missing); complete DIR/videos or allow missing clips (data.skip_missing)");
  spec.missing = Missing::skip;
  const Dataset dataset = read_dataset(spec);
  CHECK(dataset.classes == std::vector<std::string>{"golf", "wave"});
  CHECK(dataset.missing_clips == 3);
  CHECK(dataset.missing_classes == 1);
  CHECK(dataset.train.size() == 2);
  CHECK(dataset.test[1].label == 1);
  CHECK(dataset.test[1].attributes == std::vector<float>{0, 0});
  // A folder that holds none of its class's clips is an oversight, not an absent class.
  folder.write("videos/climb/z.avi", "");
  const char* none =
      "DIR/splits: split 1: class 'climb' has no training clip; add clips or leave the class out (classes = "
      "[...])";
  CHECK(folder.error_of([&] { read_dataset(spec); }) == none);
  std::filesystem::remove_all(folder / "videos/climb");
  // A class that was asked for by name must be there.
  spec.classes = {"climb", "wave"};
  CHECK(folder.error_of([&] { read_dataset(spec); }) == none);
}

TEST_CASE("dataset: a clip keeps its own label though its namesake is absent") {
  const TemporaryFolder folder;
  folder.write("splits/smile_test_split1.txt", "Smile_0.avi 1\nSmile!_0.avi 2\nother.avi 2\n");
  folder.write("labels.csv", "video,face\nsmile/Smile!_0.mp4,1\nsmile/Smile_0.mp4,0\nsmile/other.mp4,1\n");
  folder.write("videos/smile/Smile_0.avi", "");
  folder.write("videos/smile/other.avi", "");
  DatasetSpec spec = spec_of(folder);
  spec.missing = Missing::skip;
  const Dataset dataset = read_dataset(spec);
  CHECK(dataset.train.at(0).attributes == std::vector<float>{0});
  CHECK(dataset.test.at(0).name == "smile/other");
  CHECK(dataset.missing_clips == 1);
}

TEST_CASE("dataset: what does not fit together is refused in one line with the cure") {
  struct Case {
    const char* what;
    std::vector<std::pair<const char*, const char*>> write;
    std::vector<const char*> remove;
    const char* message;
  };
  const Case cases[] = {
      {"no videos", {}, {"videos"}, "DIR/videos: no such folder; give the folder that holds CLASS/VIDEO"},
      {"no splits", {}, {"splits"}, "DIR/splits: no such folder; give the folder of the split lists"},
      {"no labels",
       {},
       {"labels.csv"},
       "cannot read DIR/labels.csv: No such file or directory (check the path)"},
      {"clip missing",
       {},
       {"videos/wave/d.avi"},
       "DIR/splits/wave_test_split1.txt:2: 'wave/d!.avi' is not on disk (1 clips of the lists are missing); "
       "complete "
       "DIR/videos or allow missing clips (data.skip_missing)"},
      {"class without a clip",
       {{"splits/wave_test_split1.txt", "c.avi 2\nd!.avi 2\n"}},
       {},
       "DIR/splits: split 1: class 'wave' has no training clip; add clips or leave the class out (classes = "
       "[...])"},
      {"empty class list",
       {{"splits/wave_test_split1.txt", ""}},
       {},
       "DIR/splits: split 1: class 'wave' has no training clip; add clips or leave the class out (classes = "
       "[...])"},
      {"no test clip",
       {{"splits/wave_test_split1.txt", "c.avi 1\nd!.avi 0\n"}, {"splits/golf_test_split1.txt", "a.avi 1\n"}},
       {},
       "DIR/splits: split 1: no test clip is in DIR/videos; check both folders"},
      {"no training clip",
       {{"splits/wave_test_split1.txt", "c.avi 2\n"}, {"splits/golf_test_split1.txt", "a.avi 2\n"}},
       {},
       "DIR/splits: split 1: no training clip is in DIR/videos; check both folders"},
      {"clip without label",
       {{"labels.csv", "video,face\ngolf/a,1\ngolf/b_#1,1\nwave/d,0\n"}},
       {},
       "DIR/labels.csv: no labels for 'wave/c.avi' (DIR/splits/wave_test_split1.txt:1); add its line or leave "
       "the clip "
       "out of the split"},
      {"two files for a clip",
       {{"videos/golf/a.mp4", ""}, {"splits/golf_test_split1.txt", "a.mkv 1\nb_1 2\n"}},
       {},
       "DIR/videos: 'golf/a.mkv' could be 'golf/a.avi' or 'golf/a.mp4'; remove or rename one"},
      {"two clips for a file",
       {{"splits/wave_test_split1.txt", "c.avi 1\nd!.avi 2\nd@.avi 1\n"}, {"labels.csv", "video,x\nw/x,1\n"}},
       {},
       "DIR/videos: 'wave/d.avi' could be 'wave/d!.avi' or 'wave/d@.avi'; rename it so that it matches one"},
  };
  for (const Case& c : cases) {
    const TemporaryFolder folder;
    write_small_set(folder);
    for (const auto& [name, text] : c.write) folder.write(name, text);
    for (const char* name : c.remove) std::filesystem::remove_all(folder / name);
    CAPTURE(c.what);
    CHECK(folder.error_of([&] { read_dataset(spec_of(folder)); }) == c.message);
  }
}

TEST_CASE("dataset: UCF101 and plain lists find files and folders of frames") {
  const TemporaryFolder folder;
  folder.write("ucf/classInd.txt", "1 HandstandPushups\r\n");
  folder.write("ucf/trainlist01.txt", "HandstandPushups/v_HandStandPushups_g08_c01.avi 1\r\n");
  folder.write("ucf/testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c01.avi\r\n");
  folder.write("videos/HandstandPushups/v_HandstandPushups_g08_c01.mp4", "");
  folder.write("videos/HandstandPushups/v_HandStandPushups_g01_c01/1.jpg", "");
  DatasetSpec spec;
  spec.layout = Layout::ucf101;
  spec.videos = folder / "videos";
  spec.splits = folder / "ucf";
  Dataset dataset = read_dataset(spec);
  CHECK(dataset.train.at(0).path.filename() == "v_HandstandPushups_g08_c01.mp4");
  CHECK(dataset.test.at(0).path.filename() == "v_HandStandPushups_g01_c01");

  folder.write("lists/train.txt", "HandstandPushups/v_HandStandPushups_g01_c01 up\n");
  folder.write("lists/test.txt", "top.avi up\n");
  folder.write("videos/top.avi", "");
  spec.layout = Layout::lists;
  spec.splits = folder / "lists";
  dataset = read_dataset(spec);
  CHECK(dataset.train.at(0).path == folder / "videos/HandstandPushups/v_HandStandPushups_g01_c01");
  CHECK(dataset.test.at(0).path == folder / "videos/top.avi");
  CHECK(dataset.test.at(0).name == "top");
}

}  // namespace
}  // namespace stp

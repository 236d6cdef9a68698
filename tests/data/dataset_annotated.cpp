// Data sets whose annotations hold splits and labels in one: CelebV-HQ, HVU, PA-HMDB51. The "videos" are empty
// files: nothing is decoded here.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/pa_hmdb51.h"
#include "tests/data/files.h"

namespace stp {
namespace {

using test::TemporaryFolder;

std::string celebv_clip(int number, const std::string& expression) {
  return fmt::format(
      R"("c_{}": {{"attributes": {{"appearance": [{}, 1, 0, 0, 1], "emotion": {{"sep_flag": false, "labels": "{}"}}}}}})",
      number, number % 2, expression);
}

// 40 clips, all on disk, of each of the eight expressions five.
void write_celebv(const TemporaryFolder& folder) {
  const char* names[] = {"neutral", "happy", "sadness", "anger", "fear", "surprise", "disgust", "contempt"};
  std::string clips;
  for (int i = 0; i < 40; ++i) {
    if (i > 0) clips += ',';
    clips += celebv_clip(i, names[i % 8]);
    folder.write(fmt::format("videos/c_{}.mp4", i), "");
  }
  folder.write(
      "celebvhq_info.json",
      R"({"meta_info": {"appearance_mapping": ["young", "pointy_nose", "male", "rosy_cheeks", "brown_hair"]},
                   "clips": {)" +
          clips + "}}");
}

DatasetSpec spec_of(const TemporaryFolder& folder, Layout layout, const std::string& splits) {
  DatasetSpec spec;
  spec.layout = layout;
  spec.videos = folder / "videos";
  spec.splits = folder / splits;
  return spec;
}

TEST_CASE("dataset: CelebV-HQ's list holds expressions and attributes; its split is drawn from a number") {
  const TemporaryFolder folder;
  write_celebv(folder);
  DatasetSpec spec = spec_of(folder, Layout::celebv_hq, "celebvhq_info.json");
  const Dataset one = read_dataset(spec);
  CHECK(one.classes.size() == 8);
  CHECK(one.attributes ==
        std::vector<std::string>{"young", "pointy_nose", "male", "rosy_cheeks", "brown_hair"});
  CHECK(one.train.size() == 24);  // 60 of 100
  CHECK(one.test.size() == 16);
  CHECK_FALSE(one.many_actions);
  for (const Item& item : one.train) {
    const int number = std::stoi(item.name.substr(2));
    CHECK(item.label == number % 8);
    CHECK(item.attributes == std::vector<float>{static_cast<float>(number % 2), 1, 0, 0, 1});
    CHECK(item.path == folder / fmt::format("videos/c_{}.mp4", number));
  }
  const auto names = [](const Dataset& data) {
    std::vector<std::string> all;
    for (const Item& item : data.train) all.push_back(item.name);
    return all;
  };
  CHECK(names(read_dataset(spec)) == names(one));
  spec.split = 2;
  CHECK(names(read_dataset(spec)) != names(one));
  spec.labels = folder.write("labels.csv", "video,a\nc_0,1\n");
  CHECK(folder.error_of([&] { read_dataset(spec); }) ==
        "DIR/labels.csv: DIR/celebvhq_info.json has labels of its own; leave data.labels empty");
}

const std::string kTags =
    "Tag,Category\nrun,action\njump,action\nswim,action\nball,object\ncar,object\nbeach,scene\n";

void write_hvu(const TemporaryFolder& folder) {
  folder.write("lists/HVU_Tags_Categories_V1.0.csv", kTags);
  const std::string head = "Tags,youtube_id,time_start,time_end\n";
  folder.write("lists/HVU_Train_V1.0.csv", head + "ball|run|jump,a,0,10\nbeach|jump,b,5,15\nswim|car,c,0,10\n");
  folder.write("lists/HVU_Val_V1.0.csv", head + "run|car|ball,d,0,10\njump,e,0,10\n");
  for (const char* clip :
       {"a_000000_000010", "b_000005_000015", "c_000000_000010", "d_000000_000010", "e_000000_000010"})
    folder.write(fmt::format("videos/{}.mp4", clip), "");
}

TEST_CASE("dataset: HVU's clips show several actions, and its attributes are objects and scenes") {
  const TemporaryFolder folder;
  write_hvu(folder);
  const Dataset all = read_dataset(spec_of(folder, Layout::hvu, "lists"));
  CHECK(all.many_actions);
  CHECK(all.classes == std::vector<std::string>{"jump", "run", "swim"});
  CHECK(all.attributes == std::vector<std::string>{"object/ball", "object/car", "scene/beach"});
  REQUIRE(all.train.size() == 3);
  REQUIRE(all.test.size() == 2);
  CHECK(all.train[0].actions == std::vector<float>{1, 1, 0});
  CHECK(all.train[0].attributes == std::vector<float>{1, 0, 0});
  CHECK(all.train[1].attributes == std::vector<float>{0, 0, 1});
  CHECK(all.test[0].actions == std::vector<float>{0, 1, 0});
  CHECK(all.test[0].attributes == std::vector<float>{1, 1, 0});
  CHECK(all.absent_labels == 0);
}

TEST_CASE("dataset: of HVU's labels those stay that a training clip on disk has") {
  const TemporaryFolder folder;
  write_hvu(folder);
  std::filesystem::remove(folder / "videos/c_000000_000010.mp4");
  DatasetSpec spec = spec_of(folder, Layout::hvu, "lists");
  CHECK(folder.error_of([&] { read_dataset(spec); }).find("is not on disk") != std::string::npos);
  spec.missing = Missing::skip;
  const Dataset some = read_dataset(spec);
  CHECK(some.missing_clips == 1);
  CHECK(some.classes == std::vector<std::string>{"jump", "run"});
  CHECK(some.attributes == std::vector<std::string>{"object/ball", "scene/beach"});
  CHECK(some.absent_labels == 2);  // swim, car
  CHECK(some.test[0].attributes == std::vector<float>{1, 0});
  spec.classes = {"jump"};
  const Dataset jumps = read_dataset(spec);
  CHECK(jumps.train.size() == 2);
  CHECK(jumps.test.size() == 1);
  CHECK(jumps.train[0].actions == std::vector<float>{1});
}

TEST_CASE("dataset: HVU's lists are refused where they do not fit together") {
  const TemporaryFolder folder;
  write_hvu(folder);
  DatasetSpec spec = spec_of(folder, Layout::hvu, "lists");
  spec.split = 2;
  CHECK(folder.error_of([&] { read_dataset(spec); }) == "DIR/lists: split 2; HVU has one, 1");
  spec.split = 1;
  folder.write("lists/HVU_Val_V1.0.csv", "run,a,0,10\n");
  CHECK(
      folder.error_of([&] { read_dataset(spec); }) ==
      "DIR/lists/HVU_Val_V1.0.csv: clip 'a_000000_000010' is in DIR/lists/HVU_Train_V1.0.csv too; keep one of "
      "the lines");
}

TEST_CASE("dataset: PA-HMDB51's videos carry the labels of their frames") {
  const TemporaryFolder folder;
  std::string videos;
  for (int i = 0; i < 10; ++i) {
    videos += fmt::format(
        R"({}"v{}.avi": {{"skin_color": [[0, 9, 1]], "face": [[0, 4, 0], [5, 9, 2]], "gender": [[0, 9, 0]],
            "nudity": [[0, 8, 0]], "relationship": [[0, 9, 1]]}})",
        i > 0 ? "," : "", i);
    folder.write(fmt::format("videos/wave/v{}.mp4", i), "");
  }
  folder.write("pa/wave.json", "{" + videos + "}");
  const Dataset data = read_dataset(spec_of(folder, Layout::pa_hmdb51, "pa"));
  CHECK(data.train.size() == 6);
  CHECK(data.test.size() == 4);
  for (const Item& item : data.test) {
    REQUIRE(item.frames);
    CHECK(item.attributes.empty());
    CHECK(item.frames->all_at(4) == std::array{1, 0, 0, 0, 1});
    CHECK(item.frames->all_at(5) == std::array{1, 1, 0, 0, 1});
    CHECK_FALSE(item.frames->all_at(9));  // nudity is not labelled there
  }
}

}  // namespace
}  // namespace stp

// The protocols of the paper's Tables 3, 4 and 5, on small data in the published formats: labels of frames,
// lists that hold their own labels, and clips that show several actions. What is judged is counted here once
// more.
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/dataset.h"
#include "data/image.h"
#include "tests/system/workplace.h"

namespace stp {
namespace {

using test::Ended;
using test::Workplace;
using Json = nlohmann::json;

// The clips of tiny.toml.
Dataset tiny_data(const Workplace& place) {
  DatasetSpec spec;
  spec.videos = place / "runs/data/tiny/videos";
  spec.splits = place / "runs/data/tiny/splits";
  spec.labels = place / "runs/data/tiny/labels.csv";
  return read_dataset(spec);
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

Ended reproduce(const Workplace& place, const std::string& table, const std::string& data,
                const std::vector<std::string>& settings) {
  std::vector<std::string> arguments = {
      "reproduce", table, "--data",   data,
      "--threads", "1",   "--recipe", STP_SOURCE_DIR "/tools/recipes/tiny.toml"};
  for (const char* row : {"raw", "weak_blur", "collective", "stprivacy"}) {
    arguments.emplace_back("--only");
    arguments.emplace_back(row);
  }
  std::vector<std::string> all = {"model.width=32",      "method.width=4",   "method.kernel=3", "init.steps=4",
                                  "adversarial.steps=6", "evaluate.steps=6", "data.labels="};
  all.insert(all.end(), settings.begin(), settings.end());
  for (const std::string& setting : all) {
    arguments.emplace_back("--set");
    arguments.push_back(setting);
  }
  return test::run_program(arguments, {}, place.folder());
}

Json results_of(const Workplace& place, const std::string& folder) {
  return Json::parse(content(place / folder / "results.json"));
}

// The mean over columns of the share of ones, in percent.
double mean_share(const std::vector<std::vector<float>>& rows) {
  double sum = 0, count = 0;
  for (const std::vector<float>& row : rows)
    for (const float value : row) {
      sum += value;
      ++count;
    }
  return 100 * sum / count;
}

TEST_CASE("protocols: Table 4 from CelebV-HQ's list alone") {
  const Workplace place;
  const Dataset data = tiny_data(place);
  const char* names[] = {"neutral", "happy", "sadness", "anger", "fear", "surprise", "disgust", "contempt"};
  Json list = {
      {"meta_info", {{"appearance_mapping", {"young", "pointy_nose", "male", "rosy_cheeks", "brown_hair"}}}}};
  for (const auto* part : {&data.train, &data.test}) {
    for (const Item& item : *part) {
      std::vector<int> marks;
      for (const float a : item.attributes) marks.push_back(a > 0 ? 1 : 0);
      list["clips"][item.name] = {
          {"attributes",
           {{"appearance", marks}, {"emotion", {{"sep_flag", false}, {"labels", names[item.label]}}}}}};
    }
  }
  write(place / "celebvhq_info.json", list.dump());
  const Ended ended =
      reproduce(place, "table4", "celebv-hq", {"data.layout=celebv_hq", "data.splits=celebvhq_info.json"});
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  CHECK(contains(ended.results, "Table 4"));
  CHECK(contains(ended.results, "73.13"));  // the paper's raw
  const Json results = results_of(place, "runs/table4-celebv-hq");
  CHECK(results["attributes"] == Json({"young", "pointy_nose", "male", "rosy_cheeks", "brown_hair"}));
  CHECK(results["methods"].size() == 4);
}

TEST_CASE("protocols: Table 5 judges actions, objects and scenes of clips that show several") {
  const Workplace place;
  const Dataset data = tiny_data(place);
  std::string tags = "Tag,Category\nbusy,action\n";
  for (const std::string& name : data.classes) tags += name + ",action\n";
  for (const char* name : {"ball", "car", "dog"}) tags += fmt::format("{},object\n", name);
  for (const char* name : {"beach", "hall"}) tags += fmt::format("{},scene\n", name);
  write(place / "lists/HVU_Tags_Categories_V1.0.csv", tags);
  const std::vector<std::string> attributes = {"ball", "car", "dog", "beach", "hall"};
  std::vector<std::vector<float>> shown;  // of the test clips
  int number = 0;
  for (const auto& [file, items] :
       {std::pair{"HVU_Train_V1.0.csv", &data.train}, {"HVU_Val_V1.0.csv", &data.test}}) {
    std::string lines = "Tags,youtube_id,time_start,time_end\n";
    for (const Item& item : *items) {
      std::string of = data.classes[static_cast<std::size_t>(item.label)];
      const bool busy = number % 3 == 0;
      if (busy) of += "|busy";
      for (std::size_t a = 0; a < attributes.size(); ++a)
        if (item.attributes[a] > 0) of += "|" + attributes[a];
      lines += fmt::format("{},v{},0,10\n", of, number);
      std::filesystem::create_directories(place / "clips");
      std::filesystem::copy_file(item.path, place / fmt::format("clips/v{}_000000_000010.mp4", number++));
      if (items != &data.test) continue;
      std::vector<float>& row = shown.emplace_back(data.classes.size(), 0.0f);
      row[static_cast<std::size_t>(item.label)] = 1;
      row.push_back(busy ? 1.0f : 0.0f);
    }
    write(place / "lists" / file, lines);
  }
  const Ended ended =
      reproduce(place, "table5", "p-hvu", {"data.layout=hvu", "data.splits=lists", "data.videos=clips"});
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  CHECK(contains(ended.results, "27.28 15.72 30.18"));  // the paper's raw
  CHECK(contains(ended.results, "floor of the true actions"));
  CHECK_FALSE(contains(ended.results, "top-1"));
  const Json results = results_of(place, "runs/table5-p-hvu");
  CHECK(results["many_actions"] == true);
  // Constant scores get each action's share; one that no test clip shows is left out.
  std::size_t present = 0;
  for (std::size_t c = 0; c < shown[0].size(); ++c)
    present += std::ranges::any_of(shown, [&](const auto& row) { return row[c] > 0; }) ? 1 : 0;
  CHECK(
      results["chance"]["top1"].get<double>() ==
      doctest::Approx(mean_share(shown) * static_cast<double>(shown[0].size()) / static_cast<double>(present)));
  for (const Json& method : results["methods"])
    for (const Json& attacker : method["attackers"]) CHECK(attacker["kind"] != "action");
  // The report shows the same without a curve that needs one action a clip.
  const Ended report = test::run_program({"report", "runs/table5-p-hvu", "-o", "report.html", "--clips", "0"},
                                         {}, place.folder());
  INFO(report.messages);
  REQUIRE(report.code == 0);
  CHECK(contains(content(place / "report.html"), "action cMAP %"));
}

// Labels that change in the middle of each video: attribute 0 there and then gone, attribute 1 the other way
// round, the others throughout or never. Frame 3 is not labelled.
void write_frame_labels(const Workplace& place, const Dataset& data) {
  std::map<std::string, Json> files;
  for (const auto* part : {&data.train, &data.test}) {
    for (const Item& item : *part) {
      const std::size_t slash = item.name.find('/');
      const auto all = [](int value) { return Json::array({Json::array({0, 11, value})}); };
      files[item.name.substr(0, slash)][item.name.substr(slash + 1) + ".avi"] = {
          {"skin_color", {{0, 5, 1}, {6, 11, 0}}},
          {"face", {{0, 2, 0}, {4, 5, 0}, {6, 11, 2}}},
          {"gender", all(item.label % 2)},
          {"nudity", all(item.label % 3 == 0 ? 1 : 0)},
          {"relationship", all(item.attributes[0] > 0 ? 1 : 0)}};
    }
  }
  for (const auto& [name, json] : files) write(place / "pa" / (name + ".json"), json.dump());
}

TEST_CASE("protocols: Table 3 judges privacy frame by frame, to the bit after a kill") {
  const Workplace place;
  write_frame_labels(place, tiny_data(place));
  const std::vector<std::string> settings = {"data.frame_labels=pa", "data.labels=runs/data/tiny/labels.csv"};
  const Ended ended = reproduce(place, "table3", "vp-hmdb51", settings);
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  CHECK(contains(ended.results, "51.23"));  // the paper's raw
  const Json results = results_of(place, "runs/table3-vp-hmdb51");
  CHECK(results["attributes"] == Json({"skin_color", "face", "gender", "nudity", "relationship"}));
  for (const Json& method : results["methods"]) {
    std::vector<std::string> kinds;
    for (const Json& attacker : method["attackers"]) kinds.push_back(attacker["kind"]);
    CHECK(kinds == std::vector<std::string>{"posterior", "action", "frame", "frame"});
  }
  // A run of its own, killed in the middle of phase evaluate.
  std::vector<std::string> run = {"--set", "evaluate.raw=false",  "--set", "init.steps=2",
                                  "--set", "adversarial.steps=4", "--set", "data.frame_labels=pa"};
  REQUIRE(place.begin("whole", run).code == 0);
  place.begin("killed", run, [&](pid_t child) {
    while (test::running(child) &&
           !contains(content(place / "killed/log.jsonl"), "\"evaluate stprivacy\",\"step\":9"))
      usleep(1000);
    kill(child, SIGKILL);
  });
  REQUIRE(place.resume("killed").code == 0);
  CHECK(place.files("killed") == place.files("whole"));
}

// Pictures of two sizes, none of them a strip of squares, with VISPR's annotations.
void write_vispr(const Workplace& place) {
  for (int i = 0; i < 12; ++i) {
    const int width = i % 2 == 0 ? 40 : 22, height = 30;
    const std::vector<std::uint8_t> rgb(static_cast<std::size_t>(3 * width * height),
                                        static_cast<std::uint8_t>(20 * i));
    const std::vector<std::uint8_t> png = png_of(rgb, width, height);
    write(place / fmt::format("vispr/train2017/{}.png", i), std::string(png.begin(), png.end()));
    const Json labels =
        i % 3 == 0 ? Json({"a4_gender", "a9_face_complete"}) : Json({"a17_color", "a64_rel_personal"});
    write(place / fmt::format("vispr/train2017/{}.json", i),
          Json({{"image_path", fmt::format("train2017/{}.png", i)}, {"labels", labels}}).dump());
  }
}

TEST_CASE("protocols: Table 3's attackers learn from VISPR's pictures where the recipe says so") {
  const Workplace place;
  write_frame_labels(place, tiny_data(place));
  write_vispr(place);
  const Ended ended = reproduce(place, "table3", "vp-hmdb51",
                                {"data.frame_labels=pa", "data.labels=runs/data/tiny/labels.csv",
                                 "data.frame_training=vispr/train2017", "evaluate.batch=12"});
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  const Json results = results_of(place, "runs/table3-vp-hmdb51");
  // All videos are for test: of frame 3 face is not labelled, so it counts nowhere; of the other 11 frames skin
  // colour is there in 5 and face in 6.
  const Dataset data = tiny_data(place);
  double gender = 0, nudity = 0, relationship = 0, videos = 0;
  for (const auto* part : {&data.train, &data.test}) {
    for (const Item& item : *part) {
      gender += item.label % 2;
      nudity += item.label % 3 == 0 ? 1 : 0;
      relationship += item.attributes[0];
      ++videos;
    }
  }
  const double shares = 5.0 / 11 + 6.0 / 11 + (gender + nudity + relationship) / videos;
  CHECK(results["chance"]["cmap"].get<double>() == doctest::Approx(100 * shares / 5));
  for (const char* missing : {"vispr/train2017/5.png", "vispr/train2017/5.json"}) {
    std::filesystem::remove(place / missing);
    const Ended refused = place.begin("r", {"--set", "data.frame_labels=pa", "--set",
                                            "data.frame_training=vispr/train2017", "--set", "method.name=raw"});
    CAPTURE(missing);
    CHECK((refused.code == 2) == contains(missing, "png"));
    if (refused.code == 2) CHECK(contains(refused.messages, "train2017/5.png"));
    std::filesystem::remove_all(place / "r");
  }
}

}  // namespace
}  // namespace stp

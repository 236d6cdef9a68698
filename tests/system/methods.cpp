// Methods that need no training, judged as a user has them judged, and the controls that show that the judging
// measures what it says.
#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/system/workplace.h"

namespace stp {
namespace {

using test::Ended;
using test::Workplace;
using Json = nlohmann::json;

// The one row of a run with `--set method...`.
Json judged(const Workplace& place, const std::string& run, const std::vector<std::string>& settings) {
  std::vector<std::string> more;
  for (const std::string& setting : settings) more.insert(more.end(), {"--set", setting});
  more.insert(more.end(), {"--set", "evaluate.raw=false"});
  const Ended ended = place.begin(run, more);
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  const Json results = Json::parse(content(place / run / "results.json"));
  REQUIRE(results["methods"].size() == 1);
  return results["methods"][0];
}

TEST_CASE("methods: what changes nothing gets raw's figures, to the bit") {
  const Workplace place;
  Json raw = judged(place, "raw", {"method.name=raw"});
  Json identity = judged(place, "identity", {"method.name=downsample", "method.factor=1"});
  CHECK(raw["method"] == "raw");
  CHECK(identity["method"] == "downsample 1x");
  raw.erase("method");
  identity.erase("method");
  CHECK(raw == identity);
  Json other = judged(place, "other", {"method.name=downsample", "method.factor=4"});
  other.erase("method");
  CHECK(raw != other);
}

TEST_CASE("methods: black video leaves what one knows without looking") {
  const Workplace place;
  const Json black = judged(place, "black", {"method.name=blacken"});
  const Json results = Json::parse(content(place / "black" / "results.json"));
  CHECK(black["method"] == "blacken");
  // Every clip scores alike, so every attacker is the constant scorer and one class is all that is said.
  for (const Json& attacker : black["attackers"])
    CHECK(attacker["cmap"].get<double>() == doctest::Approx(results["chance"]["cmap"].get<double>()));
  CHECK(black["cmap_interval"][0] <= black["attackers"][0]["cmap"]);
  CHECK(black["top1"].get<double>() <= 20);  // of eight classes in ten test clips
}

TEST_CASE("methods: a row names its kernel and region, and the attacker that knows the action alone is there") {
  const Workplace place;
  const Json blurred =
      judged(place, "blurred", {"method.name=blur", "method.kernel=5", "method.region=motion"});
  CHECK(blurred["method"] == "blur 5x5 in motion");
  REQUIRE(blurred["attackers"].size() >= 2);
  CHECK(blurred["attackers"][0]["kind"] == "posterior");
}

TEST_CASE("methods: networks that rewrite frames learn, are judged, and resume to the bit after a kill") {
  const Workplace place;
  for (const std::string method : {"collective", "vita", "spact"}) {
    CAPTURE(method);
    const std::vector<std::string> settings = {"--set", "method.name=" + method,
                                               "--set", "method.width=4",
                                               "--set", "model.width=32",
                                               "--set", "evaluate.raw=false",
                                               "--set", "init.steps=8",
                                               "--set", "adversarial.steps=20",
                                               "--set", "adversarial.restart_every=7",
                                               "--set", "evaluate.steps=6",
                                               "--set", "method.attackers=2",
                                               "--set", "evaluate.frame_attackers=1",
                                               "--set", "evaluate.reconstruction=true",
                                               "--set", "evaluate.reconstruction_width=4"};
    const Ended whole = place.begin("whole_" + method, settings);
    INFO(whole.messages);
    REQUIRE(whole.code == 0);
    const Json results = Json::parse(content(place / ("whole_" + method) / "results.json"));
    REQUIRE(results["methods"].size() == 1);
    CHECK(results["methods"][0]["method"] == method);
    std::size_t frames = 0;
    for (const Json& attacker : results["methods"][0]["attackers"]) frames += attacker["kind"] == "frame";
    CHECK(frames == 1);
    const auto log = place / ("killed_" + method) / "log.jsonl";
    const auto strike = [&](pid_t child) {
      while (test::running(child) && !contains(content(log), "kept_action")) usleep(2000);
      usleep(50000);
      kill(child, SIGKILL);
    };
    REQUIRE(place.begin("killed_" + method, settings, strike).code != 0);
    REQUIRE(place.resume("killed_" + method).code == 0);
    CHECK((place.files("killed_" + method) == place.files("whole_" + method)));
  }
}

TEST_CASE("evaluate --on-files: what is judged is what the files hold") {
  const Workplace place;
  // Of pixels redrawn by a model that learnt nothing no file would be written.
  REQUIRE(place.begin("run", {"--set", "evaluate.raw=false", "--set", "model.parts=sparsification"}).code == 0);
  const Ended ended =
      test::run_program({"evaluate", "run", "--on-files", "--threads", "1"}, {}, place.folder());
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  const Json results = Json::parse(content(place / "run/evaluations/files-18.json"));
  REQUIRE(results["methods"].size() == 2);
  CHECK(results["methods"][0] == Json::parse(content(place / "run/results.json"))["methods"][0]);
  CHECK(results["methods"][1]["method"] == "stprivacy as files");
  // The files were there before they were judged, and are all that was looked at: without them it stops.
  std::size_t videos = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(place / "run/files-18"))
    videos += entry.path().extension() == ".mp4";
  CHECK(videos == 48);
}

TEST_CASE(
    "evaluate --set model.delivery: the same anonymiser delivers otherwise, raw clips are not judged again") {
  const Workplace place;
  REQUIRE(place.begin("run", {"--set", "evaluate.steps=6"}).code == 0);
  const Ended ended =
      test::run_program({"evaluate", "run", "--set", "model.delivery=best", "--name", "best", "--threads", "1"},
                        {}, place.folder());
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  CHECK_FALSE(contains(ended.messages, "evaluate raw"));
  const Json drawn = Json::parse(content(place / "run/results.json"));
  const Json best = Json::parse(content(place / "run/evaluations/best.json"));
  CHECK(contains(best["recipe"].get<std::string>(), "delivery = \"best\""));
  CHECK(best["methods"][0] == drawn["methods"][0]);
  CHECK(best["methods"][1]["method"] == drawn["methods"][1]["method"]);
  CHECK(best["methods"][1]["attackers"] != drawn["methods"][1]["attackers"]);
}

TEST_CASE(
    "methods: an attacker that wants the picture back is judged by PSNR and SSIM, beside the raw frames") {
  const Workplace place;
  for (const std::string method : {"raw", "blur", "blacken"}) {
    CAPTURE(method);
    const Json row = judged(place, method,
                            {"method.name=" + method, "model.width=32", "evaluate.reconstruction=true",
                             "evaluate.reconstruction_width=4", "evaluate.steps=20"});
    CHECK(row["rebuilt"]["psnr"].get<double>() > 3);
    CHECK(row["rebuilt"]["psnr"].get<double>() < 60);
    CHECK(std::abs(row["rebuilt"]["ssim"].get<double>()) <= 1);
  }
  // Of black frames nothing comes back: one picture for all clips, whose likeness to the raw frames is chance.
  const auto ssim = [&](const std::string& run) {
    return Json::parse(content(place / run / "results.json"))["methods"][0]["rebuilt"]["ssim"].get<double>();
  };
  CHECK(ssim("raw") > ssim("blacken"));
}

TEST_CASE("reproduce: sweeps, and methods judged on actions they have not seen") {
  const Workplace place;
  const auto reproduce = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"reproduce"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    for (const char* flag : {"--data", "synth", "--threads", "1", "--recipe",
                             STP_SOURCE_DIR "/tools/recipes/tiny.toml", "--set", "model.width=32", "--set",
                             "evaluate.steps=4", "--set", "init.steps=4", "--set", "adversarial.steps=6"})
      arguments.emplace_back(flag);
    return test::run_program(arguments, {}, place.folder());
  };
  const Ended sweep = reproduce({"sweep", "--sweep", "alpha=0.6,0.9", "--only", "raw", "--only", "alpha_0.6"});
  INFO(sweep.messages);
  REQUIRE(sweep.code == 0);
  CHECK(contains(sweep.results, "alpha_0.6"));
  for (const char* wrong : {"alpha", "alpha=", "nothing=1", "steps=1,2", "alpha=1,,2"}) {
    const Ended refused = reproduce({"sweep", "--sweep", wrong});
    CAPTURE(wrong);
    CHECK(refused.code == 2);
    CHECK(contains(refused.messages, "reproduce: "));
  }
  CHECK(reproduce({"sweep"}).code == 2);
  CHECK(reproduce({"table1", "--sweep", "alpha=1"}).code == 2);

  const std::vector<std::string> unseen = {"table2", "--only", "raw", "--only", "vita", "--only", "stprivacy"};
  const Ended first = reproduce(unseen);
  INFO(first.messages);
  REQUIRE(first.code == 0);
  CHECK(contains(first.results, "stprivacy"));
  const Json learnt = Json::parse(content(place / "runs/table2-synth/stprivacy/evaluations/unseen.json"));
  CHECK(contains(learnt["recipe"].get<std::string>(), "jumping_jack"));
  CHECK(contains(content(place / "runs/table2-synth/stprivacy/config.toml"), "burpee"));
  const Ended again = reproduce(unseen);
  REQUIRE(again.code == 0);
  CHECK(again.results == first.results);
}

TEST_CASE("reproduce: a table row by row, resumed, and refused where the folder holds something else") {
  const Workplace place;
  const auto reproduce = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"reproduce", "table1",
                                          "--data",    "synth",
                                          "--threads", "1",
                                          "--recipe",  STP_SOURCE_DIR "/tools/recipes/tiny.toml",
                                          "--set",     "model.width=32",
                                          "--set",     "evaluate.steps=6"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::run_program(arguments, {}, place.folder());
  };
  const Ended first = reproduce({"--only", "raw", "--only", "downsample2"});
  INFO(first.messages);
  REQUIRE(first.code == 0);
  CHECK(contains(first.results, "downsample2"));
  const Ended whole = reproduce({"--only", "raw", "--only", "downsample2", "--only", "weak_blur"});
  REQUIRE(whole.code == 0);
  CHECK(contains(whole.messages, "downsample2 is finished"));
  const Json results = Json::parse(content(place / "runs/table1-synth/results.json"));
  CHECK(results["methods"].size() == 3);
  const Ended other = reproduce({"--only", "raw", "--set", "seed=2"});
  CHECK(other.code == 2);
  CHECK(contains(other.messages, "a run with another recipe"));
  const Ended listed = reproduce({"--list"});
  CHECK(contains(listed.results, "stprivacy"));
}

}  // namespace
}  // namespace stp

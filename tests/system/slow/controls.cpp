// Whether the judging measures what it says, with networks that learn: black video, labels that belong to
// nothing on the picture, and attributes that go with actions. The quickstart's recipe on fewer clips.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/synthetic.h"
#include "engine/rng.h"
#include "tests/program.h"
#include "tools/experiment/metrics.h"

namespace stp {
namespace {

namespace fs = std::filesystem;
using test::Ended;
using Json = nlohmann::json;

constexpr std::int64_t kClips = 1600;

SyntheticOptions clips(double correlation) {
  SyntheticOptions options;
  options.seed = 1;
  options.clips = kClips;
  options.width = options.height = 48;
  options.difficulty = 0;
  options.correlation = correlation;
  return options;
}

// A folder with clips where the quickstart's recipe looks for them.
class Bench {
 public:
  explicit Bench(double correlation) { synthesize(folder_ / "runs/data/quickstart", clips(correlation), 2); }

  fs::path data() const { return folder_ / "runs/data/quickstart"; }

  Json judged(const std::string& run, const std::vector<std::string>& settings) const {
    std::vector<std::string> arguments = {"train", "--run", run,
                                          STP_SOURCE_DIR "/tools/recipes/quickstart.toml"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    const Ended ended = test::run_program(arguments, {}, folder_.path());
    INFO(ended.messages);
    REQUIRE(ended.code == 0);
    MESSAGE(ended.results);
    return Json::parse(content(folder_ / run / "results.json"));
  }

 private:
  TemporaryFolder folder_;
};

// Exchanges the content of videos: names stay where they were, with their class, split and attributes.
void permute_videos(const fs::path& data, Random& random) {
  std::vector<fs::path> videos;
  for (const auto& entry : fs::recursive_directory_iterator(data / "videos"))
    if (entry.is_regular_file()) videos.push_back(entry.path());
  std::sort(videos.begin(), videos.end());
  std::vector<fs::path> order = videos;
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  for (const fs::path& video : videos) fs::rename(video, video.string() + ".old");
  for (std::size_t i = 0; i < videos.size(); ++i) fs::rename(order[i].string() + ".old", videos[i]);
}

bool within(const Json& interval, double value) { return interval[0] <= value && value <= interval[1]; }

double highest(const Json& row, const std::string& kind = "") {
  double most = 0;
  for (const Json& a : row["attackers"])
    if (kind.empty() || a["kind"] == kind) most = std::max(most, a["cmap"].get<double>());
  return most;
}

TEST_CASE("controls: black video leaves the prior") {
  const Bench bench(0);
  const Json results =
      bench.judged("black", {"method.name=blacken", "evaluate.raw=false", "evaluate.steps=200"});
  const Json& black = results["methods"][0];
  // A constant scorer has the chance of the labels exactly, whichever class it settles on.
  CHECK(std::abs(highest(black) - results["chance"]["cmap"].get<double>()) <= 1);
  CHECK(std::abs(black["top1"].get<double>() - results["chance"]["top1"].get<double>()) <= 1);
}

TEST_CASE("controls: labels that belong to other videos cannot be learnt") {
  const Bench bench(0);
  Random random(3, stream_id("permuted"));
  permute_videos(bench.data(), random);
  const Json results = bench.judged("permuted", {"method.name=raw", "evaluate.steps=600"});
  const Json& row = results["methods"][0];
  CHECK(within(row["top1_interval"], results["chance"]["top1"]));
  // The interval is the worst attacker's, of whom chance gave the highest: the mean is held against it.
  double mean = 0;
  for (const Json& a : row["attackers"])
    mean += a["cmap"].get<double>() / static_cast<double>(row["attackers"].size());
  CHECK(std::abs(mean - results["chance"]["cmap"].get<double>()) <=
        row["cmap_interval"][1].get<double>() - row["cmap_interval"][0].get<double>());
  CHECK(within(row["cmap_interval"], results["chance"]["cmap"]));
}

// cMAP of whoever knows the action of each clip, and how the attributes were drawn given that.
double planted_cmap(const SyntheticOptions& options) {
  const AttributeTable table = synthetic_attribute_table(options);
  AttributeScores scores;
  scores.attributes = kSyntheticAttributes;
  for (std::int64_t i = 0; i < options.clips; ++i) {
    const SyntheticLabel label = synthetic_label(options, i);
    if (label.splits[0] != Part::test) continue;
    for (std::size_t a = 0; a < kSyntheticAttributes; ++a) {
      scores.scores.push_back(table[static_cast<std::size_t>(label.action)][a]);
      scores.positive.push_back(label.attributes[a] ? 1 : 0);
    }
  }
  return scores.cmap();
}

TEST_CASE("controls: what goes with actions is recovered from actions, and nothing falls below that") {
  constexpr double kCorrelation = 0.8;
  const Bench bench(kCorrelation);
  const Json results = bench.judged("correlated", {});
  const double planted = planted_cmap(clips(kCorrelation)), chance = results["chance"]["cmap"];
  REQUIRE(planted > chance + 20);
  for (const Json& row : results["methods"]) {
    CAPTURE(row["method"].get<std::string>());
    const double top1 = row["top1"], action = highest(row, "action");
    REQUIRE(top1 >= 80);
    // An action told wrongly costs its clip's part of what was planted, no more. Classes' shares, estimated
    // from 160 clips each, deviate by 3 points; within actions of one share their order is chance: 1.5 points
    // of AP.
    CHECK(action <= planted + 1.5);
    CHECK(action >= planted - (100 - top1) / 100 * 2 * (planted - chance) - 1.5);
    // Probabilities may tell more: where colours go with actions, a recogniser looks at them too.
    CHECK(highest(row, "posterior") >= action - 1.5);
    CHECK(highest(row) >= action);
  }
}

}  // namespace
}  // namespace stp

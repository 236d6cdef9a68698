// Bad input: runs, weights, the anonymiser, the other commands.
#include <cmath>

#include "engine/safetensors.h"
#include "tests/system/bad_input.h"

namespace stp::test {
namespace {

// A weight file of one tensor, every element `value`.
void weights(const std::filesystem::path& path, const std::string& name, std::vector<std::int64_t> shape,
             std::size_t values, float value = 0.5F) {
  SafetensorsWriter file(path, {StoredTensor{.name = name, .shape = std::move(shape)}});
  file.append(std::span<const float>(std::vector<float>(values, value)));
  file.commit();
}

// A safetensors file with this header and nothing behind it.
std::function<void(const Place&)> header(const std::string& json) {
  return [=](const Place& p) {
    const std::uint64_t length = json.size();
    put(p / "vit.safetensors", std::string(reinterpret_cast<const char*>(&length), sizeof length) + json);
  };
}

const Words kImage = train_with("weights.image=\"vit.safetensors\"");

const std::vector<Row>& model_rows() {
  static const std::vector<Row> all = {
      // Runs.
      {"a run that is there already",
       {},
       {"train", "r.toml", "--run", "done"},
       2,
       {"done", "--resume", "--run"}},
      {"a run that is not there", {}, {"train", "--run", "none", "--resume"}, 2, {"none"}},
      {"--set on a resumed run",
       {},
       {"train", "--run", "begun", "--resume", "--set", "seed=2"},
       2,
       {"--set", "--resume"}},
      {"phases out of order",
       {},
       {"train", "--run", "begun", "--resume", "--phase", "evaluate"},
       2,
       {"adversarial", "first"}},
      {"another recipe on resuming",
       [](const Place& p) { p.edit("begun/config.toml", "seed = 1", "seed = 2"); },
       {"train", "--run", "begun", "--resume"},
       2,
       {"another recipe", "config.toml"}},
      {"a run whose checkpoints are both cut",
       [](const Place& p) {
         p.cut(kLatest, 1000);
         std::error_code ignored;
         std::filesystem::remove(p / "begun/checkpoints/previous.safetensors", ignored);
       },
       {"train", "--run", "begun", "--resume"},
       2,
       {"latest.safetensors"}},
      {"a checkpoint of another model",
       [](const Place& p) { put(p / kLatest, content(p / kModel)); },
       {"train", "--run", "begun", "--resume"},
       2,
       {"latest.safetensors"}},
      {"a later phase of a new run",
       {},
       {"train", "r.toml", "--run", "new", "--phase", "evaluate"},
       2,
       {"nothing is trained yet", "init"}},
      {"an unknown phase", {}, {"train", "r.toml", "--phase", "fit"}, 2, {"--phase", "fit", "init"}},
      {"a run where a file is",
       {},
       {"train", "r.toml", "--run", "text.txt"},
       2,
       {"text.txt", "check the path"}},
      {"results of a run that has none", {}, {"evaluate", "begun"}, 2, {"begun", "--resume"}},
      {"evaluate an anonymiser that is not trained",
       {},
       {"evaluate", "begun", "--keep", "0.5"},
       2,
       {"begun", "finish phase adversarial"}},
      {"evaluate what is no run", {}, {"evaluate", "runs"}, 2, {"runs", "config.toml", "name the folder"}},
      {"evaluate an empty folder",
       [](const Place& p) { std::filesystem::create_directory(p / "empty"); },
       {"evaluate", "empty"},
       2,
       {"empty", "config.toml", "name the folder"}},
      {"evaluate without attackers",
       {},
       {"evaluate", "done", "--attackers", "0"},
       2,
       {"attackers", "1 to 100"}},
      {"evaluate with another network", {}, {"evaluate", "done", "--set", "model.depth=5"}, 2, {"model.depth"}},

      // Weights.
      {"image weights that are not there", {}, kImage, 2, {"vit.safetensors"}},
      {"image weights that are text", {}, train_with("weights.image=\"text.txt\""), 2, {"text.txt"}},
      {"image weights of another width",
       [](const Place& p) { weights(p / "vit.safetensors", "blocks.0.norm1.weight", {768}, 768); },
       kImage,
       2,
       {"vit.safetensors", "blocks.0.norm1.weight", "768"}},
      {"image weights of other names",
       [](const Place& p) { weights(p / "vit.safetensors", "layer1.conv", {4}, 4); },
       {"import", "vit.safetensors", "--recipe", "r.toml", "-o", "start.safetensors"},
       2,
       {"vit.safetensors", "no tensor"}},
      {"an import over a file",
       [](const Place& p) { weights(p / "vit.safetensors", "blocks.0.norm1.weight", {24}, 24); },
       {"import", "vit.safetensors", "--recipe", "r.toml", "-o", "text.txt"},
       2,
       {"text.txt", "--force"}},
      {"weights that are cut", [](const Place& p) { p.cut(kModel, 5000); }, {"inspect", kModel}, 2, {kModel}},
      {"a weight that changed",
       [](const Place& p) {
         std::string bytes = content(p / kModel);
         bytes.back() = static_cast<char>(bytes.back() ^ 1);
         put(p / kModel, bytes);
       },
       {"anonymize", kClip, "-o", "x.mp4", "--model", kModel},
       2,
       {kModel, "digest"}},

      {"image weights that are no numbers",
       [](const Place& p) { weights(p / "vit.safetensors", "blocks.0.norm1.weight", {24}, 24, std::nanf("")); },
       kImage,
       2,
       {"vit.safetensors", "blocks.0.norm1.weight holds nan", "choose weights"}},
      {"a patch kernel with its axes exchanged",
       [](const Place& p) {
         weights(p / "vit.safetensors", "patch_embed.proj.weight", {3, 24, 8, 8}, 4608);
       },
       kImage,
       2,
       {"vit.safetensors", "(3, 24, 8, 8)", "choose a model"}},
      {"positions that are no square",
       [](const Place& p) {
         weights(p / "vit.safetensors", "pos_embed", {1, 7, 24}, 168);
       },
       kImage,
       2,
       {"vit.safetensors", "pos_embed is (1, 7, 24)", "choose a model"}},
      {"no positions",
       [](const Place& p) {
         weights(p / "vit.safetensors", "pos_embed", {1, 0, 24}, 0);
       },
       kImage,
       2,
       {"vit.safetensors", "pos_embed is (1, 0, 24)", "choose a model"}},
      {"a weight file with a broken header",
       header(R"({"a":{"dtype":"F32","shape":[)"),
       kImage,
       2,
       {"vit.safetensors: header", "JSON"}},
      {"a weight file that claims more than memory holds",
       header(R"({"a":{"dtype":"F32","shape":[4000000000000000000],"data_offsets":[0,16000000000000000000]}})"),
       {"inspect", "vit.safetensors"},
       2,
       {"vit.safetensors: header", "'a'"}},
      {"a weight file whose header is longer than it",
       [](const Place& p) { put(p / "vit.safetensors", std::string(8, '\x7f') + "{}"); },
       kImage,
       2,
       {"vit.safetensors: its header claims", "it is cut"}},
      {"an empty weight file", [](const Place& p) { put(p / "vit.safetensors", ""); }, kImage, 2, {"too few"}},

      // The anonymiser.
      {"weights that are no checkpoint",
       [](const Place& p) { weights(p / "vit.safetensors", "blocks.0.norm1.weight", {24}, 24); },
       {"anonymize", kClip, "-o", "x.mp4", "--model", "vit.safetensors"},
       2,
       {"vit.safetensors is no checkpoint", "import"}},
      {"several videos into one",
       {},
       {"anonymize", kClip, kOther, "-o", "x.mp4", "--model", "done"},
       2,
       {"several inputs", "x.mp4", "name a folder"}},
      {"videos into a file",
       {},
       {"anonymize", "runs/data/tiny/videos", "-o", "text.txt", "--model", "done"},
       2,
       {"text.txt", "name another"}},
      {"a folder without a video",
       {},
       {"anonymize", "runs/data/tiny/splits", "-o", "x", "--model", "done"},
       2,
       {"no video in runs/data/tiny/splits", "name videos"}},
      {"a video over its model",
       {},
       {"anonymize", kClip, "-o", kModel, "--model", "done", "--force"},
       2,
       {kModel, "choose"}},
      {"a keep ratio above 1",
       {},
       {"anonymize", kClip, "-o", "x.mp4", "--model", "done", "--keep", "2"},
       2,
       {"keep ratio", "2", "(0, 1]"}},
      {"a keep ratio that leaves nothing",
       {},
       {"anonymize", kClip, "-o", "x.mp4", "--model", "done", "--keep", "0.01"},
       2,
       {"leaves none", "raise it"}},
      {"an unknown mode",
       {},
       {"anonymize", kClip, "-o", "x.mp4", "--model", "done", "--mode", "blur"},
       2,
       {"--mode", "blur", "learned,mask"}},
      {"a model that was not trained",
       {},
       {"anonymize", kClip, "-o", "x.mp4", "--model", "begun"},
       2,
       {"begun", "adversarial"}},
      {"a model that is a video", {}, {"anonymize", kClip, "-o", "x.mp4", "--model", kClip}, 2, {kClip}},
      {"a video that is text",
       {},
       {"anonymize", "text.txt", "-o", "x.mp4", "--model", "done"},
       2,
       {"text.txt"}},
      {"a video that is not there",
       {},
       {"anonymize", "none.mp4", "-o", "x.mp4", "--model", "done"},
       2,
       {"none.mp4"}},
      {"a video over itself",
       {},
       {"anonymize", kClip, "-o", kClip, "--model", "done", "--force"},
       2,
       {"squat_000007.mp4"}},
      {"an output that is there",
       [](const Place& p) { put(p / "x.mp4", "mine"); },
       {"anonymize", kClip, "-o", "x.mp4", "--model", "done"},
       2,
       {"x.mp4", "--force"}},
      {"an output of no known kind",
       {},
       {"anonymize", kClip, "-o", "x.avi", "--model", "done"},
       2,
       {"x.avi", ".mp4"}},

      // The rest.
      {"a clip of odd size", {}, {"synthesize", "d", "--width", "33"}, 2, {"width", "33"}},
      {"difficulty 2", {}, {"synthesize", "d", "--difficulty", "2"}, 2, {"difficulty", "2"}},
      {"clips into another set", {}, {"synthesize", "runs/data/tiny", "--clips", "80"}, 2, {"runs/data/tiny"}},
      {"floor without its labels",
       {},
       {"floor", "none.csv", "--splits", "runs/data/tiny/splits"},
       2,
       {"none.csv"}},
      {"clips into a file", {}, {"synthesize", "text.txt"}, 1, {"text.txt", "name a folder"}},
      {"too few clips for the actions", {}, {"synthesize", "d", "--clips", "3"}, 2, {"clips", "3", "40"}},
      {"two prevalences of five",
       {},
       {"synthesize", "d", "--prevalence", "0.5", "0.5"},
       2,
       {"--prevalence", "5"}},
      {"floor of a table that is none",
       {},
       {"floor", "text.txt", "--splits", "runs/data/tiny/splits"},
       2,
       {"text.txt:1", "wanted 'video'", "CSV"}},
      {"floor of a split there is not",
       {},
       {"floor", kLabels, "--splits", "runs/data/tiny/splits", "--split", "7"},
       2,
       {"--split", "7", "1 to 3"}},
      {"inspect what is not there", {}, {"inspect", "none"}, 2, {"none", "check the name"}},
      {"inspect what is nothing known",
       {},
       {"inspect", "text.txt"},
       2,
       {"text.txt", "not a video", "nor does it begin as a safetensors"}},
      {"inspect a folder of nothing known", {}, {"inspect", "runs"}, 2, {"runs", "no .jpg", "nor is it a run"}},
      {"inspect a run of another recipe's checkpoint",
       [](const Place& p) { put(p / kLatest, content(p / kModel)); },
       {"inspect", "begun"},
       2,
       {"begun", "stage"}},
      {"an unknown command of data", {}, {"data", "chek", "r.toml"}, 2, {"'chek'", "did you mean check"}},
      {"data without a command", {}, {"data"}, 2, {"name a command: check"}},
      {"no threads", {}, {"doctor", "--threads", "0"}, 2, {"--threads", "1 to 1024"}},
  };
  return all;
}

TEST_CASE("bad input, runs and models: one line with the cure, the right exit code, nothing written") {
  check_rows(model_rows());
}

}  // namespace
}  // namespace stp::test

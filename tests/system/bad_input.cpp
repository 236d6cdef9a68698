// Bad input, row by row: each is told in one line that says what, where and the cure, with its exit code, and
// leaves every file as it was.
#include <algorithm>
#include <cmath>
#include <map>

#include "data/synthetic.h"
#include "engine/safetensors.h"
#include "tests/program.h"

namespace stp {
namespace {

namespace fs = std::filesystem;
using test::Ended;
using test::run_program;

// Where a row runs: clips, recipe r.toml for them, and a run "done" of it, finished.
class Place {
 public:
  Place() {
    SyntheticOptions options;
    options.seed = 1;
    options.clips = 48;
    options.width = options.height = 32;
    options.frames = 12;
    synthesize(folder_ / "runs/data/tiny", options);
    put(folder_ / "r.toml", content(STP_SOURCE_DIR "/tools/recipes/tiny.toml"));
    put(folder_ / "text.txt", "no video at all, only a line of text\n");
    REQUIRE(run({"train", "r.toml", "--run", "done", "--set", "init.steps=1", "--set", "adversarial.steps=1",
                 "--set", "evaluate.steps=1", "--set", "evaluate.attackers=1"})
                .code == 0);
    REQUIRE(run({"train", "r.toml", "--run", "begun", "--phase", "init", "--set", "init.steps=1"}).code == 0);
  }

  Ended run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--threads", "1", "-q"});
    return run_program(arguments, {}, folder_.path());
  }
  fs::path operator/(const std::string& name) const { return folder_ / name; }
  fs::path clip() const { return folder_ / "runs/data/tiny/videos/squat/squat_000007.mp4"; }

  // Puts `to` in the place of the first `from`.
  void edit(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = content(folder_ / name);
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    put(folder_ / name, text.replace(at, from.size(), to));
  }
  void recipe(const std::string& from, const std::string& to) const { edit("r.toml", from, to); }
  void cut(const std::string& name, std::size_t bytes) const {
    put(folder_ / name, content(folder_ / name).substr(0, bytes));
  }

  // Every file but the locks, with what it holds.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path()))
      if (entry.path().filename() != ".lock")
        found[entry.path().string()] = entry.is_regular_file() ? content(entry.path()) : "";
    return found;
  }

 private:
  TemporaryFolder folder_;
};

// A fresh copy of a place for each row would cost most of the time: rows put back what they break.
class Restored {
 public:
  explicit Restored(const Place& place) : place_(place), before_(place.files()) {}
  ~Restored() {
    for (const auto& [name, bytes] : place_.files())
      if (!before_.contains(name)) fs::remove_all(name);
    for (const auto& [name, bytes] : before_)
      if (!fs::exists(name) && bytes.empty())
        fs::create_directories(name);
      else if (!bytes.empty() && content(name) != bytes)
        put(name, bytes);
  }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  const Place& place_;
  std::map<std::string, std::string> before_;
};

using Words = std::vector<std::string>;

struct Row {
  const char* what;
  std::function<void(const Place&)> spoil;  // may be empty
  Words arguments;
  int code;
  Words told;  // parts of the message: what, where, the cure
};

const Words kTrain = {"train", "r.toml", "--run", "new"};

Words train_with(const std::string& setting) { return {"train", "r.toml", "--run", "new", "--set", setting}; }

std::function<void(const Place&)> recipe(const std::string& from, const std::string& to) {
  return [=](const Place& p) { p.recipe(from, to); };
}

// A weight file of one tensor, every element `value`.
void weights(const fs::path& path, const std::string& name, std::vector<std::int64_t> shape, std::size_t values,
             float value = 0.5F) {
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

const char* const kSplit = "runs/data/tiny/splits/squat_test_split1.txt";
const char* const kLabels = "runs/data/tiny/labels.csv";
const char* const kLatest = "begun/checkpoints/latest.safetensors";
const char* const kModel = "done/anonymiser.safetensors";
const char* const kOther = "runs/data/tiny/videos/kick/kick_000004.mp4";
const char* const kClip = "runs/data/tiny/videos/squat/squat_000007.mp4";

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      // The command line.
      {"no command", {}, {}, 2, {"name a command", "--help"}},
      {"unknown command", {}, {"trian", "r.toml"}, 2, {"unknown command 'trian'", "did you mean train"}},
      {"unknown option",
       {},
       {"train", "r.toml", "--resum"},
       2,
       {"unknown option --resum", "did you mean --resume"}},
      {"one argument too many", {}, {"floor", "a", "b", "--splits", "s"}, 2, {"'b' is one argument too many"}},
      {"missing option", {}, {"anonymize", kClip, "-o", "x.mp4"}, 2, {"--model", "required"}},
      {"number where none is", {}, {"synthesize", "d", "--clips", "many"}, 2, {"--clips", "many"}},
      {"train without a recipe", {}, {"train"}, 2, {"name a recipe"}},

      // The recipe.
      {"no such recipe", {}, {"train", "none.toml"}, 2, {"none.toml", "No such file"}},
      {"a recipe that is no TOML", recipe("[data]", "[data"), kTrain, 2, {"r.toml:", "expected ']'"}},
      {"unknown key", recipe("jitter", "jiter"), kTrain, 2, {"r.toml", "data.jiter", "data.jitter"}},
      {"unknown table", recipe("[init]", "[initial]"), kTrain, 2, {"initial.steps", "init.steps"}},
      {"wrong type", recipe("depth = 3", "depth = \"three\""), kTrain, 2, {"model.depth", "wanted an integer"}},
      {"a fraction for a count",
       recipe("batch = 6", "batch = 6.5"),
       kTrain,
       2,
       {"train.batch", "wanted an integer"}},
      {"key given twice", recipe("heads = 2", "heads = 2\nheads = 3"), kTrain, 2, {"r.toml", "heads"}},
      {"--set without a value", {}, train_with("seed"), 2, {"--set", "seed", "key=value"}},
      {"--set of an unknown key", {}, train_with("model.alhpa=0.5"), 2, {"model.alhpa", "model.alpha"}},
      {"alpha above 1", recipe("alpha = 0.7", "alpha = 1.5"), kTrain, 2, {"model.alpha", "1.5", "wanted"}},
      {"alpha 0", {}, train_with("model.alpha=0"), 2, {"model.alpha", "wanted"}},
      {"alpha not a number", {}, train_with("model.alpha=nan"), 2, {"model.alpha", "wanted"}},
      {"keep ratios that rise", {}, train_with("model.keep=[0.5, 0.7]"), 2, {"keep"}},
      {"keep ratios too few", {}, train_with("model.keep=[0.5]"), 2, {"keep"}},
      {"clip not whole tubelets", recipe("width = 24", "width = 20"), kTrain, 2, {"20", "tubelet", "8"}},
      {"frames not whole tubelets", recipe("frames = 4", "frames = 5"), kTrain, 2, {"5", "tubelet"}},
      {"a tubelet of two numbers", {}, train_with("model.tubelet=[2, 8]"), 2, {"model.tubelet"}},
      {"heads that do not divide", recipe("heads = 2", "heads = 5"), kTrain, 2, {"heads", "5"}},
      {"scorer behind the last block",
       recipe("score_before = [1, 2]", "score_before = [1, 9]"),
       kTrain,
       2,
       {"score_before"}},
      {"unknown order", {}, train_with("adversarial.order=\"random\""), 2, {"adversarial.order", "sequential"}},
      {"negative rate", {}, train_with("init.rate=-1"), 2, {"init.rate", "wanted"}},
      {"batch larger than the data", {}, train_with("train.batch=1000"), 2, {"train.batch", "1000"}},

      {"no slot of time", {}, train_with("model.frames=0"), 2, {"model.frames", "1 to"}},
      {"more slots than there is memory for",
       {},
       train_with("model.frames=100000000"),
       2,
       {"model.frames", "1 to"}},
      {"a keep ratio that leaves none", {}, train_with("model.keep=[0.01, 0.005]"), 2, {"0.005", "raise it"}},
      {"a rate of 0", {}, train_with("data.rate=0"), 2, {"data.rate", "1 to"}},
      {"an unknown layout", {}, train_with("data.layout=ucf"), 2, {"data.layout", "ucf101"}},
      {"--set without a key", {}, train_with("=3"), 2, {"--set =3", "lists all keys"}},
      {"a class that is not there",
       {},
       train_with("data.classes=[\"juggle\"]"),
       2,
       {"juggle", "there are", "squat"}},
      {"a single class", {}, train_with("data.classes=[\"kick\"]"), 2, {"1 class", "at least two"}},

      // The data set.
      {"no videos", recipe("tiny/videos", "tiny/films"), kTrain, 2, {"tiny/films"}},
      {"no splits", recipe("tiny/splits", "tiny/lists"), kTrain, 2, {"tiny/lists"}},
      {"no labels", recipe("tiny/labels.csv", "tiny/label.csv"), kTrain, 2, {"tiny/label.csv", "No such file"}},
      {"a label not 0 or 1",
       [](const Place& p) { p.edit(kLabels, ",1", ",2"); },
       kTrain,
       2,
       {"labels.csv:", "2", "0 or 1"}},
      {"a label row too short",
       [](const Place& p) { p.edit(kLabels, ",1\n", "\n"); },
       kTrain,
       2,
       {"labels.csv:"}},
      {"a clip without labels",
       [](const Place& p) { p.edit(kLabels, "squat_000007", "squat_999999"); },
       kTrain,
       2,
       {"squat_000007", "label"}},
      {"a listed clip that is not there",
       [](const Place& p) { fs::remove(p.clip()); },
       kTrain,
       2,
       {"squat_000007", "data.skip_missing"}},
      {"a class without a clip",
       [](const Place& p) {
         std::string text = content(p / kSplit);
         for (std::size_t at = 0; (at = text.find(" 1", at)) != std::string::npos;) text.replace(at, 2, " 0");
         put(p / kSplit, text);
       },
       kTrain,
       2,
       {"squat", "training"}},
      {"an empty test split",
       [](const Place& p) {
         for (const auto& entry : fs::directory_iterator(p / "runs/data/tiny/splits")) {
           std::string text = content(entry.path());
           for (std::size_t at = 0; (at = text.find(" 2", at)) != std::string::npos;) text.replace(at, 2, " 1");
           put(entry.path(), text);
         }
       },
       kTrain,
       2,
       {"test"}},
      {"a mark that no split has",
       [](const Place& p) { p.edit(kSplit, " 2", " 7"); },
       kTrain,
       2,
       {"squat_test_split1.txt:", "7"}},
      {"a path out of the data set",
       [](const Place& p) { p.edit(kSplit, "squat_000007", "../../../squat"); },
       kTrain,
       2,
       {"squat_test_split1.txt:"}},
      {"a video that is none",
       [](const Place& p) { put(p.clip(), content(p / "text.txt")); },
       {"data", "check", "r.toml"},
       1,
       {"clips cannot be read", "replace"}},
      {"a video that is empty, in training",
       [](const Place& p) {
         for (const auto& entry : fs::directory_iterator(p.clip().parent_path())) put(entry.path(), "");
       },
       {"train", "--run", "begun", "--resume"},
       2,
       {"squat_", ".mp4"}},

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
         fs::remove(p / "begun/checkpoints/previous.safetensors", ignored);
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
       [](const Place& p) { fs::create_directory(p / "empty"); },
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

TEST_CASE("bad input: one line with the cure, the right exit code, nothing written") {
  const Place place;
  for (const Row& row : rows()) {
    CAPTURE(std::string(row.what));
    const Restored restored(place);
    if (row.spoil) row.spoil(place);
    const auto before = place.files();
    const Ended ended = place.run(row.arguments);
    CAPTURE(ended.messages);
    CHECK(ended.code == row.code);
    CHECK(ended.messages.starts_with("error: "));
    CHECK(std::ranges::count(ended.messages, '\n') == 1);
    for (const std::string& part : row.told) {
      CAPTURE(part);
      CHECK(contains(ended.messages, part));
    }
    CHECK((place.files() == before));
  }
}

}  // namespace
}  // namespace stp

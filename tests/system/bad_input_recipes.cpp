// Bad input: the command line, recipes, data sets.
#include "tests/system/bad_input.h"

namespace stp::test {
namespace {

const std::vector<Row>& recipe_rows() {
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
      {"mask without a decision",
       {},
       train_with("model.parts=\"anonymisation\""),
       2,
       {"mask_recogniser", "model.parts", "false"}},
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
       [](const Place& p) { std::filesystem::remove(p.clip()); },
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
         for (const auto& entry : std::filesystem::directory_iterator(p / "runs/data/tiny/splits")) {
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
         for (const auto& entry : std::filesystem::directory_iterator(p.clip().parent_path()))
           put(entry.path(), "");
       },
       {"train", "--run", "begun", "--resume"},
       2,
       {"squat_", ".mp4"}},
  };
  return all;
}

TEST_CASE("bad input, recipes and data: one line with the cure, the right exit code, nothing written") {
  check_rows(recipe_rows());
}

}  // namespace
}  // namespace stp::test

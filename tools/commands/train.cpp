// stprivacy train RECIPE.toml: an experiment from its first step to its table.
#include "tools/commands/commands.h"
#include "tools/experiment/interrupt.h"
#include "tools/experiment/run.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

struct TrainArguments {
  std::string recipe, run, phase = "all";
  std::vector<std::string> set;
  bool resume = false, list = false;
  std::int64_t profile = 0;  // steps before it; 0: none is taken
};

Phase phase_named(const std::string& name) {
  if (name == "init") return Phase::init;
  if (name == "adversarial") return Phase::adversarial;
  return name == "evaluate" ? Phase::evaluate : Phase::all;
}

void train(const TrainArguments& a, const Program& program, Console& console) {
  if (a.list) {
    Recipe recipe;
    Schema schema;
    register_recipe(schema, recipe);
    console.result(schema.help());
    return;
  }
  check(!a.recipe.empty() || (a.resume && !a.run.empty()),
        "train: name a recipe, or --run DIR --resume to go on");
  check(a.profile >= 0, "train: --profile wants at least one step before it");
  check(!a.resume || a.set.empty(),
        "train: --set does not go with --resume; a run keeps the recipe it began with");
  const fs::path folder = a.run.empty() ? fs::path("runs") / fs::path(a.recipe).stem() : fs::path(a.run);
  const Backend backend = program.backend();
  const Recipe recipe = settled(a.resume ? recipe_of_run(folder) : load_recipe(a.recipe, a.set), backend);
  console.note(fmt::format("run {}", folder.string()));
  console.detail(resolved(recipe));

  watch_interrupts();
  const std::string phase = a.phase == "all" ? "" : " --phase " + a.phase;
  const RunRequest request = {folder, a.resume, phase_named(a.phase),
                              fmt::format("stprivacy train --run {} --resume{}", folder.string(), phase),
                              a.profile > 0 ? std::optional(a.profile) : std::nullopt};
  const Results results = run_experiment(recipe, backend, request, console);
  if (results.methods.empty()) return;
  console.result(results_table(results, judged_labels(recipe)));
  console.note(fmt::format("everything is in {}", folder.string()));
}

}  // namespace

void add_train(CLI::App& app, Program& program) {
  auto a = std::make_shared<TrainArguments>();
  CLI::App* command =
      add_command(app, program, "train", "train a recipe through its phases and judge the result",
                  [a, &program](Console& console) { train(*a, program, console); });
  command->add_option("recipe", a->recipe, "recipe file (TOML)");
  command->add_option("--set", a->set, "key=value, before the recipe's own; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--run", a->run, "folder of the run; default runs/RECIPE");
  command->add_flag("--resume", a->resume, "go on from the run's last checkpoint");
  command->add_option("--phase", a->phase, "only this phase, which must be the next")
      ->check(CLI::IsMember({"all", "init", "adversarial", "evaluate"}));
  command->add_flag(
      "--profile{2}", a->profile,
      "of each stage, once two steps (or --profile=STEPS) of it are done: where the time of a step "
      "goes, as a table and in the run's profile.json");
  command->add_flag("--options", a->list, "list every option of a recipe with its default");
}

}  // namespace stp

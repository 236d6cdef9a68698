// stprivacy data check RECIPE: every clip of a recipe's data decoded to its end, before hours are spent on it.
#include "data/check.h"
#include "engine/file.h"
#include "engine/progress.h"
#include "tools/commands/commands.h"
#include "tools/experiment/recipe.h"

namespace stp {

namespace {

struct CheckArguments {
  std::string recipe;
  std::vector<std::string> set;
  int workers = 2;
};

CheckReport check_part(const char* part, const std::vector<Item>& items, const CheckOptions& options,
                       Console& console) {
  Progress progress(console, fmt::format("checking {} clips", part), static_cast<std::int64_t>(items.size()),
                    "clip");
  CheckReport report =
      check_items(items, options, [&](std::int64_t done, std::int64_t) { progress.advance(done); });
  progress.finish();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Verdict& verdict = report.items[i];
    const std::string path = shown(items[i].path);
    if (!verdict.ok) {
      const bool named = verdict.cause.find(path) != std::string::npos;
      console.result(named ? "bad: " + verdict.cause : fmt::format("bad: {}: {}", path, verdict.cause));
    } else if (verdict.damaged > 0) {
      console.result(fmt::format("damaged: {}: {} of {} frames; {}", path, verdict.damaged, verdict.frames,
                                 verdict.cause));
    } else if (verdict.too_short) {
      console.detail(fmt::format("short: {}: {} frames, will be padded", path, verdict.frames));
    }
  }
  console.result(fmt::format("{}: {} clips, {} frames; {} bad, {} damaged, {} shorter than a clip", part,
                             items.size(), report.frames, report.bad, report.damaged, report.too_short));
  return report;
}

void run(const CheckArguments& a, Console& console) {
  const Recipe recipe = load_recipe(a.recipe, a.set);
  const Dataset data = read_dataset(recipe.dataset());
  console.result(
      fmt::format("{} classes, {} privacy attributes; listed but not on disk: {} clips, {} classes; "
                  "on disk but not listed for use: {} clips",
                  data.classes.size(), data.attributes.size(), data.missing_clips, data.missing_classes,
                  data.unused_clips));
  if (data.many_actions)
    console.result(fmt::format("{} labels of no training clip, left out", data.absent_labels));
  const CheckOptions options = {recipe.model.frames, recipe.data.rate, a.workers};
  const CheckReport train = check_part("train", data.train, options, console);
  const CheckReport test = check_part("test", data.test, options, console);
  const std::int64_t bad = train.bad + test.bad;
  if (bad > 0) fail("data check: {} clips cannot be read; replace them, or take them off the lists", bad);
}

}  // namespace

void add_data(CLI::App& app, Program& program) {
  CLI::App* data = app.add_subcommand("data", "what concerns data sets");
  data->require_subcommand(1);
  auto a = std::make_shared<CheckArguments>();
  CLI::App* c =
      add_command(*data, program, "check",
                  "decode every clip of a recipe's data to its end and name those that cannot be read",
                  [a](Console& console) { run(*a, console); });
  c->add_option("recipe", a->recipe, "recipe file (TOML)")->required();
  c->add_option("--set", a->set, "key=value, before the recipe's own; may be repeated")
      ->allow_extra_args(false);
  c->add_option("--workers", a->workers, "threads")->check(CLI::Range(1, 256));
}

}  // namespace stp

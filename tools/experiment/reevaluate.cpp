#include "tools/experiment/reevaluate.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "engine/progress.h"
#include "engine/text.h"
#include "tools/experiment/run.h"

namespace stp {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What is chosen anew whenever tubelets are delivered. Raw clips know none of it.
constexpr std::array<std::string_view, 4> kDelivery = {"model.keep", "model.alpha", "model.selection",
                                                       "model.delivery"};
// Besides these, what judges of raw clips do not look at.
constexpr std::array<std::string_view, 3> kNotOfRaw = {"name", "evaluate.attackers", "evaluate.mask_attackers"};

bool among(std::span<const std::string_view> keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

// What the anonymiser's training did not fix. data.mean and data.deviation are the scale of its pixels.
bool may_change(std::string_view key) {
  constexpr std::array<std::string_view, 5> kGroups = {"evaluate.", "recogniser.", "optimizer.", "weights.",
                                                       "data."};
  constexpr std::array<std::string_view, 3> kKeys = {"name", "seed", "train.batch"};
  if (key == "data.mean" || key == "data.deviation") return false;
  return std::ranges::any_of(kGroups, [&](std::string_view group) { return key.starts_with(group); }) ||
         among(kKeys, key) || among(kDelivery, key);
}

std::vector<OptionState> options_of(Recipe recipe) {
  Schema schema;
  register_recipe(schema, recipe);
  return schema.options();
}

// Whether raw clips are judged alike under both recipes.
bool same_on_raw(const Recipe& a, const Recipe& b) {
  return std::ranges::equal(options_of(a), options_of(b), [](const OptionState& one, const OptionState& other) {
    return one.value == other.value || among(kDelivery, one.key) || among(kNotOfRaw, one.key);
  });
}

void carry_out(Stage& stage, Console& console) {
  Progress progress(console, stage.name(), stage.steps(), "step");
  for (std::int64_t step = 0; step < stage.steps(); ++step) {
    stage.step(step);
    progress.advance(step + 1);
  }
  progress.finish();
  stage.finish([] { return false; });
}

// What a stranger who gets the files sees: videos like any others.
MethodResult judge_files(const Recipe& recipe, const fs::path& videos, const Backend& backend,
                         Console& console) {
  Recipe files = recipe;
  files.method.name = "raw";
  files.data.videos = videos.string();
  Experiment experiment(files, backend);
  carry_out(*make_evaluation(experiment, false), console);
  experiment.results.methods.front().method = recipe.method_label() + " as files";
  return experiment.results.methods.front();
}

void copy(const Parameters& from, const Parameters& to) {
  for (std::size_t i = 0; i < to.all().size(); ++i) to.all()[i].tensor.assign(from.all()[i].tensor.values());
}

bool has_results(const fs::path& run) {
  std::error_code ignored;
  return fs::exists(run / "results.json", ignored);
}

Results saved_by_run(const fs::path& run) {
  const fs::path file = run / "results.json";
  return results_from(read_json(file), file);
}

// The evaluation as it was saved before.
Results saved(const fs::path& file, const Recipe& recipe, const std::string& model) {
  const Json json = read_json(file);
  const bool same = json.is_object() && json.contains("recipe") && json["recipe"] == resolved(recipe) &&
                    json.contains("model") && json["model"] == model;
  check(same, "{}: another evaluation is there already; choose another --name", shown(file));
  return results_from(json, file);
}

}  // namespace

Recipe evaluation_recipe(const Recipe& trained, const std::vector<std::string>& flags) {
  Recipe recipe = trained;
  Schema schema;
  register_recipe(schema, recipe);
  schema.load({}, flags);
  for (const OptionState& option : schema.options()) {
    check(option.origin != Origin::flag || may_change(option.key),
          "evaluate: {} belongs to the trained anonymiser; train another run to change it", option.key);
  }
  recipe.validate();
  return recipe;
}

Judged results_of_run(const fs::path& run) {
  const Recipe recipe = recipe_of_run(run);
  check(has_results(run), "{}: not judged yet; finish it with: stprivacy train --run {} --resume", shown(run),
        shown(run));
  return {saved_by_run(run), judged_labels(recipe)};
}

Judged evaluate_again(const EvaluationRequest& request, const Backend& backend, Console& console) {
  const LoadedModel model = load_model(request.run, backend);
  const Recipe recipe = evaluation_recipe(model.recipe, request.flags);
  const fs::path file = request.run / "evaluations" / (request.name + ".json");
  std::error_code error;
  if (fs::exists(file, error)) {
    console.note(fmt::format("{} is there already", shown(file)));
    return {saved(file, recipe, model.digest), judged_labels(recipe)};
  }

  Experiment experiment(recipe, backend);
  copy(model.parameters(), *experiment.trained());
  const bool raw_is_known = same_on_raw(model.recipe, recipe) && has_results(request.run);
  const Results of_run = raw_is_known ? saved_by_run(request.run) : Results();
  if (const MethodResult* raw = of_run.find("raw"); raw && recipe.evaluate.raw) {
    experiment.results.methods.push_back(*raw);
  } else if (recipe.evaluate.raw) {
    carry_out(*make_evaluation(experiment, true), console);
  }
  const MethodResult* known = of_run.find(recipe.method_label());
  if (known && resolved(recipe) == resolved(model.recipe)) {
    experiment.results.methods.push_back(*known);
  } else {
    carry_out(*make_evaluation(experiment, false), console);
  }
  if (!request.delivered.empty())
    experiment.results.methods.push_back(judge_files(recipe, request.delivered, backend, console));

  Json json = to_json(experiment.results);
  json["recipe"] = resolved(recipe);
  json["model"] = model.digest;
  fs::create_directories(file.parent_path(), error);
  check(!error, "{}: cannot be made: {}", shown(file.parent_path()), system_message(error.value()));
  write_file(file, json.dump(2) + "\n");
  console.note(fmt::format("written to {}", shown(file)));
  return {experiment.results, judged_labels(experiment.data, experiment.frames)};
}

}  // namespace stp

// Phase evaluate once more on a finished run: with another keep ratio, more attackers, more steps, another data
// set. The run itself stays as it is; what comes out goes to RUN/evaluations/NAME.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/console.h"
#include "tools/experiment/recipe.h"
#include "tools/experiment/results.h"

namespace stp {

struct EvaluationRequest {
  std::filesystem::path run;
  std::string name;                // of the file
  std::vector<std::string> flags;  // "key=value" on top of the run's recipe
  // Videos of every clip as they were delivered, CLASS/VIDEO below this folder: they are judged, as anyone gets
  // them, in place of what the network puts out. Empty: not.
  std::filesystem::path delivered;
};

// Results with the labels they are to be seen against.
struct Judged {
  Results results;
  JudgedLabels labels;
};

// The run's own results. Throws Error (usage) if it has none yet.
Judged results_of_run(const std::filesystem::path& run);

// Trains fresh recognisers and judges them. What the flags leave as it was is taken from the run's results,
// because it would come out the same. An evaluation that is there already is read, not made again. Throws Error
// (usage) for a run without a trained anonymiser, and for a flag that would need another anonymiser.
Judged evaluate_again(const EvaluationRequest& request, const Backend& backend, Console& console);

// The trained recipe with other options for evaluation. Throws Error (usage) for a key that belongs to the
// trained anonymiser.
Recipe evaluation_recipe(const Recipe& trained, const std::vector<std::string>& flags);

}  // namespace stp

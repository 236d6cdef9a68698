// A run: a folder in which an experiment's stages are carried out, and from which it goes on after any
// interruption.
//   config.toml          the resolved recipe
//   log.jsonl            what happened, a pure function of recipe and build; timing.jsonl: when
//   events/              the same for TensorBoard
//   checkpoints/         latest.safetensors, previous.safetensors: everything needed to go on
//   anonymiser.safetensors  the trained anonymiser, by the released names, once phase adversarial is done
//   results.json         what phase evaluate found
//   profile.json         where the time goes, if asked: a trace for ui.perfetto.dev
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/console.h"
#include "tools/experiment/stage.h"

namespace stp {

enum class Phase { all, init, adversarial, evaluate };

struct RunRequest {
  std::filesystem::path folder;
  bool resume = false;         // go on from the last checkpoint; otherwise the folder must be new
  Phase phase = Phase::all;    // stop after this one; it must be the next
  std::string resume_command;  // told to the user when interrupted
  std::optional<std::int64_t> profile_after = {};  // take a profile of each stage once so many steps are done
};

// Trains and judges. Returns the results once phase evaluate is done; empty methods before. Throws Interrupted
// after a signal, when the run has saved itself.
Results run_experiment(const Recipe& recipe, const Backend& backend, const RunRequest& request,
                       Console& console);

// The stages of a run in their order; evaluation of raw clips only if the recipe wants it.
std::vector<std::string> stage_names(const Recipe& recipe);

// The recipe a run was started with.
Recipe recipe_of_run(const std::filesystem::path& folder);

// A stop that was asked for: exit code 128 + signal.
class Interrupted : public std::runtime_error {
 public:
  Interrupted(int signal, const std::string& message) : std::runtime_error(message), signal_(signal) {}
  int exit_code() const { return 128 + signal_; }

 private:
  int signal_;
};

// The trained anonymiser as one file: tensors by the released names, the recipe and what it was trained for as
// texts.
void save_model(const std::filesystem::path& path, const Experiment& experiment);

struct LoadedModel {
  Recipe recipe;
  // One of these: what the recipe's method trains.
  std::unique_ptr<Stprivacy> anonymiser;
  std::unique_ptr<FrameAnonymiser> rewriter;
  std::string digest;  // of the file's header, which holds the digest of every tensor

  const Parameters& parameters() const { return rewriter ? rewriter->parameters() : anonymiser->parameters(); }
};
// Reads a model file, a checkpoint that holds a trained anonymiser, or the folder of a run. Throws Error
// (usage) if the anonymiser in it was never trained against recognisers.
LoadedModel load_model(const std::filesystem::path& path, const Backend& backend);

}  // namespace stp

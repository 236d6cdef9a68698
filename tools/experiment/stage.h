// A run is a sequence of stages, each a number of steps: phase init, phase adversarial, and phase evaluate's
// judging of the raw and of the anonymised clips. A step is a pure function of the recipe, its number and what
// the stage saved.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/footage_memory.h"
#include "engine/log.h"
#include "tools/experiment/feed.h"
#include "tools/experiment/networks.h"
#include "tools/experiment/results.h"

namespace stp {

// What all stages of a run share.
struct Experiment {
  Recipe recipe;
  Dataset data;
  std::optional<Dataset> frames;           // whose frames tell how private, where the recipe says so
  std::shared_ptr<FootageMemory> footage;  // decoded once for all stages
  Backend backend;
  // What the method trains: one of these, or none.
  std::unique_ptr<Stprivacy> anonymiser;
  std::unique_ptr<FrameAnonymiser> rewriter;
  Results results;

  Experiment(const Recipe& experiment, const Backend& device);
  const Parameters* trained() const;  // of the one that there is, or null
  std::uint64_t seed() const { return static_cast<std::uint64_t>(recipe.seed); }
  // Steps of a phase: as given, or as many as its epochs take with the given clips a step.
  std::int64_t steps(std::int64_t given, double epochs, std::int64_t clips_of_step) const;
  // What a network starts from, besides its own draw: the recipe's start and image weights.
  void start_network(const Parameters& parameters, const VitOptions& vit) const;

 private:
  // Recognisers start later, with the same image weights: what does not fit is refused before hours are spent.
  void check_recogniser_start() const;
};

LabelTable label_table(const Dataset& data, const std::vector<Item>& items);

// Those of the clips, or of every frame that PA-HMDB51 labels in all attributes, each with its video's action.
JudgedLabels judged_labels(const Dataset& data, const std::optional<Dataset>& frames);
// The same of a recipe, whose data it reads.
JudgedLabels judged_labels(const Recipe& recipe);

// 16 digits over classes, attributes and every clip's name, class and labels, in their order: what a resumed
// run must find as it was.
std::string data_digest(const Dataset& data);

// The random draws of a step: a pure function of seed, stage, step and part.
std::vector<Tensor> draw_noise(const Experiment& e, const std::string& stage, std::int64_t step, int part);
DropPathDraw drop_draw(const Experiment& e, const std::string& network, std::int64_t step, int part);

class Stage {
 public:
  Stage() = default;
  virtual ~Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  virtual std::string name() const = 0;
  virtual std::int64_t steps() const = 0;
  // Does step `number` (from 0) and returns what to log of it.
  virtual std::vector<LogField> step(std::int64_t number) = 0;
  // After the last step: what the stage leaves in the experiment. Asks `stop` now and then and, once it says
  // yes, leaves nothing and returns false: it is then asked again by the run that goes on.
  using Stop = std::function<bool()>;
  virtual bool finish(const Stop& stop) {
    static_cast<void>(stop);
    return true;
  }
  // What feeds the stage, for its times.
  virtual const Loader& loader() const = 0;
  // Everything of the stage that a checkpoint must hold besides the anonymiser's parameters.
  virtual void save(CheckpointBuilder& builder) const = 0;
  virtual void restore(const Checkpoint& checkpoint) = 0;
};

std::unique_ptr<Stage> make_init(Experiment& experiment);
std::unique_ptr<Stage> make_adversarial(Experiment& experiment);
// The same phases of the earlier methods, whose networks rewrite frames.
std::unique_ptr<Stage> make_rewriter_init(Experiment& experiment);
std::unique_ptr<Stage> make_rewriter_adversarial(Experiment& experiment);
// Fresh recognisers on what the recipe's method delivers, or, beside a method, on raw clips.
std::unique_ptr<Stage> make_evaluation(Experiment& experiment, bool raw);

}  // namespace stp

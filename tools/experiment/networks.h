// Networks under training: parameters with their optimizer and learning rates, and how both go into a
// checkpoint.
#pragma once

#include <map>
#include <string>

#include "engine/checkpoint.h"
#include "engine/optimizer.h"
#include "tools/experiment/recipe.h"

namespace stp {

// The learning rate of `step` (from 0) of a phase of `steps` steps.
double rate_at(const RateRecipe& rate, std::int64_t step, std::int64_t steps);

// Values that go into a checkpoint together with the content that points at them.
class CheckpointBuilder {
 public:
  void parameters(const std::string& prefix, const Parameters& parameters);
  void values(const std::string& name, std::vector<std::int64_t> shape, std::vector<float> values);
  void counter(const std::string& name, std::int64_t value) { content_.counters[name] = value; }
  void text(const std::string& name, const std::string& value) { content_.texts[name] = value; }
  const CheckpointContent& content() const { return content_; }

 private:
  std::vector<std::vector<float>> kept_;
  CheckpointContent content_;
};

// Reads `prefix` + name for every parameter.
void restore_parameters(const Checkpoint& checkpoint, const std::string& prefix, const Parameters& parameters);

// One network that learns: its parameters belong to the model, the optimizer to this.
class Learner {
 public:
  // Which parameters belong to which group: the backbone of the anonymiser may follow a rate of its own.
  static constexpr std::size_t kBackbone = 0, kRest = 1;

  // `who` names the network in messages and checkpoints. `layers` is its number of blocks, for layer-wise
  // decay.
  Learner(std::string who, const Parameters& parameters, const OptimizerRecipe& recipe, std::int64_t layers);

  // One AdamW step. Throws Error (failure) naming `where`, network and tensor if the gradient is not finite.
  double step(const std::string& where, double backbone_rate, double rate);
  double step(const std::string& where, double rate) { return step(where, rate, rate); }

  // The same in two: a step that is issued without waiting for the device, its norm to be noted; and what that
  // norm turned out to be. Where it is not finite the step has changed nothing.
  Tensor issue(double backbone_rate, double rate) { return optimizer_.issue({backbone_rate, rate}); }
  Tensor issue(double rate) { return issue(rate, rate); }
  void check_norm(const std::string& where, double norm) const;

  void save(CheckpointBuilder& builder, bool with_parameters) const;
  void restore(const Checkpoint& checkpoint, bool with_parameters);
  // Starts the network anew: an attacker's restart.
  void restart(std::uint64_t seed);

  const Parameters& parameters() const { return parameters_; }

 private:
  std::string who_;
  const Parameters& parameters_;
  Optimizer optimizer_;
};

// Throws Error (failure) naming `where` and `what` unless the loss is finite.
void check_finite(const std::string& where, const std::string& what, double loss);

}  // namespace stp

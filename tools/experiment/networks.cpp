#include "tools/experiment/networks.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "engine/schedule.h"

namespace stp {

namespace {

// Layer of a parameter for layer-wise decay, as the released code counts: embeddings 0, block k is k + 1,
// scorer and head at the top.
std::int64_t layer_of(const std::string& name, std::int64_t layers) {
  if (name.starts_with("patch_embed.") || name == "pos_embed") return 0;
  constexpr std::string_view kBlocks = "blocks.";
  if (!name.starts_with(kBlocks)) return layers + 1;
  std::int64_t block = 0;
  std::from_chars(name.data() + kBlocks.size(), name.data() + name.size(), block);
  return block + 1;
}

Treatment treat(const Parameter& p, const OptimizerRecipe& recipe, std::int64_t layers) {
  const bool scorer = p.name.starts_with("score_predictor.");
  const bool backbone = layer_of(p.name, layers) <= layers;
  const bool matrix = p.shape.rank() > 1 && p.name != "pos_embed";
  const bool decays = matrix || (scorer && recipe.decay_scorers);
  const double scale =
      layer_scale(static_cast<int>(layer_of(p.name, layers)), static_cast<int>(layers + 1), recipe.layer_decay);
  return {backbone ? Learner::kBackbone : Learner::kRest, scale, decays ? recipe.weight_decay : 0.0};
}

OptimizerOptions options_of(const OptimizerRecipe& recipe) {
  return {recipe.beta1, recipe.beta2, 1e-8,
          recipe.clip_norm > 0 ? recipe.clip_norm : std::numeric_limits<double>::infinity()};
}

std::vector<std::int64_t> as_vector(const Shape& shape) {
  std::vector<std::int64_t> sizes;
  for (int i = 0; i < shape.rank(); ++i) sizes.push_back(shape[i]);
  return sizes;
}

std::vector<float> read(const Checkpoint& checkpoint, const std::string& name, const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  checkpoint.read(name, as_vector(shape), values);
  return values;
}

}  // namespace

double rate_at(const RateRecipe& rate, std::int64_t step, std::int64_t steps) {
  const auto warmup = static_cast<std::int64_t>(std::llround(rate.warmup * static_cast<double>(steps)));
  // The first step of a warm-up already learns: it is counted from 1.
  const double start = rate.peak / static_cast<double>(warmup + 1);
  return warmup_cosine(step, {start, rate.peak, std::min(rate.floor, rate.peak), warmup, steps});
}

void CheckpointBuilder::parameters(const std::string& prefix, const Parameters& parameters) {
  for (const Parameter& p : parameters.all()) values(prefix + p.name, as_vector(p.shape), p.tensor.values());
}

void CheckpointBuilder::values(const std::string& name, std::vector<std::int64_t> shape,
                               std::vector<float> values) {
  kept_.push_back(std::move(values));
  content_.tensors.push_back({name, std::move(shape), kept_.back()});
}

void restore_parameters(const Checkpoint& checkpoint, const std::string& prefix, const Parameters& parameters) {
  for (const Parameter& p : parameters.all()) p.tensor.assign(read(checkpoint, prefix + p.name, p.shape));
}

Learner::Learner(std::string who, const Parameters& parameters, const OptimizerRecipe& recipe,
                 std::int64_t layers)
    : who_(std::move(who)),
      parameters_(parameters),
      optimizer_(parameters, options_of(recipe), [&](const Parameter& p) { return treat(p, recipe, layers); }) {
}

double Learner::step(const std::string& where, double backbone_rate, double rate) {
  const double norm = optimizer_.step({backbone_rate, rate});
  check_norm(where, norm);
  return norm;
}

void Learner::check_norm(const std::string& where, double norm) const {
  if (std::isfinite(norm)) return;
  fail("{}: the gradient of {} in the {} is not finite; lower the learning rate or optimizer.clip_norm", where,
       optimizer_.first_non_finite(), who_);
}

void Learner::save(CheckpointBuilder& builder, bool with_parameters) const {
  if (with_parameters) builder.parameters(who_ + ".", parameters_);
  const std::vector<std::int64_t> shape = {parameters_.elements()};
  builder.values("optimizer." + who_ + ".first", shape, optimizer_.first_moments());
  builder.values("optimizer." + who_ + ".second", shape, optimizer_.second_moments());
  builder.counter("optimizer." + who_ + ".steps", optimizer_.steps());
}

void Learner::restore(const Checkpoint& checkpoint, bool with_parameters) {
  if (with_parameters) restore_parameters(checkpoint, who_ + ".", parameters_);
  const Shape shape = {parameters_.elements()};
  optimizer_.restore(checkpoint.counter("optimizer." + who_ + ".steps"),
                     read(checkpoint, "optimizer." + who_ + ".first", shape),
                     read(checkpoint, "optimizer." + who_ + ".second", shape));
}

void Learner::restart(std::uint64_t seed) {
  parameters_.initialise(seed);
  parameters_.clear_gradients();
  optimizer_.reset();
}

void check_finite(const std::string& where, const std::string& what, double loss) {
  if (!std::isfinite(loss))
    fail("{}: the {} is {}; lower the learning rate or optimizer.clip_norm", where, what, loss);
}

}  // namespace stp

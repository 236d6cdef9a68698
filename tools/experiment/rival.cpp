#include "tools/experiment/rival.h"

#include "engine/rng.h"

namespace stp {

Rival::Rival(const Experiment& experiment, const std::string& name, std::size_t outputs)
    : e_(experiment),
      name_(name),
      network_(e_.backend, stream_id(name, {e_.seed()}),
               e_.recipe.recogniser_for(static_cast<std::int64_t>(outputs))),
      learner_(name, network_.parameters(), e_.recipe.optimizer, e_.recipe.recogniser.depth) {
  e_.start_network(network_.parameters(), network_.options().vit);
}

std::unique_ptr<Rival> Rival::of_actions(const Experiment& experiment) {
  return std::unique_ptr<Rival>(new Rival(experiment, "action", experiment.data.classes.size()));
}

std::unique_ptr<Rival> Rival::of_privacy(const Experiment& experiment, int index) {
  return std::unique_ptr<Rival>(
      new Rival(experiment, fmt::format("privacy_{}", index), experiment.data.attributes.size()));
}

void Rival::restart(std::uint64_t generation) {
  learner_.restart(stream_id(name_, {e_.seed(), generation}));
  e_.start_network(network_.parameters(), network_.options().vit);
}

}  // namespace stp

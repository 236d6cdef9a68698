// The recognisers of phase 2: they learn from what the anonymiser shows while it learns from them.
#pragma once

#include <memory>
#include <string>
#include <type_traits>

#include "engine/rng.h"
#include "models/mask_recogniser.h"
#include "models/recogniser.h"
#include "tools/experiment/stage.h"

namespace stp {

// A network that starts and learns as the recipe says, with its optimizer. Its name stands in checkpoints and
// tells its random draws.
template <class Network>
class Rival {
 public:
  // `layers` for layer-wise decay; `options` as the network takes them after its backend and seed.
  template <class... Options>
  Rival(const Experiment& experiment, const std::string& name, std::int64_t layers, const Options&... options)
      : e_(experiment),
        name_(name),
        network_(e_.backend, stream_id(name, {e_.seed()}), options...),
        learner_(name, network_.parameters(), e_.recipe.optimizer, layers) {
    start();
  }

  const std::string& name() const { return name_; }
  const Network& network() const { return network_; }
  Learner& learner() { return learner_; }
  const Learner& learner() const { return learner_; }
  // Begins anew, for the `generation`-th time.
  void restart(std::uint64_t generation) {
    learner_.restart(stream_id(name_, {e_.seed(), generation}));
    start();
  }

 private:
  void start() const {
    if constexpr (std::is_same_v<Network, Recogniser>)
      e_.start_network(network_.parameters(), network_.options().vit);
  }

  const Experiment& e_;
  std::string name_;
  Network network_;
  Learner learner_;
};

using ClipRival = Rival<Recogniser>;      // sees what is delivered
using MaskRival = Rival<MaskRecogniser>;  // sees which tubelets are kept, and nothing else

std::unique_ptr<ClipRival> action_rival(const Experiment& experiment);
// The `index`-th of those that read what is private; each has a start of its own.
std::unique_ptr<ClipRival> privacy_rival(const Experiment& experiment, int index);
std::unique_ptr<MaskRival> mask_rival(const Experiment& experiment);

}  // namespace stp

// The recognisers of phase 2: they learn from what the anonymiser shows while it learns from them.
#pragma once

#include <memory>
#include <string>

#include "models/recogniser.h"
#include "tools/experiment/stage.h"

namespace stp {

// A recogniser that starts and learns as the recipe says, with its optimizer.
class Rival {
 public:
  static std::unique_ptr<Rival> of_actions(const Experiment& experiment);
  // The `index`-th of those that read what is private; each has a start of its own.
  static std::unique_ptr<Rival> of_privacy(const Experiment& experiment, int index);

  const std::string& name() const { return name_; }  // in checkpoints, and of its random draws
  const Recogniser& network() const { return network_; }
  Learner& learner() { return learner_; }
  const Learner& learner() const { return learner_; }
  // Begins anew, for the `generation`-th time.
  void restart(std::uint64_t generation);

 private:
  Rival(const Experiment& experiment, const std::string& name, std::size_t outputs);

  const Experiment& e_;
  std::string name_;
  Recogniser network_;
  Learner learner_;
};

}  // namespace stp

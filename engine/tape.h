// The tape: what was computed, to be run backwards once.
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "engine/tensor.h"

namespace stp {

// A linear list of closures. An op that is given a tape and has an input that wants a gradient records how to
// contribute to it; without a tape nothing is recorded, so evaluation needs no mode. Closures keep what they
// need and are destroyed as they run, so memory falls while the tape is run.
class Tape {
 public:
  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Records the backward of an op with results `outputs`. It runs only if one of them received a gradient.
  void record(std::vector<Tensor> outputs, std::function<void()> backward);

  // Seeds the gradients of losses (one element each) with their weights and runs the tape: the gradient of the
  // weighted sum. A loss that does not depend on anything recorded contributes nothing.
  struct Term {
    Tensor loss;
    float weight = 1;
  };
  void backward(const std::vector<Term>& terms);
  // Runs the tape from gradients that are already there: contributions of other tapes.
  void backward();

  bool empty() const { return steps_.empty(); }

 private:
  struct Step {
    std::vector<Tensor> outputs;
    std::function<void()> backward;
  };
  std::vector<Step> steps_;
};

// Runs `fn`, which makes one tensor and records on the tape it is given. Nothing of what it computes on the way
// is kept: backward runs it again, then goes back through it. The same values and gradients, to the bit, for
// one more forward pass in time, and for the memory of one `fn` at a time (Chen et al., 2016). Whatever fn
// reads must be the same then: weights included.
Tensor checkpointed(Tape* tape, std::function<Tensor(Tape*)> fn);

// Whether an op has to record: there is a tape, and one of its inputs wants a gradient.
bool records(const Tape* tape, std::initializer_list<Tensor> inputs);

}  // namespace stp

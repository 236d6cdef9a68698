#include "engine/tape.h"

#include <algorithm>
#include <utility>

namespace stp {

void Tape::record(std::vector<Tensor> outputs, std::function<void()> backward) {
  for (Tensor& output : outputs) output = output.set_wants_gradient(true).slot();
  steps_.push_back({std::move(outputs), std::move(backward)});
}

void Tape::backward(const std::vector<Term>& terms) {
  for (const Term& term : terms) {
    check(term.loss.elements() == 1, "backward: the loss is {}, wanted one element", term.loss.shape());
    if (const Grad grad = term.loss.grad()) {
      term.loss.backend().run(&KernelTable::fill, {.to = grad.f32(), .count = 1, .value = term.weight});
    }
  }
  backward();
}

void Tape::backward() {
  while (!steps_.empty()) {
    const Step step = std::move(steps_.back());
    steps_.pop_back();
    const auto reached = [](const Tensor& output) { return output.has_gradient(); };
    if (std::any_of(step.outputs.begin(), step.outputs.end(), reached)) step.backward();
  }
}

Tensor checkpointed(Tape* tape, std::function<Tensor(Tape*)> fn) {
  if (!tape) return fn(nullptr);
  // Recorded and forgotten: ops compute the same bits as they will again, and tell whether a gradient is
  // wanted.
  Tape forgotten;
  const Tensor out = fn(&forgotten);
  if (forgotten.empty()) return out;
  tape->record({out}, [fn = std::move(fn), out = out.slot()] {
    Tape again;
    fn(&again).take_gradient(out);
    again.backward();
  });
  return out;
}

bool records(const Tape* tape, std::initializer_list<Tensor> inputs) {
  const auto wanted = [](const Tensor& input) { return input.wants_gradient(); };
  return tape && std::any_of(inputs.begin(), inputs.end(), wanted);
}

}  // namespace stp

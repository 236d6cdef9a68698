#include "bench/pass.h"

#include <algorithm>

#include "bench/timing.h"

namespace stp::bench {

namespace {

// Gives every output its own values as gradient; returns the seconds of it.
double seed(const std::vector<Tensor>& outputs) {
  const double start = now();
  for (const Tensor& output : outputs) {
    output.set_wants_gradient(true);
    output.backend().kernels().memory.copy(
        output.grad().data, output.in().data,
        static_cast<std::size_t>(output.elements()) * bytes_of(output.type()));
  }
  return now() - start;
}

}  // namespace

std::vector<Tensor> tensors(const test::OpCase& c, const Backend& backend, bool gradients) {
  std::vector<Tensor> inputs;
  for (const test::CaseInput& i : c.inputs) {
    const Tensor tensor(backend, i.shape, i.activation ? c.storage : Element::f32);
    tensor.assign(i.values);
    inputs.push_back(tensor.set_wants_gradient(gradients && i.differentiable));
  }
  return inputs;
}

double pass(const test::OpCase& c, const std::vector<Tensor>& inputs, bool backward) {
  const Backend& backend = inputs.front().backend();
  const double start = now();
  double seeding = 0;
  if (backward) {
    Tape tape;
    seeding = seed(c.call(&tape, inputs));
    tape.backward();
  } else {
    c.call(nullptr, inputs);
  }
  backend.kernels().memory.wait();
  const double seconds = now() - start - (backend.device() == Device::cpu ? seeding : 0);
  for (const Tensor& input : inputs) input.clear_gradient();
  return seconds;
}

std::vector<KernelUse> kernels_of_pass(const test::OpCase& c, const std::vector<Tensor>& inputs,
                                       bool backward) {
  const Backend& backend = inputs.front().backend();
  backend.profile(true);
  pass(c, inputs, backward);
  backend.profile(false);
  return backend.profiled();
}

Cost total_cost(const std::vector<KernelUse>& kernels) {
  Cost cost;
  for (const KernelUse& use : kernels) cost += use.cost;
  return cost;
}

bool differentiable(const test::OpCase& c) {
  return std::ranges::any_of(c.inputs, &test::CaseInput::differentiable);
}

}  // namespace stp::bench

#include "bench/pass.h"

namespace stp::bench {

std::vector<Tensor> tensors(const test::OpCase& c, const Backend& backend, bool gradients) {
  std::vector<Tensor> inputs;
  for (const test::CaseInput& i : c.inputs) {
    const Tensor tensor(backend, i.shape, i.activation ? c.storage : Element::f32);
    tensor.assign(i.values);
    inputs.push_back(tensor.set_wants_gradient(gradients && i.differentiable));
  }
  return inputs;
}

void pass(const test::OpCase& c, const std::vector<Tensor>& inputs, bool backward) {
  if (!backward) {
    c.call(nullptr, inputs);
    return;
  }
  Tape tape;
  for (const Tensor& output : c.call(&tape, inputs)) {
    const Tensor upstream = output.detach();
    output.set_wants_gradient(true);
    output.backend().kernels().memory.copy(
        output.grad().data, upstream.in().data,
        static_cast<std::size_t>(output.elements()) * bytes_of(output.type()));
  }
  tape.backward();
  for (const Tensor& input : inputs) input.clear_gradient();
}

Cost cost_of_pass(const test::OpCase& c, const std::vector<Tensor>& inputs, bool backward) {
  const Backend& backend = inputs.front().backend();
  backend.profile(true);
  pass(c, inputs, backward);
  Cost cost;
  for (const KernelUse& use : backend.profiled()) cost += use.cost;
  backend.profile(false);
  return cost;
}

}  // namespace stp::bench

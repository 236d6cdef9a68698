// One pass through an op case, forward or forward and backward: what the benches time and count.
#pragma once

#include <vector>

#include "tests/op_case.h"

namespace stp::bench {

// The inputs as tensors, activations as the case stores them; gradients are wanted or not.
std::vector<Tensor> tensors(const test::OpCase& c, const Backend& backend, bool gradients);

// Returns the seconds it took. The gradient that comes back is the output itself: real numbers of the right
// size. What it takes to put it there counts only where calls return before they are done.
double pass(const test::OpCase& c, const std::vector<Tensor>& inputs, bool backward);

// What the kernels of one such pass do by their formulas.
std::vector<KernelUse> kernels_of_pass(const test::OpCase& c, const std::vector<Tensor>& inputs, bool backward);
Cost total_cost(const std::vector<KernelUse>& kernels);

// Whether any input of it has a gradient.
bool differentiable(const test::OpCase& c);

}  // namespace stp::bench

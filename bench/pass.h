// One pass through an op case, forward or forward and backward: what the benches time and count.
#pragma once

#include <vector>

#include "tests/op_case.h"

namespace stp::bench {

// The inputs as tensors, activations as the case stores them; gradients are wanted or not.
std::vector<Tensor> tensors(const test::OpCase& c, const Backend& backend, bool gradients);

// The gradient that comes back is the output itself: real numbers of the right size at no cost but a copy.
void pass(const test::OpCase& c, const std::vector<Tensor>& inputs, bool backward);

// What the kernels of one such pass cost by their formulas.
Cost cost_of_pass(const test::OpCase& c, const std::vector<Tensor>& inputs, bool backward);

}  // namespace stp::bench

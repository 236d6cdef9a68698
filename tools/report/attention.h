// Attention as a picture: the kernels never store the scores, so here they are worked out once more, plainly.
#pragma once

#include <vector>

#include "models/layers.h"

namespace stp {

// x (B, N, E), what goes into the block -> (B, N): the attention that each token receives, mean over heads and
// queries, times N: 1 where all receive the same. Without a policy.
std::vector<float> attention_received(const Block& block, const Tensor& x);

}  // namespace stp

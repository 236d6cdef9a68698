// Schedules: pure functions from a step to a value, so that a resumed run needs nothing but its step. Steps may
// be iterations or epochs; the caller gives all in one unit. All throw Error (usage) for bounds that make no
// sense.
#pragma once

#include <cstdint>

namespace stp {

// Linear from `start` at step 0 to `peak` at step `warmup`, then half a cosine down (or up) to `end` at step
// `steps`; `end` after that. warmup = 0 begins at the peak.
struct WarmupCosine {
  double start = 0, peak = 1, end = 0;
  std::int64_t warmup = 0, steps = 1;
};
double warmup_cosine(std::int64_t step, const WarmupCosine& s);

// From one value to another between two steps, constant outside; begin = end jumps at that step.
struct Ramp {
  double from = 0, to = 1;
  std::int64_t begin = 0, end = 1;
};
double linear_ramp(std::int64_t step, const Ramp& r);
double cosine_ramp(std::int64_t step, const Ramp& r);

// The second learning rate of the sparsifier's two (ming1993li/stprivacy, after DynamicViT): the pretrained
// backbone rests for the first `frozen` steps and then follows the scorers' rate, but never above `cap`.
double frozen_then_capped(std::int64_t step, double rate, std::int64_t frozen, double cap);

// Layer-wise decay of the learning rate, decay^(layers - layer): layer 0 is the embedding, block l is layer l +
// 1, and what comes after the last block is layer `layers`, with scale 1.
double layer_scale(int layer, int layers, double decay);

}  // namespace stp

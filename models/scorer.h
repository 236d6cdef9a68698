// Multi-level aggregation and scoring (equations 1-5; PredictorLG in the released code): how much each token is
// worth keeping, judged by itself, by its time slot and by its clip.
#pragma once

#include "models/layers.h"

namespace stp {

struct ScorerOptions {
  AggregationLevels levels;
  bool norm = true;  // the leading LayerNorm of the released code; the paper has none
};

struct Scorer {
  LayerNorm norm;
  Linear in, out0, out2, out4;  // in_conv.1, out_conv.0, .2, .4
  ScorerOptions options;

  Scorer() = default;
  // E divisible by 12: three levels, and two halvings before the two outputs.
  Scorer(const ParameterScope& scope, std::int64_t E, const ScorerOptions& scorer);

  // x (B, N, E), keep (B, N) or not given -> log-probabilities (B, N, 2), channel 0 is "keep". slot_of (B, N)
  // tells the time slot of each token where slots hold different numbers.
  Tensor operator()(Tape* tape, const Tensor& x, const Tensor& keep, std::int64_t slots,
                    const Indices& slot_of = {}) const;
};

}  // namespace stp

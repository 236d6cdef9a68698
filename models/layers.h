// The layers that all networks share, as plain structs of tensors with a forward function. Names are those of
// the released model's state dict.
#pragma once

#include <vector>

#include "engine/ops.h"
#include "engine/parameters.h"

namespace stp {

constexpr float kNormEpsilon = 1e-6f;        // LayerNorm everywhere but in the scorers
constexpr float kScorerNormEpsilon = 1e-5f;  // as released

// weight (O, I), bias (O).
struct Linear {
  Tensor weight, bias;

  Linear() = default;
  Linear(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs,
         Init init = Init::normal(0.02));
  Tensor operator()(Tape* tape, const Tensor& x, const Tensor& residual = {},
                    Activation activation = Activation::none) const {
    return linear(tape, x, weight, bias, residual, activation);
  }
  // The result in f32, whatever the type of x.
  Tensor to_f32(Tape* tape, const Tensor& x) const {
    return linear(tape, x, weight, bias, {}, Activation::none, true);
  }
};

struct LayerNorm {
  Tensor weight, bias;
  float epsilon = kNormEpsilon;

  LayerNorm() = default;
  LayerNorm(const ParameterScope& scope, std::int64_t width, float eps = kNormEpsilon);
  Tensor operator()(Tape* tape, const Tensor& x) const { return layer_norm(tape, x, weight, bias, epsilon); }
};

// How attention treats scores: what the released code and the paper disagree on.
struct AttentionOptions {
  float smoothing = 1e-6f;      // epsilon of the masked softmax; the paper has none
  bool scale_by_width = false;  // divide scores by sqrt(E), as the paper reads, not by sqrt(E / heads)
};

// Which tokens a pass through the blocks sees.
struct TokenView {
  Tensor keep;      // (B, N) policy; not given: plain attention without smoothing
  Packing packing;  // clips of different lengths
};

// Drop path of one pass: a factor (B) for each residual branch, 0 or 1 / (1 - rate); empty: none.
struct BranchFactors {
  Tensor attention, mlp;
};

// One pre-norm transformer block: x + attention(norm1 x), then x + mlp(norm2 x).
struct Block {
  LayerNorm norm1, norm2;
  Linear qkv, proj;
  MlpWeights mlp;
  std::int64_t heads = 1;
  AttentionOptions attention;

  Block() = default;
  Block(const ParameterScope& scope, std::int64_t width, std::int64_t head_count, std::int64_t hidden,
        const AttentionOptions& options);
  Tensor operator()(Tape* tape, const Tensor& x, const TokenView& view, const BranchFactors& drop = {}) const;
};

}  // namespace stp

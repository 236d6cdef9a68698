#include "models/layers.h"

#include <cmath>

namespace stp {

Linear::Linear(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, Init init)
    : weight(scope.take("weight", {outputs, inputs}, init)),
      bias(scope.take("bias", {outputs}, Init::zeros())) {}

LayerNorm::LayerNorm(const ParameterScope& scope, std::int64_t width, float eps)
    : weight(scope.take("weight", {width}, Init::ones())),
      bias(scope.take("bias", {width}, Init::zeros())),
      epsilon(eps) {}

Block::Block(const ParameterScope& scope, std::int64_t width, std::int64_t head_count, std::int64_t hidden,
             const AttentionOptions& options)
    : norm1(scope / "norm1", width), heads(head_count), attention(options) {
  qkv = Linear(scope / "attn" / "qkv", width, 3 * width);
  proj = Linear(scope / "attn" / "proj", width, width);
  norm2 = LayerNorm(scope / "norm2", width);
  const Linear fc1(scope / "mlp" / "fc1", width, hidden), fc2(scope / "mlp" / "fc2", hidden, width);
  mlp = {fc1.weight, fc1.bias, fc2.weight, fc2.bias};
}

Tensor Block::operator()(Tape* tape, const Tensor& x, const TokenView& view, const BranchFactors& drop) const {
  AttentionForm form = {.heads = heads, .smoothing = view.keep ? attention.smoothing : 0.0f};
  if (attention.scale_by_width) form.scale = 1.0f / std::sqrt(static_cast<float>(x.size(-1)));
  const Tensor mixed = stp::attention(tape, qkv(tape, norm1(tape, x)), view.keep, form, view.packing);
  const Tensor after =
      drop.attention ? add_scaled(tape, x, proj(tape, mixed), drop.attention) : proj(tape, mixed, x);
  const Tensor normal = norm2(tape, after);
  return drop.mlp ? add_scaled(tape, after, stp::mlp(tape, normal, mlp), drop.mlp)
                  : stp::mlp(tape, normal, mlp, after);
}

}  // namespace stp

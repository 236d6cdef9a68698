#include "engine/ops.h"

namespace stp {

Tensor layer_norm(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias, float epsilon) {
  check(x.shape().rank() >= 1 && weight.shape() == Shape{x.size(-1)} && bias.shape() == weight.shape(),
        "layer_norm: x is {}, weight {}, bias {}, wanted (..., E), (E), (E)", x.shape(), weight.shape(),
        bias.shape());
  const Backend& backend = x.backend();
  const std::int64_t rows = x.shape().rows();
  const bool recording = records(tape, {x, weight, bias});
  Tensor out(backend, x.shape(), x.type()), mean, rstd;
  if (recording) {
    mean = Tensor(backend, {rows});
    rstd = Tensor(backend, {rows});
  }
  const LayerNormForward forward = {
      .x = x.in(),
      .weight = weight.f32(),
      .bias = bias.f32(),
      .out = out.out(),
      .mean = mean.out().f32(),
      .rstd = rstd.out().f32(),
      .rows = rows,
      .E = static_cast<int>(x.size(-1)),
      .epsilon = epsilon,
  };
  backend.run(&KernelTable::layer_norm_forward, forward);
  if (!recording) return out;

  out.set_again([x, weight, bias, epsilon] { return layer_norm(nullptr, x, weight, bias, epsilon); });
  tape->record({out}, [x, weight, bias, out = out.slot(), mean, rstd] {
    const bool learns = weight.wants_gradient() || bias.wants_gradient();
    const std::int64_t E = x.size(-1);
    const Tensor partial = learns ? Tensor(x.backend(), {LayerNormBackward::kParts, 2, E}) : Tensor();
    const LayerNormBackward backward = {
        .x = x.in(),
        .weight = weight.f32(),
        .mean = mean.f32(),
        .rstd = rstd.f32(),
        .dout = out.gradient(),
        .dx = x.grad(),
        .dweight = weight.grad(),
        .dbias = bias.grad(),
        .partial = partial.out().f32(),
        .rows = x.shape().rows(),
        .E = static_cast<int>(E),
    };
    x.backend().run(&KernelTable::layer_norm_backward, backward);
  });
  return out;
}

}  // namespace stp

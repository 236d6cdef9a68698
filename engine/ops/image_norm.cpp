#include "engine/ops.h"

namespace stp {

namespace {

struct Form {
  bool instance, fixed;
  float epsilon;
};

void check_norm(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(x.shape().rank() == 4 && weight.shape() == Shape{x.size(1)} && bias.shape() == weight.shape(),
        "{}: x is {}, weight {}, bias {}, wanted (B, C, Y, X), (C), (C)", op, x.shape(), weight.shape(),
        bias.shape());
  check(x.elements() > 0 && x.type() == Element::f32, "{}: x is {}, wanted f32 values and at least one", op,
        x.shape());
}

Tensor partial_of(const Tensor& x) { return Tensor(x.backend(), {x.size(0), x.size(1), 2}); }

// What backward reads besides x.
struct Statistics {
  Tensor mean, rstd;
};

void backward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Statistics& s, const Tensor& out,
              const Form& form) {
  const Tensor partial = partial_of(x);
  const ImageNormBackward args = {.x = x.f32(),
                                  .weight = weight.f32(),
                                  .mean = s.mean.f32(),
                                  .rstd = s.rstd.f32(),
                                  .dout = out.gradient().f32(),
                                  .dx = x.grad(),
                                  .dweight = weight.grad(),
                                  .dbias = bias.grad(),
                                  .partial = partial.out().f32(),
                                  .B = x.extent(0),
                                  .C = x.extent(1),
                                  .n = x.extent(2) * x.extent(3),
                                  .instance = form.instance,
                                  .fixed = form.fixed};
  x.backend().run(&KernelTable::image_norm_backward, args);
}

Tensor norm(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
            const RunningStatistics& running, const Form& form) {
  const Backend& backend = x.backend();
  const std::int64_t groups = form.instance ? x.size(0) * x.size(1) : x.size(1);
  const Statistics s = {Tensor(backend, {groups}), Tensor(backend, {groups})};
  const Tensor partial = form.fixed ? Tensor() : partial_of(x);
  Tensor out(backend, x.shape());
  const ImageNormForward args = {.x = x.f32(),
                                 .weight = weight.f32(),
                                 .bias = bias.f32(),
                                 .out = out.out().f32(),
                                 .mean = s.mean.out().f32(),
                                 .rstd = s.rstd.out().f32(),
                                 .partial = partial.out().f32(),
                                 .running_mean = running.mean.out().f32(),
                                 .running_variance = running.variance.out().f32(),
                                 .B = x.extent(0),
                                 .C = x.extent(1),
                                 .n = x.extent(2) * x.extent(3),
                                 .instance = form.instance,
                                 .fixed = form.fixed,
                                 .epsilon = form.epsilon,
                                 .momentum = running.momentum};
  backend.run(&KernelTable::image_norm_forward, args);
  if (!records(tape, {x, weight, bias})) return out;
  tape->record({out},
               [x, weight, bias, s, out = out.slot(), form] { backward(x, weight, bias, s, out, form); });
  return out;
}

}  // namespace

Tensor batch_norm(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const RunningStatistics& running, NormMode mode, float epsilon) {
  check_norm("batch_norm", x, weight, bias);
  check(running.mean.shape() == weight.shape() && running.variance.shape() == weight.shape(),
        "batch_norm: running mean {} and variance {}, wanted (C) of x {}", running.mean.shape(),
        running.variance.shape(), x.shape());
  const bool fixed = mode == NormMode::evaluation;
  check(fixed || x.elements() > x.size(1),
        "batch_norm: x is {}: one value of a channel has no variance to learn by", x.shape());
  return norm(tape, x, weight, bias, running, {false, fixed, epsilon});
}

Tensor instance_norm(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias, float epsilon) {
  check_norm("instance_norm", x, weight, bias);
  return norm(tape, x, weight, bias, {}, {true, false, epsilon});
}

}  // namespace stp

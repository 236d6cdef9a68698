#include "engine/ops.h"

namespace stp {

namespace {

ConvolutionSizes sizes_of(const Tensor& images, const Tensor& weight, const ConvolutionForm& form) {
  const auto size = [](const Tensor& t, int dimension) { return static_cast<int>(t.size(dimension)); };
  return {.B = size(images, 0),
          .I = size(images, 1),
          .Y = size(images, 2),
          .X = size(images, 3),
          .O = size(weight, 0),
          .window = {size(weight, 2), size(weight, 3), form.stride, form.padding}};
}

void check_convolution(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, int inputs,
                       const ConvolutionForm& form) {
  check(x.shape().rank() == 4 && weight.shape().rank() == 4 && x.size(1) == weight.size(inputs),
        "{}: x is {}, weight {}, wanted (B, I, Y, X) and {}", op, x.shape(), weight.shape(),
        inputs == 1 ? "(O, I, rows, columns)" : "(I, O, rows, columns)");
  check(!bias || bias.shape() == Shape{weight.size(1 - inputs)}, "{}: bias is {}, weight {}, wanted (O)", op,
        bias.shape(), weight.shape());
  check(x.type() == Element::f32 && weight.type() == Element::f32, "{}: values are not f32", op);
  check(form.stride > 0 && form.padding >= 0, "{}: stride {}, padding {}", op, form.stride, form.padding);
}

// forward: out += bias on every position of a channel
void bias_gradient(const Tensor& bias, const Tensor& out) {
  const Grad sum = bias.grad();
  if (!sum) return;
  const std::int64_t B = out.size(0), C = out.size(1);
  const Tensor partial(out.backend(), {B, C});
  const SumChannels backward = {.x = out.gradient().f32(),
                                .partial = partial.out().f32(),
                                .sum = sum,
                                .B = static_cast<int>(B),
                                .C = static_cast<int>(C),
                                .n = static_cast<int>(out.size(2) * out.size(3))};
  out.backend().run(&KernelTable::sum_channels, backward);
}

}  // namespace

Tensor convolution(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const ConvolutionForm& form) {
  check_convolution("convolution", x, weight, bias, 1, form);
  const ConvolutionSizes sizes = sizes_of(x, weight, form);
  const int p = 2 * form.padding;
  check(sizes.Y + p >= sizes.window.rows && sizes.X + p >= sizes.window.columns,
        "convolution: a kernel of {} x {} does not fit into {} with padding {}", sizes.window.rows,
        sizes.window.columns, x.shape(), form.padding);
  Tensor out(x.backend(), {sizes.B, sizes.O, sizes.out_Y(), sizes.out_X()});
  const ConvolutionForward forward = {
      .x = x.f32(), .weight = weight.f32(), .bias = bias.f32(), .out = {out.out().data}, .sizes = sizes};
  x.backend().run(&KernelTable::convolution_forward, forward);
  if (!records(tape, {x, weight, bias})) return out;
  tape->record({out}, [x = x.kept_for(weight), weight, bias, out = out.slot(), sizes] {
    const Tensor values = x.whole();
    const ConvolutionBackward backward = {.x = values.f32(),
                                          .weight = weight.f32(),
                                          .dout = out.gradient().f32(),
                                          .dx = x.grad(),
                                          .dweight = weight.grad(),
                                          .sizes = sizes};
    if (backward.dx || backward.dweight) out.backend().run(&KernelTable::convolution_backward, backward);
    bias_gradient(bias, out);
  });
  return out;
}

// The convolution from `out` to x has x for its dout and `out` for its dx.
Tensor transposed_convolution(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
                              const ConvolutionForm& form, int extra) {
  check_convolution("transposed_convolution", x, weight, bias, 0, form);
  check(extra >= 0 && extra < form.stride, "transposed_convolution: {} extra rows, wanted 0 .. stride - 1",
        extra);
  const auto grown = [&](int dimension) {
    return (x.size(dimension) - 1) * form.stride - 2 * form.padding + weight.size(dimension) + extra;
  };
  check(x.size(2) > 0 && x.size(3) > 0 && grown(2) > 0 && grown(3) > 0,
        "transposed_convolution: nothing is left of {} with padding {}", x.shape(), form.padding);
  const Backend& backend = x.backend();
  Tensor out(backend, {x.size(0), weight.size(1), grown(2), grown(3)});
  const ConvolutionSizes sizes = sizes_of(out, weight, form);
  const ConvolutionBackward forward = {
      .x = {}, .weight = weight.f32(), .dout = x.f32(), .dx = {out.out().data}, .dweight = {}, .sizes = sizes};
  backend.run(&KernelTable::convolution_backward, forward);
  if (bias) {
    backend.run(
        &KernelTable::shift_channels,
        {.x = out.out().f32(), .shift = bias.f32(), .B = sizes.B, .C = sizes.I, .n = sizes.Y * sizes.X});
  }
  if (!records(tape, {x, weight, bias})) return out;
  tape->record({out}, [x = x.kept_for(weight), weight, bias, out = out.slot(), sizes] {
    const Backend& device = out.backend();
    const float* const dout = out.gradient().f32();
    if (const Grad dx = x.grad()) {
      device.run(&KernelTable::convolution_forward,
                 {.x = dout, .weight = weight.f32(), .bias = {}, .out = dx, .sizes = sizes});
    }
    if (const Grad dweight = weight.grad()) {
      const Tensor values = x.whole();
      device.run(&KernelTable::convolution_backward,
                 {.x = dout, .weight = {}, .dout = values.f32(), .dx = {}, .dweight = dweight, .sizes = sizes});
    }
    bias_gradient(bias, out);
  });
  return out;
}

}  // namespace stp

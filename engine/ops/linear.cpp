#include "engine/ops.h"

namespace stp {

namespace {

Shape with_last(Shape shape, std::int64_t size) {
  Shape out;
  for (int i = 0; i + 1 < shape.rank(); ++i) out.append(shape[i]);
  out.append(size);
  return out;
}

void check_linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& residual) {
  check(x.shape().rank() >= 1 && weight.shape().rank() == 2 && x.size(-1) == weight.size(1),
        "{}: x is {}, weight {}, wanted (..., I) and (O, I)", op, x.shape(), weight.shape());
  check(!bias || bias.shape() == Shape{weight.size(0)}, "{}: bias is {}, weight {}, wanted (O) and (O, I)", op,
        bias.shape(), weight.shape());
  check(!residual || (residual.size(-1) == weight.size(0) && residual.shape().rows() == x.shape().rows()),
        "{}: residual is {}, wanted {} rows of {}", op, residual.shape(), x.shape().rows(), weight.size(0));
}

// Values as the product's other operand is stored, and the memory of a copy where one had to be made: weights
// whose network computes in bf16 keep their own.
struct Typed {
  Tensor copy;
  In in;
};
Typed typed(const Tensor& x, Element type) {
  if (const In kept = x.in(type); kept || !x) return {{}, kept};
  const Tensor copy = stored_as(nullptr, x, type);
  return {copy, copy.in()};
}

void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual,
             const Tensor& out, Activation activation) {
  const Typed w = typed(weight, x.type()), b = typed(bias, out.type());
  const LinearForward args = {
      .x = x.in(),
      .weight = w.in,
      .bias = b.in,
      .residual = residual.in(),
      .out = out.out(),
      .rows = x.shape().rows(),
      .I = static_cast<int>(weight.size(1)),
      .O = static_cast<int>(weight.size(0)),
      .activation = activation,
      .math = x.backend().math(),
  };
  x.backend().run(&KernelTable::linear_forward, args);
}

// x_values may lack a gradient (mlp's hidden layer); dx goes where the caller says.
void backward(const Tensor& x_values, const Tensor& weight, const Tensor& bias, const In& dout,
              const Grad& dx) {
  const Typed w = dx ? typed(weight, dout.type) : Typed();
  const LinearBackward args = {
      .x = x_values.in(),
      .weight = w.in,
      .dout = dout,
      .dx = dx,
      .dweight = weight.grad(),
      .dbias = bias.grad(),
      .rows = x_values.shape().rows(),
      .I = static_cast<int>(weight.size(1)),
      .O = static_cast<int>(weight.size(0)),
      .math = weight.backend().math(),
  };
  weight.backend().run(&KernelTable::linear_backward, args);
}

// Likewise the gradient of a result, in the type of its operands.
Typed typed_gradient(const Tensor& out, Element type) {
  if (out.type() == type) return {{}, out.gradient()};
  const Tensor copy(out.backend(), out.shape(), type);
  const Grad to = copy.overwritten();
  out.backend().run(&KernelTable::accumulate, {.from = out.gradient(), .to = to, .count = out.elements()});
  return {copy, copy.in()};
}

}  // namespace

Tensor linear(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual,
              Activation activation, bool to_f32) {
  check_linear("linear", x, weight, bias, residual);
  const Element type = to_f32 ? Element::f32 : x.type();
  check(!residual || residual.type() == type, "linear: residual and result are not of one type");
  const bool recording = records(tape, {x, weight, bias, residual});
  if (recording && activation == Activation::gelu) {
    check(!residual, "linear: gelu and residual are not trained together");
    return gelu(tape, linear(tape, x, weight, bias, {}, Activation::none, to_f32));
  }
  Tensor out(x.backend(), with_last(x.shape(), weight.size(0)), type);
  forward(x, weight, bias, residual, out, activation);
  if (!recording) return out;
  tape->record({out}, [x = x.kept_for(weight), weight, bias, residual = residual.slot(), out = out.slot()] {
    const Typed dout = typed_gradient(out, x.type());
    backward(x.whole(), weight, bias, dout.in, x.grad());
    residual.take_gradient(out);
  });
  return out;
}

Tensor mlp(Tape* tape, const Tensor& x, const MlpWeights& w, const Tensor& residual) {
  check_linear("mlp", x, w.fc1_weight, w.fc1_bias, {});
  const Backend& backend = x.backend();
  const Shape hidden_shape = with_last(x.shape(), w.fc1_weight.size(0));
  Tensor out(backend, x.shape(), x.type());
  Tensor hidden(backend, hidden_shape, x.type());
  check_linear("mlp", hidden, w.fc2_weight, w.fc2_bias, residual);

  const bool recording = records(tape, {x, w.fc1_weight, w.fc1_bias, w.fc2_weight, w.fc2_bias, residual});
  Tensor before;  // what enters the GELU
  if (recording) {
    before = Tensor(backend, hidden_shape, x.type());
    forward(x, w.fc1_weight, w.fc1_bias, {}, before, Activation::none);
    backend.run(&KernelTable::gelu_forward,
                {.x = before.in(), .out = hidden.out(), .count = hidden.elements()});
  } else {
    forward(x, w.fc1_weight, w.fc1_bias, {}, hidden, Activation::gelu);
  }
  forward(hidden, w.fc2_weight, w.fc2_bias, residual, out, Activation::none);
  if (!recording) return out;

  tape->record({out}, [x = x.kept_for(w.fc1_weight), w, before, residual = residual.slot(), out = out.slot()] {
    const Backend& device = before.backend();
    // forward: out = hidden W2^T + b2; hidden comes again from `before`, and its gradient is turned in place
    const Tensor gradient(device, before.shape(), before.type());
    Tensor again;
    if (w.fc2_weight.wants_gradient()) again = Tensor(device, before.shape(), before.type());
    const Grad dhidden = gradient.overwritten();
    const Typed fc2 = typed(w.fc2_weight, before.type());
    const LinearBackward through_fc2 = {
        .x = {},
        .weight = fc2.in,
        .dout = out.gradient(),
        .dx = dhidden,
        .dweight = {},
        .dbias = {},
        .rows = before.shape().rows(),
        .I = static_cast<int>(w.fc2_weight.size(1)),
        .O = static_cast<int>(w.fc2_weight.size(0)),
        .math = device.math(),
    };
    device.run(&KernelTable::linear_backward, through_fc2);
    const GeluBackward through_gelu = {
        .x = before.in(), .dout = gradient.in(), .dx = dhidden, .out = again.out(), .count = before.elements()};
    device.run(&KernelTable::gelu_backward, through_gelu);
    if (again || w.fc2_bias.wants_gradient())
      backward(again ? again : before, w.fc2_weight, w.fc2_bias, out.gradient(), {});
    again = {};
    backward(x.whole(), w.fc1_weight, w.fc1_bias, gradient.in(), x.grad());
    residual.take_gradient(out);
  });
  return out;
}

}  // namespace stp

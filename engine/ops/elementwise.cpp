#include "engine/ops.h"

namespace stp {

Tensor stored_as(Tape* tape, const Tensor& x, Element type) {
  if (x.type() == type) return x;
  Tensor out(x.backend(), x.shape(), type);
  const Grad to = out.overwritten();
  x.backend().run(&KernelTable::accumulate, {.from = x.in(), .to = to, .count = x.elements()});
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out = out.slot()] {
    const Accumulate backward = {.from = out.gradient(), .to = x.grad(), .count = out.elements()};
    if (backward.to) out.backend().run(&KernelTable::accumulate, backward);
  });
  return out;
}

Tensor gelu(Tape* tape, const Tensor& x) {
  Tensor out(x.backend(), x.shape(), x.type());
  x.backend().run(&KernelTable::gelu_forward, {.x = x.in(), .out = out.out(), .count = x.elements()});
  if (!records(tape, {x})) return out;
  tape->record({out}, [x, out = out.slot()] {
    const GeluBackward backward = {
        .x = x.in(), .dout = out.gradient(), .dx = x.grad(), .out = {}, .count = x.elements()};
    x.backend().run(&KernelTable::gelu_backward, backward);
  });
  return out;
}

Tensor exponential(Tape* tape, const Tensor& x) {
  Tensor out(x.backend(), x.shape());
  x.backend().run(&KernelTable::exp_forward, {.x = x.f32(), .out = out.out().f32(), .count = x.elements()});
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out] {
    const ExpBackward backward = {
        .out = out.f32(), .dout = out.gradient().f32(), .dx = x.grad(), .count = out.elements()};
    out.backend().run(&KernelTable::exp_backward, backward);
  });
  return out;
}

Tensor add_scaled(Tape* tape, const Tensor& residual, const Tensor& branch, const Tensor& factor) {
  check(residual.shape() == branch.shape() && branch.shape().rank() >= 1 &&
            factor.shape() == Shape{branch.size(0)},
        "add_scaled: residual {}, branch {}, factor {}, wanted (B, ...), (B, ...), (B)", residual.shape(),
        branch.shape(), factor.shape());
  const Backend& backend = branch.backend();
  const std::int64_t B = branch.size(0), n = B > 0 ? branch.elements() / B : 0;
  Tensor out(backend, branch.shape(), branch.type());
  const Grad written = out.overwritten(), added = {out.out().data, out.type(), true};
  backend.run(&KernelTable::accumulate, {.from = residual.in(), .to = written, .count = out.elements()});
  backend.run(&KernelTable::scale_clips,
              {.x = branch.in(), .factor = factor.f32(), .out = added, .B = B, .n = n});
  if (!records(tape, {residual, branch})) return out;
  tape->record({out}, [residual = residual.slot(), branch = branch.slot(), factor, out = out.slot(), B, n] {
    if (const Grad dbranch = branch.grad()) {  // forward: out += factor_b branch_b
      const ScaleClips backward = {.x = out.gradient(), .factor = factor.f32(), .out = dbranch, .B = B, .n = n};
      out.backend().run(&KernelTable::scale_clips, backward);
    }
    residual.take_gradient(out);
  });
  return out;
}

Tensor add_row(Tape* tape, const Tensor& x, const Tensor& row) {
  check(x.shape().rank() >= 1 && x.size(0) * row.elements() == x.elements(),
        "add_row: x is {}, row {}, wanted (B, ...) and as many elements as one clip", x.shape(), row.shape());
  const std::int64_t B = x.size(0), n = row.elements();
  Tensor out(x.backend(), x.shape(), x.type());
  x.backend().run(&KernelTable::add_row_forward,
                  {.x = x.in(), .row = row.f32(), .out = out.out(), .B = B, .n = n});
  if (!records(tape, {x, row})) return out;
  tape->record({out}, [x = x.slot(), row, out = out.slot(), B, n] {
    if (const Grad drow = row.grad()) {
      out.backend().run(&KernelTable::sum_rows, {.x = out.gradient(), .sum = drow, .B = B, .n = n});
    }
    x.take_gradient(out);
  });
  return out;
}

Tensor add(Tape* tape, const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape() && a.type() == b.type(), "add: {} and {}, wanted one shape and type", a.shape(),
        b.shape());
  const Backend& backend = a.backend();
  Tensor out(backend, a.shape(), a.type());
  const Grad written = out.overwritten(), added = {out.out().data, out.type(), true};
  backend.run(&KernelTable::accumulate, {.from = a.in(), .to = written, .count = out.elements()});
  backend.run(&KernelTable::accumulate, {.from = b.in(), .to = added, .count = out.elements()});
  if (!records(tape, {a, b})) return out;
  tape->record({out}, [a = a.slot(), b = b.slot(), out = out.slot()] {
    const Accumulate to_a = {.from = out.gradient(), .to = a.grad(), .count = out.elements()};
    if (to_a.to) out.backend().run(&KernelTable::accumulate, to_a);
    b.take_gradient(out);
  });
  return out;
}

Tensor relu(Tape* tape, const Tensor& x) {
  Tensor out(x.backend(), x.shape());
  x.backend().run(&KernelTable::relu_forward, {.x = x.f32(), .out = out.out().f32(), .count = x.elements()});
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out] {
    const ReluBackward backward = {
        .out = out.f32(), .dout = out.gradient().f32(), .dx = x.grad(), .count = out.elements()};
    out.backend().run(&KernelTable::relu_backward, backward);
  });
  return out;
}

Tensor sigmoid(Tape* tape, const Tensor& x, float slope) {
  Tensor out(x.backend(), x.shape());
  x.backend().run(&KernelTable::sigmoid_forward,
                  {.x = x.f32(), .out = out.out().f32(), .count = x.elements(), .slope = slope});
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out, slope] {
    const SigmoidBackward backward = {.out = out.f32(),
                                      .dout = out.gradient().f32(),
                                      .dx = x.grad(),
                                      .count = out.elements(),
                                      .slope = slope};
    out.backend().run(&KernelTable::sigmoid_backward, backward);
  });
  return out;
}

}  // namespace stp

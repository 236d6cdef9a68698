#include "engine/ops.h"

namespace stp {

namespace {

void check_image(const char* op, const Tensor& x) {
  check(x.shape().rank() == 4 && x.type() == Element::f32, "{}: x is {}, wanted (B, C, Y, X) in f32", op,
        x.shape());
}

// The shape of a pooling's result.
Shape pooled(const char* op, const Tensor& x, const Window& w) {
  check_image(op, x);
  check(w.rows > 0 && w.columns > 0 && w.stride > 0 && w.padding >= 0 && 2 * w.padding <= w.rows &&
            2 * w.padding <= w.columns,
        "{}: a window of {} x {}, stride {}, padding {}", op, w.rows, w.columns, w.stride, w.padding);
  check(x.size(2) + 2 * w.padding >= w.rows && x.size(3) + 2 * w.padding >= w.columns && x.size(2) > 0 &&
            x.size(3) > 0,
        "{}: a window of {} x {} does not fit into {}", op, w.rows, w.columns, x.shape());
  return {x.size(0), x.size(1), w.places_Y(x.extent(2)), w.places_X(x.extent(3))};
}

// Elements of one row of a (rows, channels, ...) tensor.
std::int64_t width_of(const Tensor& x) { return x.size(0) > 0 ? x.elements() / x.size(0) : 0; }

}  // namespace

Tensor max_pool(Tape* tape, const Tensor& x, const Window& window) {
  const Shape shape = pooled("max_pool", x, window);
  Tensor out(x.backend(), shape);
  const bool recording = records(tape, {x});
  Indices position;
  if (recording) position = Indices(x.backend(), shape);
  const MaxPoolForward forward = {.x = x.f32(),
                                  .out = out.out().f32(),
                                  .position = recording ? position.mutable_data() : nullptr,
                                  .B = x.extent(0),
                                  .C = x.extent(1),
                                  .Y = x.extent(2),
                                  .X = x.extent(3),
                                  .window = window};
  x.backend().run(&KernelTable::max_pool_forward, forward);
  if (!recording) return out;
  tape->record({out}, [x = x.slot(), position, out = out.slot(), window] {
    const MaxPoolBackward backward = {.dout = out.gradient().f32(),
                                      .position = position.data(),
                                      .dx = x.grad(),
                                      .B = x.extent(0),
                                      .C = x.extent(1),
                                      .Y = x.extent(2),
                                      .X = x.extent(3),
                                      .window = window};
    out.backend().run(&KernelTable::max_pool_backward, backward);
  });
  return out;
}

Tensor average_pool(Tape* tape, const Tensor& x, const Window& window) {
  Tensor out(x.backend(), pooled("average_pool", x, window));
  const AveragePoolForward forward = {.x = x.f32(),
                                      .out = out.out().f32(),
                                      .B = x.extent(0),
                                      .C = x.extent(1),
                                      .Y = x.extent(2),
                                      .X = x.extent(3),
                                      .window = window};
  x.backend().run(&KernelTable::average_pool_forward, forward);
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out = out.slot(), window] {
    const AveragePoolBackward backward = {.dout = out.gradient().f32(),
                                          .dx = x.grad(),
                                          .B = x.extent(0),
                                          .C = x.extent(1),
                                          .Y = x.extent(2),
                                          .X = x.extent(3),
                                          .window = window};
    out.backend().run(&KernelTable::average_pool_backward, backward);
  });
  return out;
}

Tensor global_average(Tape* tape, const Tensor& x) {
  check_image("global_average", x);
  return average_pool(tape, x, {x.extent(2), x.extent(3)}).reshape({x.size(0), x.size(1)});
}

Tensor upsample(Tape* tape, const Tensor& x, std::int64_t Y, std::int64_t X, bool align_corners) {
  check_image("upsample", x);
  constexpr std::int64_t kLargest = 16384;  // positions are whole numbers up to twice the product of two sizes
  const auto fits = [](std::int64_t side) { return side > 0 && side <= kLargest; };
  check(fits(Y) && fits(X) && fits(x.size(2)) && fits(x.size(3)), "upsample: {} to {} x {}", x.shape(), Y, X);
  const UpsampleAxis rows = {x.extent(2), static_cast<int>(Y), align_corners},
                     columns = {x.extent(3), static_cast<int>(X), align_corners};
  const std::int64_t planes = x.size(0) * x.size(1);
  Tensor out(x.backend(), {x.size(0), x.size(1), Y, X});
  const UpsampleForward forward = {
      .x = x.f32(), .out = out.out().f32(), .planes = planes, .rows = rows, .columns = columns};
  x.backend().run(&KernelTable::upsample_forward, forward);
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out = out.slot(), planes, rows, columns] {
    const UpsampleBackward backward = {
        .dout = out.gradient().f32(), .dx = x.grad(), .planes = planes, .rows = rows, .columns = columns};
    out.backend().run(&KernelTable::upsample_backward, backward);
  });
  return out;
}

Tensor concatenate_channels(Tape* tape, const Tensor& a, const Tensor& b) {
  const Shape &s = a.shape(), &t = b.shape();
  bool fits = s.rank() >= 2 && s.rank() == t.rank() && a.type() == Element::f32 && b.type() == Element::f32;
  for (int i = 0; fits && i < s.rank(); ++i) fits = i == 1 || s[i] == t[i];
  check(fits, "concatenate_channels: {} and {}, wanted (B, C1, ...) and (B, C2, ...) in f32", s, t);
  Shape shape = {s[0], s[1] + t[1]};
  for (int i = 2; i < s.rank(); ++i) shape.append(s[i]);
  Tensor out(a.backend(), shape);
  const std::int64_t rows = s[0], wide = width_of(out), first = width_of(a), second = width_of(b);
  const auto join = [&](const Tensor& from, std::int64_t width, std::int64_t begin) {
    const Grad to = {out.out().f32() + begin};
    out.backend().run(
        &KernelTable::copy_rows,
        {.from = from.f32(), .to = to, .rows = rows, .width = width, .from_pitch = width, .to_pitch = wide});
  };
  join(a, first, 0);
  join(b, second, first);
  if (!records(tape, {a, b})) return out;
  tape->record({out}, [a = a.slot(), b = b.slot(), out = out.slot(), rows, wide, first, second] {
    const auto part = [&](const Tensor& tensor, std::int64_t width, std::int64_t begin) {
      const Grad to = tensor.grad();
      const float* const from = out.gradient().f32() + begin;
      const CopyRows backward = {
          .from = from, .to = to, .rows = rows, .width = width, .from_pitch = wide, .to_pitch = width};
      if (to) out.backend().run(&KernelTable::copy_rows, backward);
    };
    part(a, first, 0);
    part(b, second, first);
  });
  return out;
}

Tensor swap_axes(Tape* tape, const Tensor& x) {
  check(x.shape().rank() >= 3 && x.type() == Element::f32, "swap_axes: x is {}, wanted (A, P, Q, ...) in f32",
        x.shape());
  Shape shape = {x.size(0), x.size(2), x.size(1)};
  int n = 1;
  for (int i = 3; i < x.shape().rank(); ++i) {
    shape.append(x.size(i));
    n *= x.extent(i);
  }
  const int A = x.extent(0), P = x.extent(1), Q = x.extent(2);
  Tensor out(x.backend(), shape);
  x.backend().run(&KernelTable::swap_axes,
                  {.x = x.f32(), .out = {out.out().data}, .A = A, .P = P, .Q = Q, .n = n});
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), out = out.slot(), A, P, Q, n] {
    const SwapAxes backward = {.x = out.gradient().f32(), .out = x.grad(), .A = A, .P = Q, .Q = P, .n = n};
    if (backward.out) out.backend().run(&KernelTable::swap_axes, backward);
  });
  return out;
}

}  // namespace stp

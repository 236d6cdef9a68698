// The linear layer: products by oneDNN (library/matmul.h), the bias gradient by our own column sums.
//
// The library can fuse bias, GELU and residual into a product. In f32 its fused form runs at 80 to 90 % of the
// rate of its plain one where the product is wide, which is more than the fusion saves (bench/JOURNAL.md):
// there the sums start from bias and residual, and a GELU is a pass of its own. It also multiplies by a matrix
// as it lies faster than by one that it has to turn itself, by 5 to 15 % where the product is as deep as wide:
// there many rows are worth a turned copy of the weights.
//
// bf16 on a processor that does not multiply it faster: operands are widened to f32 beside their place, and
// the pass over the sums that adds bias and residual narrows them. The sums are the same, for a product of
// two values in bf16 is exact in f32.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cassert>

#include "kernels/cpu/library/matmul.h"
#include "kernels/cpu/parallel.h"
#include "kernels/linear.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

// Sums of `width` neighbouring columns over all rows, top to bottom.
void sum_columns(const In& x, std::int64_t rows, std::int64_t columns, std::int64_t first, std::int64_t width,
                 const Grad& to) {
  const std::size_t begin = static_cast<std::size_t>(first), pitch = static_cast<std::size_t>(columns);
  for_vectors(static_cast<std::size_t>(width), [&](std::size_t c, std::size_t n) {
    Vector sum = hn::Zero(Floats());
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
      sum = hn::Add(sum, load(x, r * pitch + begin + c, n));
    }
    store(sum, to, begin + c, n);
  });
}

void widen_range(const In& x, std::int64_t begin, std::int64_t end, float* to) {
  const std::size_t first = static_cast<std::size_t>(begin);
  load_row(x, first, static_cast<std::size_t>(end - begin), to + first);
}

void narrow_range(const float* x, std::int64_t begin, std::int64_t end, const Grad& to) {
  const std::size_t first = static_cast<std::size_t>(begin);
  for_vectors(static_cast<std::size_t>(end - begin),
              [&](std::size_t i, std::size_t n) { store(load(x + first + i, n), to, first + i, n); });
}

// Rows `begin` to `end` of (O, I) as columns of (I, O).
void turn_range(const float* weight, std::int64_t O, std::int64_t I, std::int64_t begin, std::int64_t end,
                float* to) {
  const std::size_t depth = static_cast<std::size_t>(I), first = static_cast<std::size_t>(begin);
  transposed(weight + first * depth, depth, static_cast<std::size_t>(end - begin), depth, to + first,
             static_cast<std::size_t>(O));
}

// Row `row` of what the sums start from: bias + residual, either of which may be missing. f32.
void start_row(const LinearForward& a, std::int64_t row) {
  const std::size_t O = static_cast<std::size_t>(a.O), first = static_cast<std::size_t>(row) * O;
  for_vectors(O, [&](std::size_t o, std::size_t n) {
    Vector start = a.bias ? load(a.bias, o, n) : hn::Zero(Floats());
    if (a.residual) start = hn::Add(start, load(a.residual, first + o, n));
    store(start, a.out, first + o, n);
  });
}

// Row `row` of the result from its sums, which may lie in its place: activation(sum + bias) + residual.
void finish_row(const LinearForward& a, const float* sums, std::int64_t row) {
  const std::size_t O = static_cast<std::size_t>(a.O), first = static_cast<std::size_t>(row) * O;
  for_vectors(O, [&](std::size_t o, std::size_t n) {
    Vector x = load(sums + first + o, n);
    if (a.bias) x = hn::Add(x, load(a.bias, o, n));
    if (a.activation == Activation::gelu) x = gelu(x, normal_distribution(x));
    if (a.residual) x = hn::Add(x, load(a.residual, first + o, n));
    store(x, a.out, first + o, n);
  });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(sum_columns);
HWY_EXPORT(widen_range);
HWY_EXPORT(narrow_range);
HWY_EXPORT(turn_range);
HWY_EXPORT(start_row);
HWY_EXPORT(finish_row);

namespace {

constexpr std::int64_t kRows = 16;  // a thread takes at a time

template <class Body>
void for_rows(std::int64_t rows, const Body& body) {
  parallel_ranges(rows, kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row);
  });
}

bool is_wide(const LinearForward& a) {
  constexpr int kWide = 256;
  return a.x.type == Element::f32 && a.I >= kWide && a.O >= kWide;
}

// Whether products of a type are done in f32 on widened copies.
bool widens(Element type) { return type == Element::bf16 && !fast_bf16(); }

// What `count` values in f32 take as an area of scratch of its own: whole cache lines.
std::size_t area(bool wanted, std::int64_t count) {
  return wanted ? (static_cast<std::size_t>(count) + 15) / 16 * 16 : 0;
}

constexpr std::int64_t kValues = 4096;  // a thread widens or narrows at a time

In in_f32(const In& x, std::int64_t count, Areas& scratch) {
  if (x.type == Element::f32) return x;
  float* const to = scratch.take(area(true, count));
  parallel_ranges(count, kValues, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(widen_range)(x, begin, end, to);
  });
  return {to};
}

// (O, I) in f32 as (I, O).
In turned(const In& weight, std::int64_t O, std::int64_t I, Areas& scratch) {
  float* const to = scratch.take(area(true, O * I));
  parallel_ranges(O, kRows, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(turn_range)(weight.f32(), O, I, begin, end, to);
  });
  return {to};
}

void multiply_or_widen(Product p) {
  if (!widens(p.a.type)) return multiply(p);
  const Grad to{p.c.data, p.c.type, p.add};
  const std::int64_t a = p.rows * p.depth, b = p.depth * p.columns, c = p.rows * p.columns;
  const bool narrow = to.type != Element::f32;
  Areas scratch(thread_scratch(area(true, a) + area(true, b) + area(narrow, c)));
  p.a = in_f32(p.a, a, scratch);
  p.b = in_f32(p.b, b, scratch);
  if (!narrow) return multiply(p);
  p.c = {scratch.take(area(true, c))};
  p.add = false;
  multiply(p);
  parallel_ranges(c, kValues, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(narrow_range)(p.c.f32(), begin, end, to);
  });
}

void forward_in_passes(const LinearForward& a) {
  constexpr std::int64_t kMany = 256;  // rows
  const std::int64_t x = a.rows * a.I, weights = std::int64_t{a.O} * a.I, sums = a.rows * a.O;
  const bool gelu = a.activation == Activation::gelu, widen = a.x.type != Element::f32;
  const bool turn = a.I > a.O && a.rows >= kMany;
  const bool in_place = a.out.type == Element::f32 && !(gelu && a.residual);  // which may be `out`
  const bool finish = gelu || !in_place, start = !finish && (a.bias || a.residual);
  Areas scratch(
      thread_scratch(area(widen, x) + area(widen, weights) + area(turn, weights) + area(!in_place, sums)));
  const In weight = in_f32(a.weight, weights, scratch);
  const Product product{.a = in_f32(a.x, x, scratch),
                        .b = turn ? turned(weight, a.O, a.I, scratch) : weight,
                        .c = in_place ? a.out : Out{scratch.take(area(true, sums))},
                        .rows = a.rows,
                        .columns = a.O,
                        .depth = a.I,
                        .b_transposed = !turn,
                        .add = start};
  if (start) for_rows(a.rows, [&](std::int64_t row) { HWY_DYNAMIC_DISPATCH(start_row)(a, row); });
  multiply(product);
  if (!finish) return;
  for_rows(a.rows, [&](std::int64_t row) { HWY_DYNAMIC_DISPATCH(finish_row)(a, product.c.f32(), row); });
}

}  // namespace

void linear_forward(const LinearForward& a) {
  assert(a.weight.type == a.x.type);
  if (is_wide(a) || widens(a.x.type)) return forward_in_passes(a);
  multiply(FusedProduct{.a = a.x,
                        .b = a.weight,
                        .bias = a.bias,
                        .residual = a.residual,
                        .c = a.out,
                        .rows = a.rows,
                        .columns = a.O,
                        .depth = a.I,
                        .gelu = a.activation == Activation::gelu});
}

void linear_backward(const LinearBackward& a) {
  if (a.dx) {  // forward: out = x W^T
    assert(a.weight.type == a.dout.type && a.dx.type == a.dout.type);
    multiply_or_widen(Product{.a = a.dout,
                              .b = a.weight,
                              .c = {a.dx.data, a.dx.type},
                              .rows = a.rows,
                              .columns = a.I,
                              .depth = a.O,
                              .add = a.dx.add});
  }
  if (a.dweight) {
    assert(a.x.type == a.dout.type && a.dweight.type == Element::f32);
    multiply_or_widen(Product{.a = a.dout,
                              .b = a.x,
                              .c = {a.dweight.data, a.dweight.type},
                              .rows = a.O,
                              .columns = a.I,
                              .depth = a.rows,
                              .a_transposed = true,
                              .add = a.dweight.add});
  }
  if (a.dbias) {  // forward: out = ... + bias on every row
    constexpr std::int64_t kColumns = 64;
    parallel_ranges(a.O, kColumns, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(sum_columns)(a.dout, a.rows, a.O, begin, end - begin, a.dbias);
    });
  }
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

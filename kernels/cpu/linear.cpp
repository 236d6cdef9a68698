// The linear layer: products by oneDNN (library/matmul.h), the bias gradient by our own column sums.
//
// The library can fuse bias, GELU and residual into a product. In f32 its fused form runs at 80 to 90 % of the
// rate of its plain one where the product is wide, which is more than the fusion saves (bench/JOURNAL.md):
// there the sums start from bias and residual, and a GELU is a pass of its own.
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

// Row `row` of what the sums start from: bias + residual, either of which may be missing. f32.
void start_row(const LinearForward& a, std::int64_t row) {
  const std::size_t O = static_cast<std::size_t>(a.O), first = static_cast<std::size_t>(row) * O;
  for_vectors(O, [&](std::size_t o, std::size_t n) {
    Vector start = a.bias ? load(a.bias, o, n) : hn::Zero(Floats());
    if (a.residual) start = hn::Add(start, load(a.residual, first + o, n));
    store(start, a.out, first + o, n);
  });
}

// Sums of row `row` to GELU(sum + bias), in place. f32.
void finish_row(const LinearForward& a, std::int64_t row) {
  const std::size_t O = static_cast<std::size_t>(a.O), first = static_cast<std::size_t>(row) * O;
  float* const sums = a.out.f32() + first;
  for_vectors(O, [&](std::size_t o, std::size_t n) {
    Vector x = load(sums + o, n);
    if (a.bias) x = hn::Add(x, load(a.bias, o, n));
    store(gelu(x, normal_distribution(x)), sums + o, n);
  });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(sum_columns);
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

void forward_in_passes(const LinearForward& a) {
  const bool gelu = a.activation == Activation::gelu;
  const bool start = !gelu && (a.bias || a.residual);
  if (start) for_rows(a.rows, [&](std::int64_t row) { HWY_DYNAMIC_DISPATCH(start_row)(a, row); });
  multiply(Product{.a = a.x,
                   .b = a.weight,
                   .c = a.out,
                   .rows = a.rows,
                   .columns = a.O,
                   .depth = a.I,
                   .b_transposed = true,
                   .add = start});
  if (gelu) for_rows(a.rows, [&](std::int64_t row) { HWY_DYNAMIC_DISPATCH(finish_row)(a, row); });
}

}  // namespace

void linear_forward(const LinearForward& a) {
  assert(a.weight.type == a.x.type);
  const bool gelu_and_residual = a.activation == Activation::gelu && a.residual;
  if (is_wide(a) && !gelu_and_residual) return forward_in_passes(a);
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
    multiply(Product{.a = a.dout,
                     .b = a.weight,
                     .c = {a.dx.data, a.dx.type},
                     .rows = a.rows,
                     .columns = a.I,
                     .depth = a.O,
                     .add = a.dx.add});
  }
  if (a.dweight) {
    assert(a.x.type == a.dout.type && a.dweight.type == Element::f32);
    multiply(Product{.a = a.dout,
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

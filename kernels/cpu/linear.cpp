// The linear layer: products by oneDNN (library/matmul.h), the bias gradient by our own column sums.
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

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(sum_columns);

void linear_forward(const LinearForward& a) {
  assert(a.weight.type == a.x.type);
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

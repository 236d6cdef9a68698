// The linear layer: products by oneDNN (library/matmul.h), the bias gradient by our own column sums.
//
// The library can fuse bias, GELU and residual into a product. In f32 its fused form runs at 80 to 90 % of the
// rate of its plain one where the product is wide, which is more than the fusion saves (bench/JOURNAL.md):
// there the sums start from bias and residual, and a GELU is a pass of its own. It also multiplies by a matrix
// as it lies faster than by one that it has to turn itself, by a tenth where the product is deeper than wide:
// there many rows are worth a turned copy of the weights.
//
// bf16 on a processor that does not multiply it faster: operands are widened to f32, a block of rows at a time,
// and the pass over the sums that adds bias and residual narrows them. Nothing is lost by it: a product of two
// values in bf16 is exact in f32.
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
#include "kernels/table.h"

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

// Row `row` of the result from its sums: activation(sum + bias) + residual. `sums` may be the result itself.
void finish_row(const LinearForward& a, const float* sums, std::int64_t row) {
  const std::size_t O = static_cast<std::size_t>(a.O), first = static_cast<std::size_t>(row) * O;
  for_vectors(O, [&](std::size_t o, std::size_t n) {
    Vector x = load(sums + o, n);
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

// (O, I) in f32 as (I, O), in scratch.
const float* turned(const float* weight, std::int64_t O, std::int64_t I) {
  float* const to = thread_scratch(static_cast<std::size_t>(O * I));
  parallel_ranges(O, kRows, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(turn_range)(weight, O, I, begin, end, to);
  });
  return to;
}

void forward_in_passes(const LinearForward& a) {
  constexpr std::int64_t kMany = 256;  // rows
  const bool turn = a.I > a.O && a.rows >= kMany, gelu = a.activation == Activation::gelu;
  const bool start = !gelu && (a.bias || a.residual);
  if (start) for_rows(a.rows, [&](std::int64_t row) { HWY_DYNAMIC_DISPATCH(start_row)(a, row); });
  multiply(Product{.a = a.x,
                   .b = turn ? In{turned(a.weight.f32(), a.O, a.I)} : a.weight,
                   .c = a.out,
                   .rows = a.rows,
                   .columns = a.O,
                   .depth = a.I,
                   .b_transposed = !turn,
                   .add = start});
  if (!gelu) return;
  for_rows(a.rows, [&](std::int64_t row) {
    HWY_DYNAMIC_DISPATCH(finish_row)(a, a.out.f32() + row * a.O, row);
  });
}

// forward: out = x W^T
void dx_plain(const LinearBackward& a) {
  multiply(Product{.a = a.dout,
                   .b = a.weight,
                   .c = {a.dx.data, a.dx.type},
                   .rows = a.rows,
                   .columns = a.I,
                   .depth = a.O,
                   .add = a.dx.add});
}
void dweight_plain(const LinearBackward& a) {
  multiply(Product{.a = a.dout,
                   .b = a.x,
                   .c = {a.dweight.data, a.dweight.type},
                   .rows = a.O,
                   .columns = a.I,
                   .depth = a.rows,
                   .a_transposed = true,
                   .add = a.dweight.add});
}

// ---- bf16 in f32

bool widens(Element type) { return type == Element::bf16 && !fast_bf16(); }

constexpr std::int64_t kBlock = 512;  // rows with copies in scratch at a time

// Calls body(first, rows) for blocks of about equal size; once where there are no rows.
template <class Body>
void for_blocks(std::int64_t rows, const Body& body) {
  const std::int64_t blocks = std::max<std::int64_t>(1, (rows + kBlock - 1) / kBlock);
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t first = rows * b / blocks;
    body(first, rows * (b + 1) / blocks - first);
  }
}

// `count` values in bf16 from `first` on, into f32; and back.
void widen(const In& x, std::int64_t first, std::int64_t count, float* to) {
  assert(x.type == Element::bf16);
  accumulate({.from = {static_cast<const std::uint16_t*>(x.data) + first, x.type}, .to = {to}, .count = count});
}
void narrow(const float* from, std::int64_t count, const Grad& to, std::int64_t first) {
  assert(to.type == Element::bf16);
  std::uint16_t* const halves = static_cast<std::uint16_t*>(to.data) + first;
  accumulate({.from = {from}, .to = {halves, to.type, to.add}, .count = count});
}

// Scratch of a widened layer: its weights and, for a block of rows, what is I wide and what is O wide. Each
// begins on a cache line.
struct Widened {
  float *weight, *in, *out;

  Widened(std::int64_t rows, std::int64_t I, std::int64_t O) {
    const std::int64_t block = std::min(rows, kBlock);
    Areas areas(thread_scratch(lines(O * I) + lines(block * I) + lines(block * O)));
    weight = areas.take(lines(O * I));
    in = areas.take(lines(block * I));
    out = areas.take(lines(block * O));
  }
  static std::size_t lines(std::int64_t floats) { return (static_cast<std::size_t>(floats) + 15) / 16 * 16; }
};

void forward_widened(const LinearForward& a) {
  const Widened copy(a.rows, a.I, a.O);
  widen(a.weight, 0, std::int64_t{a.O} * a.I, copy.weight);
  for_blocks(a.rows, [&](std::int64_t first, std::int64_t rows) {
    widen(a.x, first * a.I, rows * a.I, copy.in);
    multiply(Product{.a = {copy.in},
                     .b = {copy.weight},
                     .c = {copy.out},
                     .rows = rows,
                     .columns = a.O,
                     .depth = a.I,
                     .b_transposed = true});
    for_rows(rows, [&](std::int64_t row) {
      HWY_DYNAMIC_DISPATCH(finish_row)(a, copy.out + row * a.O, first + row);
    });
  });
}

void dx_widened(const LinearBackward& a) {
  const Widened copy(a.rows, a.I, a.O);
  widen(a.weight, 0, std::int64_t{a.O} * a.I, copy.weight);
  for_blocks(a.rows, [&](std::int64_t first, std::int64_t rows) {
    widen(a.dout, first * a.O, rows * a.O, copy.out);
    multiply(Product{
        .a = {copy.out}, .b = {copy.weight}, .c = {copy.in}, .rows = rows, .columns = a.I, .depth = a.O});
    narrow(copy.in, rows * a.I, a.dx, first * a.I);
  });
}

void dweight_widened(const LinearBackward& a) {
  const Widened copy(a.rows, a.I, a.O);
  for_blocks(a.rows, [&](std::int64_t first, std::int64_t rows) {
    widen(a.dout, first * a.O, rows * a.O, copy.out);
    widen(a.x, first * a.I, rows * a.I, copy.in);
    multiply(Product{.a = {copy.out},
                     .b = {copy.in},
                     .c = {a.dweight.data},
                     .rows = a.O,
                     .columns = a.I,
                     .depth = rows,
                     .a_transposed = true,
                     .add = a.dweight.add || first > 0});
  });
}

}  // namespace

void linear_forward(const LinearForward& a) {
  assert(a.weight.type == a.x.type);
  if (widens(a.x.type)) return forward_widened(a);
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
  const bool widened = widens(a.dout.type);
  if (a.dx) {
    assert(a.weight.type == a.dout.type && a.dx.type == a.dout.type);
    widened ? dx_widened(a) : dx_plain(a);
  }
  if (a.dweight) {
    assert(a.x.type == a.dout.type && a.dweight.type == Element::f32);
    widened ? dweight_widened(a) : dweight_plain(a);
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

// Vocabulary of the SIMD kernels: rows of activations in f32 or bf16, exp and the exact GELU,
// and a register-tiled product for operands that lie in cache. Included once per instruction set by Highway's
// foreach_target; everything here is in that set's namespace.
#if defined(STP_KERNELS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STP_KERNELS_CPU_SIMD_INL_H_
#undef STP_KERNELS_CPU_SIMD_INL_H_
#else
#define STP_KERNELS_CPU_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/element.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

// Register tile of the product below: kTileRows x kTileVectors accumulators and one row of B must fit the
// registers (32 with AVX-512, 16 before).
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;

HWY_INLINE std::size_t lanes() { return hn::Lanes(Floats()); }
HWY_INLINE std::size_t round_up(std::size_t n, std::size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// ---- rows of activations
//
// A row is walked in whole vectors and a rest. `count` tells how many lanes are meant: lanes() in the body of
// the walk, where the test folds away, and fewer for the rest, whose lanes travel through a buffer.

// Calls body(i, count) for i = 0, lanes(), ... < n.
template <class Body>
HWY_INLINE void for_vectors(std::size_t n, const Body& body) {
  const std::size_t step = lanes();
  std::size_t i = 0;
  for (; i + step <= n; i += step) body(i, step);
  if (i < n) body(i, n - i);
}

HWY_INLINE Vector widen(const std::uint16_t* halves) {
  const Floats d;
  const hn::Rebind<std::uint16_t, Floats> d16;
  const hn::RebindToUnsigned<Floats> d32;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, halves))));
}

using Words = hn::RebindToUnsigned<Floats>;

// f32 -> bf16 in the upper half of a word, by rounding to nearest even; NaN stays NaN. The lower half is left
// over.
HWY_INLINE hn::Vec<Words> rounded(Vector v) {
  const Words d32;
  const auto bits = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
  const auto near = hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7FFF)));
  const auto quiet = hn::Or(bits, hn::Set(d32, 0x00400000));
  return hn::IfThenElse(hn::RebindMask(d32, hn::IsNaN(v)), quiet, near);
}

HWY_INLINE void narrow(Vector v, std::uint16_t* halves) {
  const hn::Rebind<std::uint16_t, Floats> d16;
  hn::StoreU(hn::TruncateTo(d16, hn::ShiftRight<16>(rounded(v))), d16, halves);
}

// Two as bf16 in one word, `low` in its lower half.
HWY_INLINE hn::Vec<Words> paired(Vector low, Vector high) {
  return hn::Or(hn::ShiftRight<16>(rounded(low)), hn::And(rounded(high), hn::Set(Words(), 0xFFFF0000)));
}

HWY_INLINE Vector load(const float* from, std::size_t count) {
  const Floats d;
  if (count == lanes()) return hn::LoadU(d, from);
  if (count > lanes()) __builtin_unreachable();
  alignas(64) float buffer[hn::MaxLanes(Floats())] = {};
  for (std::size_t i = 0; i < count; ++i) buffer[i] = from[i];
  return hn::Load(d, buffer);
}

HWY_INLINE void store(Vector v, float* to, std::size_t count) {
  const Floats d;
  if (count == lanes()) return hn::StoreU(v, d, to);
  if (count > lanes()) __builtin_unreachable();
  alignas(64) float buffer[hn::MaxLanes(Floats())];
  hn::Store(v, d, buffer);
  for (std::size_t i = 0; i < count; ++i) to[i] = buffer[i];
}

// Values from element `index` on; lanes beyond `count` are zero.
HWY_INLINE Vector load(const In& from, std::size_t index, std::size_t count) {
  if (from.type == Element::f32) return load(static_cast<const float*>(from.data) + index, count);
  const auto* halves = static_cast<const std::uint16_t*>(from.data) + index;
  if (count == lanes()) return widen(halves);
  if (count > lanes()) __builtin_unreachable();
  alignas(64) std::uint16_t buffer[hn::MaxLanes(Floats())] = {};
  for (std::size_t i = 0; i < count; ++i) buffer[i] = halves[i];
  return widen(buffer);
}

HWY_INLINE void store(Vector v, const Out& to, std::size_t index, std::size_t count) {
  if (to.type == Element::f32) return store(v, static_cast<float*>(to.data) + index, count);
  auto* halves = static_cast<std::uint16_t*>(to.data) + index;
  if (count == lanes()) return narrow(v, halves);
  if (count > lanes()) __builtin_unreachable();
  alignas(64) std::uint16_t buffer[hn::MaxLanes(Floats())];
  narrow(v, buffer);
  for (std::size_t i = 0; i < count; ++i) halves[i] = buffer[i];
}

// A contribution to a gradient: written, or added to what is there.
HWY_INLINE void store(Vector v, const Grad& to, std::size_t index, std::size_t count) {
  if (to.add) v = hn::Add(load(In{to.data, to.type}, index, count), v);
  store(v, Out{to.data, to.type}, index, count);
}

// `count` values from element `index` into f32.
HWY_INLINE void load_row(const In& from, std::size_t index, std::size_t count, float* HWY_RESTRICT to) {
  for_vectors(count, [&](std::size_t i, std::size_t n) { store(load(from, index + i, n), to + i, n); });
}

// to(c, r) = from(r, c), by bands of rows that stay in L1 while their columns are walked.
inline void transposed(const float* HWY_RESTRICT from, std::size_t from_pitch, std::size_t rows,
                       std::size_t columns, float* HWY_RESTRICT to, std::size_t to_pitch) {
  constexpr std::size_t kBand = 16;
  for (std::size_t begin = 0; begin < rows; begin += kBand) {
    const std::size_t end = begin + kBand < rows ? begin + kBand : rows;
    for (std::size_t c = 0; c < columns; ++c) {
      for (std::size_t r = begin; r < end; ++r) to[c * to_pitch + r] = from[r * from_pitch + c];
    }
  }
}

// Zero in the lanes from `count` on, whatever was computed there.
HWY_INLINE Vector first_lanes(Vector v, std::size_t count) {
  const Floats d;
  return count == lanes() ? v : hn::IfThenElseZero(hn::FirstN(d, count), v);
}

// The sum over i < n of term(i, count); lanes of the rest that do not count must be zero.
template <class Term>
HWY_INLINE float sum_vectors(std::size_t n, const Term& term) {
  const Floats d;
  Vector sum = hn::Zero(d);
  for_vectors(n, [&](std::size_t i, std::size_t count) { sum = hn::Add(sum, term(i, count)); });
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// ---- functions

// `x`, but at least `low`; NaN stays NaN, which hn::Max does not promise.
HWY_INLINE Vector at_least(Vector x, float low) {
  const Vector bound = hn::Set(Floats(), low);
  return hn::IfThenElse(hn::Lt(x, bound), bound, x);
}

// e^x for x < 88 within 1.1 units in the last place. Below -80 e^-80 stands for zero, so that products with it
// are normal numbers still: others make a processor a hundred times slower. NaN stays NaN: a network that
// diverged must not look like one that did not. e^x = 2^n e^r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 P(r), P
// minimax of degree 4 (relative error 3.1e-9). Adding 1.5 2^23 rounds to a whole number, which then stands in
// the last bits; with the exponent's bias added too, a shift makes 2^n of it.
HWY_INLINE Vector exp(Vector x) {
  const Floats d;
  const Words bits;
  const Vector whole = hn::Set(d, 12582912.0f + 127.0f);
  x = at_least(x, -80.0f);
  const Vector biased = hn::MulAdd(x, hn::Set(d, 1.44269504f), whole);
  const Vector power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(bits, biased)));
  const Vector n = hn::Sub(biased, whole);
  Vector r = hn::NegMulAdd(n, hn::Set(d, 0.693145752f), x);  // ln 2 in two parts: n times the first is exact
  r = hn::NegMulAdd(n, hn::Set(d, 1.42860677e-6f), r);
  Vector p = hn::MulAdd(r, hn::Set(d, 0.001381459955f), hn::Set(d, 0.008368716875f));
  p = hn::MulAdd(r, p, hn::Set(d, 0.04166838803f));
  p = hn::MulAdd(r, p, hn::Set(d, 0.1666652063f));
  p = hn::MulAdd(r, p, hn::Set(d, 0.4999999345f));
  return hn::MulAdd(hn::MulAdd(hn::Mul(r, r), p, r), power, power);
}

// 1 / x of finite x within a few units in the last place. x86 has an approximation of 12 bits or more that a
// step of Newton's doubles, faster than whole vectors are divided.
HWY_INLINE Vector reciprocal(Vector x) {
  const Vector one = hn::Set(Floats(), 1.0f);
#if HWY_ARCH_X86
  const Vector t = hn::ApproximateReciprocal(x);
  return hn::MulAdd(t, hn::NegMulAdd(x, t, one), t);
#else
  return hn::Div(one, x);
#endif
}

// What the exact GELU, x Phi(x), and its slope are made of: |x|, Phi(-|x|) and phi(x) of the normal
// distribution. A size beyond 64 counts as 64: with e^-80 in place of zero the other two are nothing there, and
// stay normal numbers. With z = |x| / sqrt 2: Phi(-|x|) = e^(-z^2) erfcx(z) / 2, erfcx(z) = 2 t Q(t), t = 1 /
// (1 + 0.3 z), Q minimax of degree 8 on z in [0, 10] (relative error 2e-8), so the left tail keeps its relative
// accuracy.
struct Normal {
  Vector size, tail, density;
};
HWY_INLINE Normal normal_distribution(Vector x) {
  const Floats d;
  const Vector size = hn::Min(hn::Abs(x), hn::Set(d, 64.0f));
  const Vector e = exp(hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5f)));
  const Vector t = reciprocal(hn::MulAdd(size, hn::Set(d, 0.2121320343f), hn::Set(d, 1.0f)));
  Vector q = hn::MulAdd(t, hn::Set(d, -0.0647613761f), hn::Set(d, 0.2427812350f));
  q = hn::MulAdd(t, q, hn::Set(d, -0.2561382842f));
  q = hn::MulAdd(t, q, hn::Set(d, 0.2738591492f));
  q = hn::MulAdd(t, q, hn::Set(d, -0.04732476829f));
  q = hn::MulAdd(t, q, hn::Set(d, 0.1074627775f));
  q = hn::MulAdd(t, q, hn::Set(d, 0.07416964905f));
  q = hn::MulAdd(t, q, hn::Set(d, 0.0853576047f));
  q = hn::MulAdd(t, q, hn::Set(d, 0.08459400315f));
  return {size, hn::Mul(hn::Mul(q, t), e), hn::Mul(e, hn::Set(d, 0.398942280f))};
}

// x Phi(x) = max(x, 0) - |x| Phi(-|x|). NaN comes through the tail.
HWY_INLINE Vector gelu(Vector x, const Normal& normal) {
  return hn::NegMulAdd(normal.size, normal.tail, hn::Max(x, hn::Zero(Floats())));
}
// Phi(x) + x phi(x), which for x and -x makes one together.
HWY_INLINE Vector gelu_slope(Vector x, const Normal& normal) {
  const Floats d;
  const Vector left = hn::NegMulAdd(normal.size, normal.density, normal.tail);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), left, hn::Sub(hn::Set(d, 1.0f), left));
}

// ---- product of cached operands

// A(r, k) = a[r row + k step]: both orders of a matrix are one type.
struct Strided {
  const float* a;
  std::size_t row, step;
};

template <std::size_t kRows, std::size_t kVectors>
HWY_INLINE void product_tile(Strided A, const float* HWY_RESTRICT b, std::size_t b_row, float* HWY_RESTRICT c,
                             std::size_t c_row, std::size_t depth, bool add) {
  const Floats d;
  const std::size_t step = lanes();
  Vector sum[kRows][kVectors];
#pragma GCC unroll 12
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (std::size_t v = 0; v < kVectors; ++v) {
      sum[r][v] = add ? hn::LoadU(d, c + r * c_row + v * step) : hn::Zero(d);
    }
  }
  for (std::size_t k = 0; k < depth; ++k) {
    Vector row[kVectors];
#pragma GCC unroll 12
    for (std::size_t v = 0; v < kVectors; ++v) row[v] = hn::LoadU(d, b + k * b_row + v * step);
#pragma GCC unroll 12
    for (std::size_t r = 0; r < kRows; ++r) {
      const Vector scalar = hn::Set(d, A.a[r * A.row + k * A.step]);
#pragma GCC unroll 12
      for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(scalar, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 12
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 12
    for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, c + r * c_row + v * step);
  }
}

template <std::size_t kRows, std::size_t kVectors>
HWY_INLINE void product_rows(Strided A, const float* b, std::size_t b_row, float* c, std::size_t c_row,
                             std::size_t rows, std::size_t depth, bool add) {
  std::size_t r = 0;
  const auto at = [&](std::size_t row) { return Strided{A.a + row * A.row, A.row, A.step}; };
  for (; r + kRows <= rows; r += kRows) {
    product_tile<kRows, kVectors>(at(r), b, b_row, c + r * c_row, c_row, depth, add);
  }
  for (; r + 2 <= rows; r += 2) product_tile<2, kVectors>(at(r), b, b_row, c + r * c_row, c_row, depth, add);
  if (r < rows) product_tile<1, kVectors>(at(r), b, b_row, c + r * c_row, c_row, depth, add);
}

// C = A B, or C += A B: (rows, columns) from (rows, depth) and (depth, columns). B and C are row-major with the
// given pitch; `columns` is a multiple of the vector length. Each element is one chain of multiply-adds over k
// in order, so its bits do not depend on where it lies in a tile.
HWY_INLINE void product(Strided A, const float* b, std::size_t b_row, float* c, std::size_t c_row,
                        std::size_t rows, std::size_t columns, std::size_t depth, bool add) {
  const std::size_t step = lanes(), wide = kTileVectors * step;
  std::size_t x = 0;
  for (; x + wide <= columns; x += wide)
    product_rows<kTileRows, kTileVectors>(A, b + x, b_row, c + x, c_row, rows, depth, add);
  if constexpr (kTileVectors == 4) {
    if (x + 2 * step <= columns) {
      product_rows<kTileRows, 2>(A, b + x, b_row, c + x, c_row, rows, depth, add);
      x += 2 * step;
    }
  }
  // One vector of columns: only many rows keep the multipliers busy.
  if (x < columns) product_rows<2 * kTileRows, 1>(A, b + x, b_row, c + x, c_row, rows, depth, add);
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // STP_KERNELS_CPU_SIMD_INL_H_

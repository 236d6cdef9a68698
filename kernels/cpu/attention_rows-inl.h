// Where the work of attention is on single rows: what its two passes share. Included once per instruction set,
// as simd-inl.h is.
#if defined(STP_KERNELS_CPU_ATTENTION_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STP_KERNELS_CPU_ATTENTION_ROWS_INL_H_
#undef STP_KERNELS_CPU_ATTENTION_ROWS_INL_H_
#else
#define STP_KERNELS_CPU_ATTENTION_ROWS_INL_H_
#endif

#include "kernels/cpu/attention_products-inl.h"
// It comes first: it is read again for every instruction set.
#include <algorithm>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

inline void scale_rows(float* x, std::size_t count, float factor) {
  const Floats d;
  for (std::size_t i = 0; i < count; i += lanes())
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
}

// The keep values of the keys in their order; padding keys are not there.
inline void copy_keep(const float* keep, const Head& head, const KeyOrder& order, const Pitch& pitch,
                      float* to) {
  for (std::size_t j = 0; j < head.tokens; ++j) to[j] = keep ? keep[head.first + order.token_at(j)] : 1.0f;
  std::fill(to + head.tokens, to + pitch.keys, 0.0f);
}

// mean_j v_j
inline void mean_row(const float* v, const Head& head, const Pitch& pitch, float* mean) {
  const Floats d;
  for (std::size_t x = 0; x < pitch.width; x += lanes()) {
    Vector sum = hn::Zero(d);
    for (std::size_t j = 0; j < head.tokens; ++j) sum = hn::Add(sum, hn::LoadU(d, v + j * pitch.width + x));
    hn::StoreU(hn::Mul(sum, hn::Set(d, 1.0f / static_cast<float>(head.tokens))), d, mean + x);
  }
}

inline float dot(const float* a, const float* b, std::size_t count) {
  const Floats d;
  Vector sum = hn::Zero(d);
  for (std::size_t i = 0; i < count; i += lanes())
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// Padding gets scores that never win and weigh nothing.
inline void hide_padding(float* scores, std::size_t tokens, std::size_t keys) {
  std::fill(scores + tokens, scores + keys, std::numeric_limits<float>::lowest());
}

// max_j s_j
inline float row_maximum(const float* scores, std::size_t keys) {
  const Floats d;
  const Vector lowest = hn::Set(d, std::numeric_limits<float>::lowest());
  Vector even = lowest, odd = lowest;  // two chains: one waits for each maximum
  std::size_t j = 0;
  for (; j + 2 * lanes() <= keys; j += 2 * lanes()) {
    even = hn::Max(even, hn::LoadU(d, scores + j));
    odd = hn::Max(odd, hn::LoadU(d, scores + j + lanes()));
  }
  if (j < keys) even = hn::Max(even, hn::LoadU(d, scores + j));
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(even, odd)));
}

// The first key whose score is the maximum; 0 if there is none (NaN).
inline std::size_t first_key_at(const float* scores, float maximum, std::size_t keys) {
  const Floats d;
  for (std::size_t j = 0; j < keys; j += lanes()) {
    const std::intptr_t lane = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, scores + j), hn::Set(d, maximum)));
    if (lane >= 0) return j + static_cast<std::size_t>(lane);
  }
  return 0;
}

// to += factor from, over a row of whole vectors
inline void add_row_times(const float* from, float factor, float* to, std::size_t width) {
  const Floats d;
  for (std::size_t x = 0; x < width; x += lanes())
    hn::StoreU(hn::MulAdd(hn::Set(d, factor), hn::LoadU(d, from + x), hn::LoadU(d, to + x)), d, to + x);
}

// e^x as the vectors have it.
inline float exp_of(float x) { return hn::GetLane(exp(hn::Set(Floats(), x))); }

// s_j -> p_j = w_j e^(s_j - m); returns sum_j p_j.
inline float weigh_row(float* scores, const float* weight, float maximum, std::size_t keys) {
  const Floats d;
  const Vector m = hn::Set(d, maximum);
  Vector sum = hn::Zero(d);
  for (std::size_t j = 0; j < keys; j += lanes()) {
    const Vector e = exp(hn::Sub(hn::LoadU(d, scores + j), m));
    const Vector p = hn::Mul(e, hn::LoadU(d, weight + j));
    hn::StoreU(p, d, scores + j);
    sum = hn::Add(sum, p);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // STP_KERNELS_CPU_ATTENTION_ROWS_INL_H_

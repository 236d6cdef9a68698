// AdamW in one pass over memory, and the norm of all gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimizer.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/parallel.h"
#include "kernels/optimizer.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

// Elements begin .. end - 1 of a segment.
void adamw_range(const AdamW& a, const AdamWSegment& segment, std::int64_t begin, std::int64_t end) {
  const Floats d;
  const double k = static_cast<double>(a.step);
  const double correction1 = 1 - std::pow(static_cast<double>(a.beta1), k);
  const double correction2 = 1 - std::pow(static_cast<double>(a.beta2), k);
  const Vector scale = hn::Set(d, a.gradient_scale ? *a.gradient_scale : 1.0f);
  const Vector beta1 = hn::Set(d, a.beta1), beta2 = hn::Set(d, a.beta2);
  const Vector rest1 = hn::Set(d, 1.0f - a.beta1), rest2 = hn::Set(d, 1.0f - a.beta2);
  const Vector decay = hn::Set(d, 1.0f - segment.rate * segment.decay);
  const Vector rate = hn::Set(d, static_cast<float>(segment.rate / correction1));
  const Vector inverse_root = hn::Set(d, static_cast<float>(1 / std::sqrt(correction2)));
  const Vector epsilon = hn::Set(d, a.epsilon);
  for_vectors(static_cast<std::size_t>(end - begin), [&](std::size_t i, std::size_t n) {
    const std::size_t at = static_cast<std::size_t>(begin) + i;
    const Vector g = hn::Mul(load(a.gradients + at, n), scale);
    const Vector m = hn::MulAdd(rest1, g, hn::Mul(beta1, load(a.first + at, n)));
    const Vector v = hn::MulAdd(rest2, hn::Mul(g, g), hn::Mul(beta2, load(a.second + at, n)));
    const Vector root = hn::MulAdd(hn::Sqrt(v), inverse_root, epsilon);
    const Vector step = hn::Div(hn::Mul(rate, m), root);
    const Vector p = hn::Sub(hn::Mul(load(a.parameters + at, n), decay), step);
    store(p, a.parameters + at, n);
    if (a.rounded) store(p, a.rounded, at, n);
    store(m, a.first + at, n);
    store(v, a.second + at, n);
    store(hn::Zero(d), a.gradients + at, n);
  });
}

float sum_of_squares(const float* x, std::int64_t count) {
  return sum_vectors(static_cast<std::size_t>(count), [&](std::size_t i, std::size_t n) {
    const Vector v = load(x + i, n);
    return hn::Mul(v, v);
  });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(adamw_range);
HWY_EXPORT(sum_of_squares);

void adamw(const AdamW& a) {
  if (a.gradient_scale && std::isnan(*a.gradient_scale)) return;
  constexpr std::int64_t kGrain = 65536;
  for (int s = 0; s < a.segment_count; ++s) {
    const AdamWSegment& segment = a.segments[s];
    if (segment.rate == 0) {
      std::fill(a.gradients + segment.begin, a.gradients + segment.end, 0.0f);
      continue;
    }
    parallel_ranges(segment.end - segment.begin, kGrain, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(adamw_range)(a, segment, segment.begin + begin, segment.begin + end);
    });
  }
}

void clip_norm(const ClipNorm& a) {
  constexpr std::int64_t kParts = ClipNorm::kParts;
  const std::int64_t share = (a.count + kParts - 1) / kParts;
  parallel_for(kParts, [&](std::int64_t part) {
    const std::int64_t begin = std::min(a.count, part * share), end = std::min(a.count, begin + share);
    a.partial[part] = HWY_DYNAMIC_DISPATCH(sum_of_squares)(a.gradients + begin, end - begin);
  });
  double sum = 0;
  for (std::int64_t part = 0; part < kParts; ++part) sum += a.partial[part];
  const double norm = std::sqrt(sum);
  a.norm[0] = static_cast<float>(norm);
  const float scale = norm > a.limit ? static_cast<float>(a.limit / norm) : 1.0f;
  a.scale[0] = std::isfinite(a.norm[0]) ? scale : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

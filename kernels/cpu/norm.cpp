// LayerNorm. A row is read twice, the second time from L1: first its mean, then its variance about that mean
// (one pass over sums of squares would cancel where the mean is large), then it is written.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/norm.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/norm.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

void layer_norm_rows(const LayerNormForward& a, std::int64_t begin, std::int64_t end) {
  const Floats d;
  const std::size_t E = static_cast<std::size_t>(a.E);
  const float width = static_cast<float>(a.E);
  for (std::size_t r = static_cast<std::size_t>(begin); r < static_cast<std::size_t>(end); ++r) {
    const std::size_t row = r * E;
    const float mean =
        sum_vectors(E, [&](std::size_t i, std::size_t n) { return load(a.x, row + i, n); }) / width;
    const Vector m = hn::Set(d, mean);
    const auto square = [&](std::size_t i, std::size_t n) {
      const Vector centred = first_lanes(hn::Sub(load(a.x, row + i, n), m), n);
      return hn::Mul(centred, centred);
    };
    const float rstd = 1.0f / std::sqrt(sum_vectors(E, square) / width + a.epsilon);
    const Vector s = hn::Set(d, rstd);
    for_vectors(E, [&](std::size_t i, std::size_t n) {
      const Vector normal = hn::Mul(hn::Sub(load(a.x, row + i, n), m), s);
      store(hn::MulAdd(normal, load(a.weight + i, n), load(a.bias + i, n)), a.out, row + i, n);
    });
    if (a.mean) a.mean[r] = mean;
    if (a.rstd) a.rstd[r] = rstd;
  }
}

// Rows begin .. end - 1: dx, and their share of the parameter gradients into `partial` (2, E), unless null.
void layer_norm_backward_rows(const LayerNormBackward& a, std::int64_t begin, std::int64_t end,
                              float* partial) {
  const Floats d;
  const std::size_t E = static_cast<std::size_t>(a.E);
  const float width = static_cast<float>(a.E);
  if (partial) std::fill(partial, partial + 2 * E, 0.0f);
  for (std::size_t r = static_cast<std::size_t>(begin); r < static_cast<std::size_t>(end); ++r) {
    const std::size_t row = r * E;
    const Vector mean = hn::Set(d, a.mean[r]), rstd = hn::Set(d, a.rstd[r]);
    const auto normal = [&](std::size_t i, std::size_t n) {
      return hn::Mul(hn::Sub(load(a.x, row + i, n), mean), rstd);
    };
    if (partial) {  // forward: out = n weight + bias
      for_vectors(E, [&](std::size_t i, std::size_t n) {
        const Vector dout = load(a.dout, row + i, n);
        float* const dweight = partial + i;
        float* const dbias = partial + E + i;
        store(hn::MulAdd(dout, normal(i, n), load(dweight, n)), dweight, n);
        store(hn::Add(dout, load(dbias, n)), dbias, n);
      });
    }
    if (!a.dx) continue;
    // forward: n = (x - mean) rstd, where mean and rstd depend on every x of the row
    const auto slope = [&](std::size_t i, std::size_t n) {
      return hn::Mul(load(a.dout, row + i, n), load(a.weight + i, n));
    };
    const auto slope_normal = [&](std::size_t i, std::size_t n) { return hn::Mul(slope(i, n), normal(i, n)); };
    const Vector mean_g = hn::Set(d, sum_vectors(E, slope) / width);
    const Vector mean_gn = hn::Set(d, sum_vectors(E, slope_normal) / width);
    for_vectors(E, [&](std::size_t i, std::size_t n) {
      const Vector inner = hn::NegMulAdd(normal(i, n), mean_gn, hn::Sub(slope(i, n), mean_g));
      store(hn::Mul(rstd, inner), a.dx, row + i, n);
    });
  }
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(layer_norm_rows);
HWY_EXPORT(layer_norm_backward_rows);

void layer_norm_forward(const LayerNormForward& a) {
  constexpr std::int64_t kRows = 32;
  parallel_ranges(a.rows, kRows, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(layer_norm_rows)(a, begin, end);
  });
}

void layer_norm_backward(const LayerNormBackward& a) {
  constexpr std::int64_t kParts = LayerNormBackward::kParts;
  const bool learns = a.dweight || a.dbias;
  const std::int64_t share = (a.rows + kParts - 1) / kParts, width = 2 * static_cast<std::int64_t>(a.E);
  parallel_for(kParts, [&](std::int64_t part) {
    const std::int64_t begin = std::min(a.rows, part * share), end = std::min(a.rows, begin + share);
    float* const partial = learns ? a.partial + part * width : nullptr;
    HWY_DYNAMIC_DISPATCH(layer_norm_backward_rows)(a, begin, end, partial);
  });
  if (!learns) return;
  for (std::int64_t e = 0; e < width; ++e) {
    float sum = 0;
    for (std::int64_t part = 0; part < kParts; ++part) sum += a.partial[part * width + e];
    if (e < a.E && a.dweight) contribute(a.dweight, e, sum);
    if (e >= a.E && a.dbias) contribute(a.dbias, e - a.E, sum);
  }
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

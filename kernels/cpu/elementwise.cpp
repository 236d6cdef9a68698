// Element by element: memory-bound, one pass in ranges of kGrain elements.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/elementwise.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

// Calls body(i, count) over the elements begin .. end - 1.
template <class Body>
HWY_INLINE void for_range(std::int64_t begin, std::int64_t end, const Body& body) {
  const std::size_t first = static_cast<std::size_t>(begin);
  for_vectors(static_cast<std::size_t>(end) - first, [&](std::size_t i, std::size_t n) { body(first + i, n); });
}

void accumulate_range(const Accumulate& a, std::int64_t begin, std::int64_t end) {
  for_range(begin, end, [&](std::size_t i, std::size_t n) { store(load(a.from, i, n), a.to, i, n); });
}

void gelu_forward_range(const GeluForward& a, std::int64_t begin, std::int64_t end) {
  for_range(begin, end, [&](std::size_t i, std::size_t n) {
    const Vector x = load(a.x, i, n);
    store(gelu(x, normal_distribution(x)), a.out, i, n);
  });
}

void gelu_backward_range(const GeluBackward& a, std::int64_t begin, std::int64_t end) {
  for_range(begin, end, [&](std::size_t i, std::size_t n) {
    const Vector x = load(a.x, i, n);
    const Normal normal = normal_distribution(x);
    // forward: out = x Phi(x), so dx += dout (Phi(x) + x phi(x))
    if (a.dx) store(hn::Mul(load(a.dout, i, n), gelu_slope(x, normal)), a.dx, i, n);
    if (a.out) store(gelu(x, normal), a.out, i, n);
  });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(accumulate_range);
HWY_EXPORT(gelu_forward_range);
HWY_EXPORT(gelu_backward_range);

namespace {
constexpr std::int64_t kGrain = 16384;  // elements a thread takes at a time: 64 KiB, one or two L1 caches
}

void accumulate(const Accumulate& a) {
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(accumulate_range)(a, begin, end);
  });
}

void fill(const Fill& a) {
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) { std::fill(a.to + begin, a.to + end, a.value); });
}

void gelu_forward(const GeluForward& a) {
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(gelu_forward_range)(a, begin, end);
  });
}

void gelu_backward(const GeluBackward& a) {
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(gelu_backward_range)(a, begin, end);
  });
}

void exp_forward(const ExpForward& a) {
  for (std::int64_t i = 0; i < a.count; ++i) a.out[i] = std::exp(a.x[i]);
}

void exp_backward(const ExpBackward& a) {
  for (std::int64_t i = 0; i < a.count; ++i) contribute(a.dx, i, a.dout[i] * a.out[i]);
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

// Element by element: memory-bound, one pass in ranges of kGrain elements.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include "kernels/cpu/parallel.h"
#include "kernels/elementwise.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

void accumulate_range(const Accumulate& a, std::int64_t begin, std::int64_t end) {
  const std::size_t at = static_cast<std::size_t>(begin);
  for_vectors(
      static_cast<std::size_t>(end - begin), [&](std::size_t i) { store(a.to, at + i, load(a.from, at + i)); },
      [&](std::size_t i, std::size_t rest) {
        store_some(a.to, at + i, load_some(a.from, at + i, rest), rest);
      });
}

void gelu_forward_range(const GeluForward& a, std::int64_t begin, std::int64_t end) {
  const std::size_t at = static_cast<std::size_t>(begin);
  const auto gelu = [](Vector x) { return hn::Mul(x, normal_distribution(x).cumulative); };
  for_vectors(
      static_cast<std::size_t>(end - begin),
      [&](std::size_t i) { store(a.out, at + i, gelu(load(a.x, at + i))); },
      [&](std::size_t i, std::size_t rest) {
        store_some(a.out, at + i, gelu(load_some(a.x, at + i, rest)), rest);
      });
}

void gelu_backward_range(const GeluBackward& a, std::int64_t begin, std::int64_t end) {
  const std::size_t at = static_cast<std::size_t>(begin);
  // forward: out = x Phi(x), so dx += dout (Phi(x) + x phi(x))
  const auto slope = [](Vector x, Vector dout) {
    const Normal n = normal_distribution(x);
    return hn::Mul(dout, hn::MulAdd(x, n.density, n.cumulative));
  };
  for_vectors(
      static_cast<std::size_t>(end - begin),
      [&](std::size_t i) { store(a.dx, at + i, slope(load(a.x, at + i), load(a.dout, at + i))); },
      [&](std::size_t i, std::size_t rest) {
        store_some(a.dx, at + i, slope(load_some(a.x, at + i, rest), load_some(a.dout, at + i, rest)), rest);
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

}  // namespace stp::cpu
#endif  // HWY_ONCE

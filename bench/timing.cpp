#include "bench/timing.h"

#include "engine/ops.h"

namespace stp::bench {

Peak measured_peak(const Backend& backend, Element storage) {
  constexpr std::int64_t kFloats = std::int64_t{64} << 20, kSide = 4096;
  Peak peak;
  {
    const Tensor from = Tensor::zeros(backend, {kFloats}), to = Tensor::zeros(backend, {kFloats});
    const Accumulate copy = {from.in(), {to.out().data, Element::f32, false}, kFloats};
    const double seconds = median_seconds(
        backend, [&] { backend.run(&KernelTable::accumulate, copy); }, 0.5);
    peak.bytes = 2.0 * sizeof(float) * static_cast<double>(kFloats) / seconds;
  }
  const Tensor ones = Tensor::filled(backend, {kSide, kSide}, 1.0f / 64);
  const Tensor a = stored_as(nullptr, ones, storage), b = stored_as(nullptr, ones, storage),
               out(backend, {kSide, kSide}, storage);
  const LinearForward product = {.x = a.in(),
                                 .weight = b.in(),
                                 .bias = {},
                                 .residual = {},
                                 .out = out.out(),
                                 .rows = kSide,
                                 .I = kSide,
                                 .O = kSide,
                                 .math = backend.math()};
  const double seconds = median_seconds(
      backend, [&] { backend.run(&KernelTable::linear_forward, product); }, 1);
  peak.flops = cost(product).flops / seconds;
  return peak;
}

}  // namespace stp::bench

#include "bench/timing.h"

#include "engine/ops.h"

namespace stp::bench {

namespace {

struct Product {
  std::int64_t rows;
  int I, O;
};
// A large cube; eight clips through the two layers of an MLP.
constexpr Product kProducts[] = {{4096, 4096, 4096}, {3136, 384, 1536}, {3136, 1536, 384}};

double rate_of(const Backend& backend, const Product& p, Element storage) {
  const auto filled = [&](std::int64_t rows, std::int64_t columns) {
    return stored_as(nullptr, Tensor::filled(backend, {rows, columns}, 1.0f / 64), storage);
  };
  const Tensor x = filled(p.rows, p.I), weight = filled(p.O, p.I), out(backend, {p.rows, p.O}, storage);
  const LinearForward product = {.x = x.in(),
                                 .weight = weight.in(),
                                 .bias = {},
                                 .residual = {},
                                 .out = out.out(),
                                 .rows = p.rows,
                                 .I = p.I,
                                 .O = p.O,
                                 .math = backend.math()};
  const double seconds = median_seconds(
      backend, [&] { backend.run(&KernelTable::linear_forward, product); }, 0.5);
  return cost(product).flops / seconds;
}

}  // namespace

double copy_bandwidth(const Backend& backend) {
  constexpr std::int64_t kFloats = std::int64_t{64} << 20;
  const Tensor from = Tensor::zeros(backend, {kFloats}), to = Tensor::zeros(backend, {kFloats});
  const Accumulate copy = {from.in(), {to.out().data, Element::f32, false}, kFloats};
  const double seconds = median_seconds(
      backend, [&] { backend.run(&KernelTable::accumulate, copy); }, 0.5);
  return cost(copy).bytes / seconds;
}

double matrix_rate(const Backend& backend, Element storage) {
  double best = 0;
  for (const Product& product : kProducts) best = std::max(best, rate_of(backend, product, storage));
  return best;
}

}  // namespace stp::bench

// Numbers below the smallest normal one make processors a hundred times slower: the exact GELU makes none of
// inputs far to the left, where it and its slope are nothing.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/ops.h"

using namespace stp;

namespace {

void check_nothing(const std::vector<float>& values, const char* what) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int kind = std::fpclassify(values[i]);
    CHECK_MESSAGE((kind == FP_NORMAL || kind == FP_ZERO), what, " [", i, "] is ", values[i]);
    CHECK_MESSAGE(std::abs(values[i]) < 1e-4f, what, " [", i, "] is ", values[i], " and should be nothing");
  }
}

// From where e^(-x^2 / 2) is small to where it is none, and to the largest numbers; to the left.
std::vector<float> far_out(std::size_t count) {
  std::vector<float> values;
  float x = -5.0f;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(x);
    x = i < count / 2 ? x - 0.05f : std::max(1.5f * x, -1e38f);
  }
  return values;
}

}  // namespace

TEST_CASE("GELU of values far out makes no subnormal numbers, forward and backward") {
  const Backend backend(Device::cpu);
  const Tensor x = Tensor::from(backend, {1000}, far_out(1000)).set_wants_gradient(true);
  Tape tape;
  const Tensor y = gelu(&tape, x);
  check_nothing(y.values(), "gelu");
  const Grad dy = y.grad();
  std::fill(dy.f32(), dy.f32() + y.elements(), 1.0f);
  tape.backward();
  check_nothing(x.gradient_values(), "gradient of gelu");
}

TEST_CASE("a wide linear layer with GELU makes no subnormal numbers of sums far out") {
  const Backend backend(Device::cpu);
  constexpr std::int64_t kRows = 500, kWide = 256;
  const std::vector<float> starts = far_out(kRows);
  std::vector<float> first_column(kRows * kWide), weights(kWide * kWide);
  for (std::size_t r = 0; r < starts.size(); ++r) first_column[r * kWide] = starts[r];
  for (std::size_t o = 0; o < kWide; ++o) weights[o * kWide] = 1;
  const Tensor x = Tensor::from(backend, {kRows, kWide}, first_column),
               weight = Tensor::from(backend, {kWide, kWide}, weights);
  check_nothing(linear(nullptr, x, weight, {}, {}, Activation::gelu).values(), "linear");
}

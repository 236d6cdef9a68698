// Linear layers of a size at which the processor goes about their products in another way
// (kernels/cpu/linear.cpp): deeper than wide, with many rows. Operands are small whole numbers, so every sum is
// exact.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "engine/ops.h"

using namespace stp;

namespace {

constexpr std::int64_t kRows = 530, kDeep = 259, kWide = 256;  // I and O

// Whole numbers from -5 to 5.
std::vector<float> numbers(std::int64_t count, std::int64_t factor) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i * factor % 103 % 11) - 5);
  return values;
}

struct Strided {
  const std::vector<float>& values;
  std::int64_t row, step;
  float at(std::int64_t r, std::int64_t k) const {
    return values[static_cast<std::size_t>(r * row + k * step)];
  }
};

// What of a b^T, and of what is added to it, is stored otherwise than it should be.
std::size_t wrong(const std::vector<float>& stored, Element type, Strided a, Strided b, std::int64_t rows,
                  std::int64_t columns, std::int64_t depth, const std::vector<float>& added = {}) {
  std::size_t count = 0, i = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c, ++i) {
      float sum = added.empty() ? 0 : added[i];
      for (std::int64_t k = 0; k < depth; ++k) sum += a.at(r, k) * b.at(c, k);
      count += stored[i] == (type == Element::f32 ? sum : from_bf16(to_bf16(sum))) ? 0 : 1;
    }
  }
  return count;
}

void check_layer(Element storage) {
  const Backend backend(Device::cpu);
  const std::vector<float> x_values = numbers(kRows * kDeep, 7), weights = numbers(kWide * kDeep, 31),
                           residuals = numbers(kRows * kWide, 13), slopes = numbers(kRows * kWide, 5);
  const auto wanted = [&](const Shape& shape, const std::vector<float>& values) {
    return Tensor::from(backend, shape, values).set_wants_gradient(true);
  };
  const Tensor x = wanted({kRows, kDeep}, x_values), weight = wanted({kWide, kDeep}, weights),
               residual = wanted({kRows, kWide}, residuals);
  Tape tape;
  const auto stored = [&](const Tensor& tensor) { return stored_as(&tape, tensor, storage); };
  const Tensor y = stored_as(&tape, linear(&tape, stored(x), weight, {}, stored(residual)), Element::f32);
  CHECK(wrong(y.values(), storage, {x_values, kDeep, 1}, {weights, kDeep, 1}, kRows, kWide, kDeep, residuals) ==
        0);

  std::copy(slopes.begin(), slopes.end(), y.grad().f32());
  tape.backward();
  CHECK(wrong(x.gradient_values(), storage, {slopes, kWide, 1}, {weights, 1, kDeep}, kRows, kDeep, kWide) == 0);
  CHECK(wrong(weight.gradient_values(), Element::f32, {slopes, 1, kWide}, {x_values, 1, kDeep}, kWide, kDeep,
              kRows) == 0);
}

}  // namespace

TEST_CASE("deep linear layers with many rows, forward and backward, in f32") { check_layer(Element::f32); }
TEST_CASE("deep linear layers with many rows, forward and backward, in bf16") { check_layer(Element::bf16); }

// Matrix products of the device `cpu`, by oneDNN.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "kernels/element.h"

namespace stp::cpu {

// c = op(a) op(b), or with `add` c += op(a) op(b), of row-major f32 matrices: (rows, columns) from (rows,
// depth) and (depth, columns). An operand marked transposed is stored the other way round.
struct Product {
  const float* a;
  const float* b;
  float* c;
  std::int64_t rows, columns, depth;
  bool a_transposed = false, b_transposed = false, add = false;
};
void multiply(const Product& p);

// c = activation(a b^T + bias) + residual in one pass: a (rows, depth), b (columns, depth), bias (columns) or
// null, residual (rows, columns) or null, possibly c itself.
struct FusedProduct {
  const float* a;
  const float* b;
  const float* bias;
  const float* residual;
  float* c;
  std::int64_t rows, columns, depth;
  bool gelu = false;
};
void multiply(const FusedProduct& p);

// What does the products.
inline constexpr std::string_view kLibrary = "oneDNN";
std::array<int, 3> library_version();

}  // namespace stp::cpu

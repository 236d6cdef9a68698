// Matrix products of the device `cpu`, by oneDNN.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "kernels/element.h"

namespace stp::cpu {

// c = op(a) op(b), or with `add` c += op(a) op(b), of row-major matrices: (rows, columns) from (rows, depth)
// and (depth, columns). An operand marked transposed is stored the other way round. a and b are of one type,
// bf16 only where that is fast (below); c is of the same or f32; sums are f32.
struct Product {
  In a, b;
  Out c;
  std::int64_t rows, columns, depth;
  bool a_transposed = false, b_transposed = false, add = false;
};
void multiply(const Product& p);

// c = activation(a b^T + bias) + residual in one pass: a (rows, depth), b (columns, depth), bias (columns) or
// null, residual (rows, columns) or null, possibly c itself. Types as above; bias and residual are of c's.
struct FusedProduct {
  In a, b, bias, residual;
  Out c;
  std::int64_t rows, columns, depth;
  bool gelu = false;
};
void multiply(const FusedProduct& p);

// Whether this processor multiplies bf16 faster than f32: by matrix tiles (AMX), or by dot products of AMD's,
// twice as fast as f32 on Zen 4. Intel's dot products are half as fast as f32 (bench/JOURNAL.md).
bool fast_bf16();

// Keeps the library from instruction sets above "sse4", "avx2" or "avx512" (which is without bf16). Before its
// first product.
void hold_library(std::string_view instructions);

// What does the products.
inline constexpr std::string_view kLibrary = "oneDNN";
std::array<int, 3> library_version();

}  // namespace stp::cpu

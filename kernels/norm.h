// LayerNorm over the last dimension: out = (x - mean) rstd weight + bias, rstd = 1 / sqrt(variance + epsilon).
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

struct LayerNormForward {
  In x;                 // (rows, E)
  const float* weight;  // (E)
  const float* bias;    // (E)
  Out out;              // (rows, E)
  float* mean;          // (rows) saved; null: not wanted
  float* rstd;          // (rows) saved; null: not wanted
  std::int64_t rows;
  int E;
  float epsilon;
};

// With n = (x - mean) rstd and g = dout weight:
//   dx = rstd (g - mean(g) - n mean(g n))      dweight = sum over rows of dout n      dbias = sum over rows of
//   dout
struct LayerNormBackward {
  static constexpr int kParts = 32;  // row ranges whose sums are formed one by one and then added in order

  In x;                 // (rows, E)
  const float* weight;  // (E)
  const float* mean;    // (rows) forward's
  const float* rstd;    // (rows) forward's
  In dout;              // (rows, E)
  Grad dx;              // (rows, E)
  Grad dweight, dbias;  // (E) f32
  float* partial;       // (kParts, 2, E) scratch, needed with dweight or dbias
  std::int64_t rows;
  int E;
};

inline Cost cost(const LayerNormForward& a) {
  const double n = static_cast<double>(a.rows) * a.E;
  return {7 * n, 2 * n * static_cast<double>(bytes_of(a.x.type)), 0};
}

inline Cost cost(const LayerNormBackward& a) {
  const double n = static_cast<double>(a.rows) * a.E;
  const double passes = 2 + (a.dx ? (a.dx.add ? 2 : 1) : 0);
  return {12 * n, passes * n * static_cast<double>(bytes_of(a.x.type)), 0};
}

}  // namespace stp

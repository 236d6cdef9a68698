// The linear layer, out = activation(x W^T + bias) + residual, and its gradients: matrix products through the
// device's library (oneDNN, cublasLt), with whatever that library fuses.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

enum class Activation : std::uint8_t { none, gelu };

struct LinearForward {
  In x;         // (rows, I)
  In weight;    // (O, I) of x's type
  In bias;      // (O) of out's type; null: none
  In residual;  // (rows, O) of out's type, added last; null: none. May be `out` itself
  Out out;      // (rows, O) of x's type, or f32
  std::int64_t rows;
  int I, O;
  Activation activation = Activation::none;
  Math math = Math::exact;
};

// With dout the gradient of x W^T + bias (an activation's own backward comes before):
//   dx = dout W      dW = dout^T x      dbias = column sums of dout
struct LinearBackward {
  In x;          // (rows, I) of dout's type; needed for dweight
  In weight;     // (O, I) of dout's type; needed for dx
  In dout;       // (rows, O)
  Grad dx;       // (rows, I) of dout's type
  Grad dweight;  // (O, I) f32
  Grad dbias;    // (O) f32
  std::int64_t rows;
  int I, O;
  Math math = Math::exact;
};

inline Cost cost(const LinearForward& a) {
  const double n = static_cast<double>(a.rows), I = a.I, O = a.O;
  const double e = static_cast<double>(bytes_of(a.x.type)), eo = static_cast<double>(bytes_of(a.out.type));
  return {2 * n * I * O, e * I * (n + O) + eo * n * O * (a.residual ? 2 : 1),
          a.activation == Activation::none ? 0 : n * O};
}

inline Cost cost(const LinearBackward& a) {
  const double n = static_cast<double>(a.rows), I = a.I, O = a.O;
  const double e = static_cast<double>(bytes_of(a.dout.type));
  Cost sum{0, e * n * O, 0};
  if (a.dx) sum += {2 * n * I * O, e * I * (n + O), 0};
  if (a.dweight) sum += {2 * n * I * O, e * n * I + 4 * I * O, 0};
  if (a.dbias) sum += {n * O, 4 * O, 0};
  return sum;
}

}  // namespace stp

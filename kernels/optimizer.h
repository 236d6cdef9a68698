// AdamW over one flat buffer, and the global norm of the gradients.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

// A run of parameters with one learning rate and one weight decay.
struct AdamWSegment {
  std::int64_t begin, end;  // elements of the flat buffer
  float rate, decay;        // rate 0: parameters and moments stay as they are
};

// Decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW:
//   p <- p (1 - rate decay);  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
//   p <- p - rate / (1 - b1^k) m / (sqrt(v / (1 - b2^k)) + epsilon)
// with g = gradient_scale times the gradient. The gradient is zero afterwards, ready for the next step.
struct AdamW {
  float* parameters;             // (count)
  float* gradients;              // (count), set to zero
  float *first, *second;         // (count) moments m and v
  Out rounded;                   // (count) a copy of the parameters in bf16; null: none
  const AdamWSegment* segments;  // (segment_count) in order, without overlap; host memory
  const float* gradient_scale;   // (1) from ClipNorm; null: 1. NaN: nothing changes, gradients included
  int segment_count;
  float beta1, beta2, epsilon;
  std::int64_t step;  // k, from 1
};

// The Euclidean norm of all gradients together, and the factor that brings it down to `limit`.
struct ClipNorm {
  static constexpr int kParts =
      64;  // ranges whose sums of squares are formed one by one and then added in order

  const float* gradients;  // (count)
  float* partial;          // (kParts) scratch
  float* norm;             // (1) NaN or infinity if any gradient is
  float* scale;  // (1) min(1, limit / norm); 1 when limit is infinite; NaN where the norm is not finite
  std::int64_t count;
  float limit;
};

inline Cost cost(const AdamW& a) {
  double n = 0;
  for (int s = 0; s < a.segment_count; ++s) n += static_cast<double>(a.segments[s].end - a.segments[s].begin);
  return {14 * n, 32 * n, n};
}
inline Cost cost(const ClipNorm& a) {
  const double n = static_cast<double>(a.count);
  return {2 * n, 4 * n, 0};
}

}  // namespace stp

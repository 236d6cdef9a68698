// Losses and the log-softmax of the scorers. Each loss is a mean and has one element; dloss is its gradient.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

// out = x - log sum exp x over the last dimension.
struct LogSoftmaxForward {
  const float* x;  // (rows, A)
  float* out;      // (rows, A)
  std::int64_t rows;
  int A;
};
// dx = dout - exp(out) sum dout
struct LogSoftmaxBackward {
  const float* out;   // (rows, A) forward's
  const float* dout;  // (rows, A)
  Grad dx;            // (rows, A) f32
  std::int64_t rows;
  int A;
};

// Softmax cross-entropy, the mean over clips of -log p_label.
struct CrossEntropyForward {
  const float* logits;   // (B, A)
  const int* labels;     // (B) in 0 .. A - 1
  float* loss;           // (1)
  float* probabilities;  // (B, A) saved; null: not wanted
  int B, A;
};
// dlogits = dloss / B (p - onehot(label))
struct CrossEntropyBackward {
  const float* probabilities;  // (B, A) forward's
  const int* labels;           // (B)
  const float* dloss;          // (1)
  Grad dlogits;                // (B, A) f32
  int B, A;
};

// Sigmoid binary cross-entropy, the mean over clips and attributes of min(limit, log(1 + e^x) - t x). The limit
// bounds what maximising the loss can gain: a term at the limit passes no gradient.
struct BinaryCrossEntropyForward {
  const float* logits;   // (B, A)
  const float* targets;  // (B, A) in [0, 1]
  float* loss;           // (1)
  int B, A;
  float limit;  // infinity: no bound
};
// dlogits = dloss / (B A) (sigmoid(x) - t), zero where the term is above the limit
struct BinaryCrossEntropyBackward {
  const float* logits;   // (B, A)
  const float* targets;  // (B, A)
  const float* dloss;    // (1)
  Grad dlogits;          // (B, A) f32
  int B, A;
  float limit;
};

// The ratio loss (equation 7) of one block: the mean over clips and time slots of (mean of the slot's keep -
// ratio)^2.
struct RatioLossForward {
  const float* keep;  // (segments, P)
  float* loss;        // (1)
  float* means;       // (segments) saved
  int segments, P;
  float ratio;
};
// dkeep = dloss 2 (mean - ratio) / (segments P)
struct RatioLossBackward {
  const float* means;  // (segments) forward's
  const float* dloss;  // (1)
  Grad dkeep;          // (segments, P) f32
  int segments, P;
  float ratio;
};

// The mean squared difference of two tensors.
struct SquaredErrorForward {
  static constexpr int kParts = 64;  // ranges whose sums are formed one by one and then added in order

  In x;                 // (count)
  const float* target;  // (count)
  float* loss;          // (1)
  double* partial;      // (kParts) scratch
  std::int64_t count;
};
// dx = dloss 2 (x - target) / count
struct SquaredErrorBackward {
  In x;                 // (count)
  const float* target;  // (count)
  const float* dloss;   // (1)
  Grad dx;              // (count)
  std::int64_t count;
};

inline Cost cost(const SquaredErrorForward& a) {
  const double n = static_cast<double>(a.count);
  return {3 * n, n * (4 + static_cast<double>(bytes_of(a.x.type))), 0};
}
inline Cost cost(const SquaredErrorBackward& a) {
  const double n = static_cast<double>(a.count);
  return {2 * n, n * (4 + 2 * static_cast<double>(bytes_of(a.x.type))), 0};
}
inline Cost cost(const LogSoftmaxForward& a) {
  const double n = static_cast<double>(a.rows) * a.A;
  return {3 * n, 8 * n, n};
}
inline Cost cost(const LogSoftmaxBackward& a) {
  const double n = static_cast<double>(a.rows) * a.A;
  return {3 * n, 12 * n, n};
}
inline Cost cost(const CrossEntropyForward& a) {
  const double n = static_cast<double>(a.B) * a.A;
  return {3 * n, 8 * n, n};
}
inline Cost cost(const CrossEntropyBackward& a) {
  const double n = static_cast<double>(a.B) * a.A;
  return {2 * n, 8 * n, 0};
}
inline Cost cost(const BinaryCrossEntropyForward& a) {
  const double n = static_cast<double>(a.B) * a.A;
  return {4 * n, 8 * n, 2 * n};
}
inline Cost cost(const BinaryCrossEntropyBackward& a) {
  const double n = static_cast<double>(a.B) * a.A;
  return {4 * n, 12 * n, 2 * n};
}
inline Cost cost(const RatioLossForward& a) {
  const double n = static_cast<double>(a.segments) * a.P;
  return {n, 4 * n, 0};
}
inline Cost cost(const RatioLossBackward& a) {
  const double n = static_cast<double>(a.segments) * a.P;
  return {0, 4 * n, 0};
}

}  // namespace stp

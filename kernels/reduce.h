// Means over kept tokens and sums over clips.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

// The mean over the kept tokens of each clip, out_b = sum_n keep_n x_n / sum_n keep_n; a clip in which nothing
// is kept has mean zero and passes no gradient (the released code divides by zero there).
struct MaskedMeanForward {
  In x;                // (B, N, E)
  const float* keep;   // (B, N); null: all ones
  const int* offsets;  // (B + 1) first token of each clip when their numbers differ; null: N each
  float* out;          // (B, E)
  float* total;        // (B) saved: sum of keep
  int B, N, E;
};

// dx_n = keep_n / total dout      dkeep_n = (x_n - out) . dout / total
struct MaskedMeanBackward {
  In x;                // (B, N, E)
  const float* keep;   // as in forward
  const int* offsets;  // as in forward
  const float* out;    // (B, E) forward's
  const float* total;  // (B) forward's
  const float* dout;   // (B, E)
  Grad dx;             // (B, N, E)
  Grad dkeep;          // (B, N) f32
  int B, N, E;
};

// Multi-level aggregation of the scorer (equations 2-4; PredictorLG in the released code): of the E channels of
// a token the first third stays as it is, the second becomes the mean of its time slot and the last the mean of
// its clip, both over kept tokens. An empty slot or clip has mean zero. A level that is switched off stays
// local.
struct AggregateForward {
  const float* x;     // (B, N, E), E divisible by 3
  const float* keep;  // (B, N); null: all ones
  const int* slots;   // (B, N) time slot of each token, 0 .. S - 1; null: N / S tokens each, in order
  float* out;         // (B, N, E)
  float* means;       // (B, S + 1, E / 3) saved: of each slot (second third), then of the clip (last third)
  float* totals;      // (B, S + 1) saved: sum of keep
  int B, N, S, E;
  bool spatial, temporal;
};

// Per level, with G the sum of dout over the group's tokens: dx_n = keep_n / total G,
// dkeep_n = (x_n - mean) . G / total.
struct AggregateBackward {
  const float* x;       // as in forward
  const float* keep;    // as in forward
  const int* slots;     // as in forward
  const float* means;   // forward's
  const float* totals;  // forward's
  const float* dout;    // (B, N, E)
  Grad dx;              // (B, N, E) f32
  Grad dkeep;           // (B, N) f32
  float* sums;          // (B, S + 1, E / 3) scratch: the G of each group
  int B, N, S, E;
  bool spatial, temporal;
};

// out_b = x_b + row: the position embedding. Backward of row: the sum over clips.
struct AddRowForward {
  In x;              // (B, n)
  const float* row;  // (n)
  Out out;           // (B, n); may be x itself
  std::int64_t B, n;
};
struct SumRows {
  In x;      // (B, n)
  Grad sum;  // (n) f32
  std::int64_t B, n;
};

// out_b = factor_b x_b: drop path, which scales the branch of each clip by 0 or 1 / (1 - rate). Its own
// backward.
struct ScaleClips {
  In x;                 // (B, n)
  const float* factor;  // (B)
  Grad out;             // (B, n)
  std::int64_t B, n;
};

inline Cost cost(const MaskedMeanForward& a) {
  const double n = static_cast<double>(a.B) * a.N * a.E;
  return {2 * n, n * static_cast<double>(bytes_of(a.x.type)), 0};
}
inline Cost cost(const MaskedMeanBackward& a) {
  const double n = static_cast<double>(a.B) * a.N * a.E, e = static_cast<double>(bytes_of(a.x.type));
  return {(a.dx ? n : 0) + (a.dkeep ? 3 * n : 0), e * n * ((a.dx ? 1 : 0) + (a.dkeep ? 1 : 0)), 0};
}
inline Cost cost(const AggregateForward& a) {
  const double n = static_cast<double>(a.B) * a.N * a.E;
  return {4.0 / 3 * n, 8 * n, 0};
}
inline Cost cost(const AggregateBackward& a) {
  const double n = static_cast<double>(a.B) * a.N * a.E;
  return {4 * n, 4 * n * (a.dkeep ? 3 : 2), 0};
}
inline Cost cost(const AddRowForward& a) {
  const double n = static_cast<double>(a.B) * static_cast<double>(a.n);
  return {n, 2 * n * static_cast<double>(bytes_of(a.x.type)) + 4 * static_cast<double>(a.n), 0};
}
inline Cost cost(const SumRows& a) {
  const double n = static_cast<double>(a.B) * static_cast<double>(a.n);
  return {n, n * static_cast<double>(bytes_of(a.x.type)) + 4 * static_cast<double>(a.n), 0};
}
inline Cost cost(const ScaleClips& a) {
  const double n = static_cast<double>(a.B) * static_cast<double>(a.n);
  return {n, 2 * n * static_cast<double>(bytes_of(a.x.type)), 0};
}

}  // namespace stp

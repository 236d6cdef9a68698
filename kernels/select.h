// Which tokens stay: the decision in training, selection and compaction at inference.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

// Gumbel noise, -log(-log u), u uniform in (0, 1) from Philox: element i depends on (seed, stream, i) alone.
struct GumbelNoise {
  float* out;  // (count)
  std::int64_t count;
  std::uint64_t seed, stream;
};

// The decision of equation 6: y = softmax((logprob + noise) / temperature), channel 0 is "keep";
//   keep = previous [y_0 > y_1] (hard) or previous y_0 (soft).
// Nothing once dropped comes back. The hard decision has the gradient of the soft one (straight-through).
struct DecideForward {
  const float* logprob;   // (tokens, 2)
  const float* noise;     // (tokens, 2)
  const float* previous;  // (tokens); null: all ones
  float* keep;            // (tokens)
  float* soft;            // (tokens) saved: y_0; null: not wanted
  std::int64_t tokens;
  float temperature;
  bool hard;
};

// dlogprob_0 = -dlogprob_1 = dkeep previous y_0 y_1 / temperature      dprevious = dkeep (decision before
// `previous`)
struct DecideBackward {
  const float* soft;      // (tokens) forward's
  const float* previous;  // as in forward
  const float* dkeep;     // (tokens)
  Grad dlogprob;          // (tokens, 2) f32
  Grad dprevious;         // (tokens) f32
  std::int64_t tokens;
  float temperature;
  bool hard;
};

// The K highest of each segment's P scores, the lower position first among equals. NaN counts as lowest.
struct TopK {
  const float* scores;  // (segments, P), `stride` floats apart
  int* chosen;          // (segments, K) positions among all segments P values: segment P + position
  int segments, P, K, stride;
  bool by_score;  // the order of `chosen` in a segment: highest score first, or position first
};

// The kept tokens (keep > 1/2) of each clip, clip after clip in token order, and where each clip begins.
struct Compact {
  const float* keep;  // (B, N)
  int* rows;          // (B N) room for all; positions of the kept among all B N tokens
  int* offsets;       // (B + 1)
  int B, N;
};

// inverse[rows[i]] = i, and -1 where no row leads.
struct InvertRows {
  const int* rows;  // (count)
  int* inverse;     // (total)
  std::int64_t count, total;
};

// to_i = from_r, r = rows[i] modulo total; with `add` a contribution. The forward of gathering and the backward
// of scattering; the modulo serves tables of one clip's rows, which every clip reads.
struct GatherRows {
  In from;          // (total, width)
  const int* rows;  // (count)
  Grad to;          // (count, width)
  std::int64_t count, total;
  int width;
};

// to_t = from_inverse[t], zero where inverse is -1: every row is written once. The forward of scattering and
// the backward of gathering.
struct ScatterRows {
  In from;             // (count, width)
  const int* inverse;  // (total) from InvertRows
  Grad to;             // (total, width)
  std::int64_t count, total;
  int width;
};

inline Cost cost(const GumbelNoise& a) {
  const double n = static_cast<double>(a.count);
  return {0, 4 * n, 2 * n};
}
inline Cost cost(const DecideForward& a) {
  const double n = static_cast<double>(a.tokens);
  return {8 * n, 24 * n, n};
}
inline Cost cost(const DecideBackward& a) {
  const double n = static_cast<double>(a.tokens);
  return {6 * n, 24 * n, 0};
}
inline Cost cost(const TopK& a) {
  const double n = static_cast<double>(a.segments);
  return {n * a.P * a.P, 4 * n * (a.P + a.K), 0};
}
inline Cost cost(const Compact& a) { return {0, 8.0 * a.B * a.N, 0}; }
inline Cost cost(const InvertRows& a) { return {0, 4 * static_cast<double>(a.count + a.total), 0}; }
inline Cost cost(const GatherRows& a) {
  return {0, static_cast<double>(a.count) * (2.0 * a.width * static_cast<double>(bytes_of(a.from.type)) + 4),
          0};
}
inline Cost cost(const ScatterRows& a) {
  const double e = static_cast<double>(bytes_of(a.from.type));
  return {0, static_cast<double>(a.count + a.total) * a.width * e + 4 * static_cast<double>(a.total), 0};
}

}  // namespace stp

// Self-attention of ming1993li/stprivacy (softmax with policy; equations 8-10 of the paper), the numerical
// reference of this project:
//   s_ij = scale q_i . k_j          m_i = max_j s_ij over all keys, kept or not
//   p_ij = w_ij e^(s_ij - m_i)      w_ij = keep_j, and w_ii = 1: a token always sees itself
//   out_i = (sum_j p_ij v_j + smoothing mean_j v_j) / (sum_j p_ij + smoothing)
// keep is a float: its gradient exists even where keep_j = 0, which is how the scorers learn. Without keep and
// with smoothing 0 this is plain attention, as used after tokens were gathered.
//
// Clips may hold different numbers of tokens: then they lie packed one after another, `offsets` tells where
// each begins, and the shapes below read "tokens of the clip" for N.
#pragma once

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

struct AttentionForward {
  static constexpr int kMaxWidth = 192;  // D of devices other than cpu

  In qkv;              // (B, N, 3, H, D) as the linear layer leaves it
  const float* keep;   // (B, N) in [0, 1]; null: all ones
  const int* offsets;  // (B + 1) first token of each clip when their numbers differ; null: N each
  Out out;             // (B, N, H, D)
  float* lse;          // (B, H, N) saved: m_i + log z_i; null: not wanted
  float* inverse_z;    // (B, H, N) saved: 1 / z_i, z_i the whole denominator; null: not wanted
  int* best;       // (B, H, N) saved by cpu alone: the token of the clip whose key has m_i; null: not wanted
  int B, N, H, D;  // N is the largest number of tokens of a clip when offsets is given
  float scale, smoothing;
  Math math = Math::exact;
};

// With E_ij / z_i = exp(s_ij - lse_i), g_ij = dout_i . v_j and delta_i = dout_i . out_i (smoothing included):
//   ds_ij   = (g_ij - delta_i) p_ij / z_i, and at the key of the row maximum
//             - smoothing / z_i (delta_i - dout_i . mean v): the gradient through m_i
//   dq_i    = scale sum_j ds_ij k_j              dk_j = scale sum_i ds_ij q_i
//   dv_j    = sum_i p_ij / z_i dout_i + smoothing / N sum_i dout_i / z_i
//   dkeep_j = sum over heads and i != j of (g_ij - delta_i) E_ij / z_i
struct AttentionBackward {
  static constexpr int kRowFloats = 3;  // that a device may note of each row

  In qkv;                  // as in forward
  const float* keep;       // as in forward
  const int* offsets;      // as in forward
  In out;                  // (B, N, H, D) forward's result
  In dout;                 // (B, N, H, D)
  const float* lse;        // (B, H, N) forward's
  const float* inverse_z;  // (B, H, N) forward's
  const int* best;         // (B, H, N) forward's, which cpu needs where smoothing > 0
  Grad dqkv;               // (B, N, 3, H, D)
  Grad dkeep;              // (B, N) f32
  float* dkeep_heads;  // (B, H, N) scratch, needed with dkeep: each head's share, summed in the order of heads
  float* rows;         // (B, H, N, kRowFloats) scratch of devices that make more than one pass
  int B, N, H, D;
  float scale, smoothing;
  Math math = Math::exact;
};

// Tokens of a batch, pairs (i, j) of a clip, and those whose w_ij is not zero.
struct AttentionPairs {
  double tokens = 0, all = 0, weighing = 0;
};

// Without the values of `keep` and `offsets` every clip is full and every pair weighs something.
template <class Args>
AttentionPairs attention_pairs(const Args& a, Known known) {
  const float* const keep = known == Known::values ? a.keep : nullptr;
  const int* const offsets = known == Known::values ? a.offsets : nullptr;
  AttentionPairs sum;
  for (int b = 0; b < a.B; ++b) {
    const int first = offsets ? offsets[b] : b * a.N;
    const int N = offsets ? offsets[b + 1] - first : a.N;
    int kept = N;
    for (int j = 0; keep && j < N; ++j) kept -= keep[first + j] == 0.0f ? 1 : 0;
    sum.tokens += N;
    sum.all += static_cast<double>(N) * N;
    sum.weighing += static_cast<double>(N) * kept + (N - kept);  // a dropped token still sees itself
  }
  return sum;
}

// The scores of all pairs, for their maxima and, with dkeep, their gradients; products with values and the
// gradients of q, k and v only where a pair weighs something.
inline Cost cost(const AttentionForward& a, Known known = Known::sizes) {
  const AttentionPairs pairs = attention_pairs(a, known);
  const double E = static_cast<double>(a.H) * a.D, element = static_cast<double>(bytes_of(a.out.type));
  return {2 * (pairs.all + pairs.weighing) * E,
          pairs.tokens * (element * 4 * E + 4 * (1 + (a.best ? 3 : 2) * a.H)), pairs.weighing * a.H};
}

inline Cost cost(const AttentionBackward& a, Known known = Known::sizes) {
  const AttentionPairs pairs = attention_pairs(a, known);
  const double seen = a.dkeep ? pairs.all : pairs.weighing;
  const double E = static_cast<double>(a.H) * a.D, element = static_cast<double>(bytes_of(a.dout.type));
  return {(4 * seen + 6 * pairs.weighing) * E,
          pairs.tokens * (element * 8 * E + 4 * (2 + (a.best ? 3 : 2) * a.H)), seen * a.H};
}

}  // namespace stp

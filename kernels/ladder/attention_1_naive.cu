// Rung 1: a thread for each query, everything in device memory.
//
//   m_i = max_j s_ij     out_i = sum_j (p_ij + smoothing / N) v_j / (sum_j p_ij + smoothing)
//
// Plan: one walk over all keys for the maximum, one for the weights; the sums of the output are read and
// written again for every key. What it teaches: the formula, and that each key is read by every thread anew: N
// times the keys and values.
#include "kernels/cuda/attention_head.cuh"
#include "kernels/ladder/ladder.h"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kThreads = 64;

__global__ void __launch_bounds__(kThreads) attention_1_kernel(AttentionForward a) {
  const Head head = head_of(a);
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= head.tokens) return;
  const float* const qkv = a.qkv.f32();
  float* const out = a.out.f32() + head.out(i);
  const auto score = [&](int j) {
    float sum = 0;
    for (int d = 0; d < head.D; ++d) sum += qkv[head.qkv(i, 0) + d] * qkv[head.qkv(j, 1) + d];
    return a.scale * sum;
  };

  float m = score(0), z = a.smoothing;
  for (int j = 1; j < head.tokens; ++j) m = fmaxf(m, score(j));
  for (int d = 0; d < head.D; ++d) out[d] = 0;
  for (int j = 0; j < head.tokens; ++j) {
    const float w = i == j || !a.keep ? 1.0f : a.keep[head.first + j];  // a token always sees itself
    const float p = w * expf(score(j) - m);
    z += p;
    const float share = p + a.smoothing / static_cast<float>(head.tokens);
    for (int d = 0; d < head.D; ++d) out[d] += share * qkv[head.qkv(j, 2) + d];
  }
  for (int d = 0; d < head.D; ++d) out[d] /= z;
  if (a.lse) a.lse[head.row(i)] = m + logf(z);
  if (a.inverse_z) a.inverse_z[head.row(i)] = 1.0f / z;
}

}  // namespace

void attention_1_naive(const AttentionForward& a) {
  const dim3 grid(static_cast<unsigned>((a.N + kThreads - 1) / kThreads), static_cast<unsigned>(a.B * a.H));
  launch("attention_1_naive", attention_1_kernel, grid, dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM::ladder

// Rung 3: one walk. The maximum so far stands in for the maximum; when it rises, what was summed shrinks.
//
//   m' = max(m, s_ij)     z' = z e^(m - m') + p_ij     sum' = sum e^(m - m') + p_ij v_j     p_ij = w_ij e^(s_ij
//   - m') out_i = (sum + smoothing mean_j v_j) / (z + smoothing)
//
// Plan: as rung 2 with the first walk gone; the smoothing's mean cannot shrink and is summed beside. What it
// teaches: the online softmax (Milakov and Gimelshein, 2018), the idea under every flash attention: half the
// scores, half the reads.
#include "kernels/ladder/attention_tiles.cuh"
#include "kernels/ladder/ladder.h"

namespace stp::STP_ROOM::ladder {
namespace {

// Behind the sums: the mean value of the head, (D).
__global__ void __launch_bounds__(kQueries) attention_3_kernel(AttentionForward a) {
  DYNAMIC_SHARED(float, memory);
  const Head head = head_of(a);
  const Shared s = shared_of(memory, head.D);
  float* const mean = s.sums + kQueries * (head.D + 1);
  const int i = static_cast<int>(blockIdx.x * kQueries + threadIdx.x);
  const bool mine = i < head.tokens;
  float* const sums = s.sums + static_cast<int>(threadIdx.x) * (head.D + 1);
  for (int d = 0; d < head.D; ++d) sums[d] = 0;
  for (int d = static_cast<int>(threadIdx.x); d < head.D; d += kQueries) mean[d] = 0;

  float m = kLowest, z = 0;
  for (int begin = 0; begin < head.tokens; begin += kKeys) {
    const int count = load_tile(a, head, begin, s);
    sync_block();  // the tile is there before anyone reads it
    for (int k = 0; mine && k < count; ++k) {
      const float score = score_of(a, head, i, s.keys, k), higher = fmaxf(m, score);
      const float shrink = expf(m - higher), p = weight_of(a, head, i, begin + k) * expf(score - higher);
      m = higher;
      z = z * shrink + p;
      for (int d = 0; d < head.D; ++d) sums[d] = sums[d] * shrink + p * s.values[k * head.D + d];
    }
    // Each thread has its own columns of the mean, tile after tile.
    for (int d = static_cast<int>(threadIdx.x); d < head.D; d += kQueries)
      for (int k = 0; k < count; ++k) mean[d] += s.values[k * head.D + d] / static_cast<float>(head.tokens);
    sync_block();  // everyone has read before the next tile is written, and the mean is whole after the last
  }
  if (!mine) return;
  for (int d = 0; d < head.D; ++d) sums[d] += a.smoothing * mean[d];
  finish(a, head, i, sums, m, z + a.smoothing);
}

}  // namespace

void attention_3_online(const AttentionForward& a) {
  const std::size_t bytes = shared_bytes(a.D) + sizeof(float) * static_cast<std::size_t>(a.D);
  launch("attention_3_online", attention_3_kernel, grid_of(a), dim3(kQueries), bytes, a);
}

}  // namespace stp::STP_ROOM::ladder

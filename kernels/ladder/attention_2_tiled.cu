// Rung 2: keys and values pass through shared memory, a tile at a time, and serve all queries of a block.
//
//   m_i = max_j s_ij     out_i = sum_j (p_ij + smoothing / N) v_j / (sum_j p_ij + smoothing)
//
// Plan: still a thread for each query and two walks over the tiles, one for the maximum and one for the
// weights; sums of the output lie in shared memory. What it teaches: a key is read from device memory once a
// block, not once a thread; two barriers a tile are the price.
#include "kernels/ladder/attention_tiles.cuh"
#include "kernels/ladder/ladder.h"

namespace stp::STP_ROOM::ladder {
namespace {

__global__ void __launch_bounds__(kQueries) attention_2_kernel(AttentionForward a) {
  DYNAMIC_SHARED(float, memory);
  const Head head = head_of(a);
  const Shared s = shared_of(memory, head.D);
  const int i = static_cast<int>(blockIdx.x * kQueries + threadIdx.x);
  const bool mine = i < head.tokens;  // the others load tiles all the same
  float* const sums = s.sums + static_cast<int>(threadIdx.x) * (head.D + 1);
  for (int d = 0; d < head.D; ++d) sums[d] = 0;

  float m = kLowest, z = a.smoothing;
  for (int begin = 0; begin < head.tokens; begin += kKeys) {
    const int count = load_tile(a, head, begin, s);
    sync_block();  // the tile is there before anyone reads it
    for (int k = 0; mine && k < count; ++k) m = fmaxf(m, score_of(a, head, i, s.keys, k));
    sync_block();  // everyone has read before the next tile is written
  }
  for (int begin = 0; begin < head.tokens; begin += kKeys) {
    const int count = load_tile(a, head, begin, s);
    sync_block();  // as above
    for (int k = 0; mine && k < count; ++k) {
      const float p = weight_of(a, head, i, begin + k) * expf(score_of(a, head, i, s.keys, k) - m);
      const float share = p + a.smoothing / static_cast<float>(head.tokens);
      z += p;
      for (int d = 0; d < head.D; ++d) sums[d] += share * s.values[k * head.D + d];
    }
    sync_block();  // as above
  }
  if (mine) finish(a, head, i, sums, m, z);
}

}  // namespace

void attention_2_tiled(const AttentionForward& a) {
  launch("attention_2_tiled", attention_2_kernel, grid_of(a), dim3(kQueries), shared_bytes(a.D), a);
}

}  // namespace stp::STP_ROOM::ladder

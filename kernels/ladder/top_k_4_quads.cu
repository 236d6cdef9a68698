// Rung 4: four scores a read.
//
//   rank_i = |{j : s_j > s_i, or s_j = s_i and j < i}|     chosen where rank_i < K
//
// Plan: as rung 3, with the scores padded to whole quads by what comes behind every score. What it teaches: the
// loop was bound by reads, and a read of 16 bytes costs what one of 4 does. The next rung is
// kernels/cuda/select.cu: ballots in place of flags.
#include "kernels/ladder/top_k_ranks.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

__global__ void __launch_bounds__(kThreads) top_k_4_kernel(TopK a) {
  DYNAMIC_SHARED(float, scores);  // (padded), then a flag for each score
  const std::int64_t segment = blockIdx.x;
  const int padded = (a.P + 3) / 4 * 4;
  for (int i = static_cast<int>(threadIdx.x); i < padded; i += kThreads)
    scores[i] = i < a.P ? score_of(a, segment, i) : -INFINITY;
  sync_block();  // every score is written before ranks are counted
  choose(a, segment, reinterpret_cast<std::uint16_t*>(scores + padded), [&](int i) {
    const float mine = scores[i];
    int before = 0;
    for (int j = 0; j < padded; j += 4) {
      const float4 others = load16(scores + j);
      before += comes_before(others.x, j, mine, i) + comes_before(others.y, j + 1, mine, i) +
                comes_before(others.z, j + 2, mine, i) + comes_before(others.w, j + 3, mine, i);
    }
    return before;
  });
}

}  // namespace

void top_k_4_quads(const TopK& a) {
  const std::size_t padded = static_cast<std::size_t>(a.P + 3) / 4 * 4;
  launch("top_k_4_quads", top_k_4_kernel, grid_of(a), dim3(kThreads),
         padded * (sizeof(float) + sizeof(std::uint16_t)), a);
}

}  // namespace stp::STP_ROOM::ladder

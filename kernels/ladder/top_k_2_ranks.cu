// Rung 2: every score counts who comes before it.
//
//   rank_i = |{j : s_j > s_i, or s_j = s_i and j < i}|     chosen where rank_i < K
//
// Plan: a block for each segment, a thread for each score, which reads all others from device memory. What it
// teaches: P^2 comparisons side by side beat K P one after another, and no sort is needed: ranks are places.
#include "kernels/ladder/top_k_ranks.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

__global__ void __launch_bounds__(kThreads) top_k_2_kernel(TopK a) {
  DYNAMIC_SHARED(std::uint16_t, flags);
  const std::int64_t segment = blockIdx.x;
  choose(a, segment, flags, [&](int i) {
    const float mine = score_of(a, segment, i);
    int before = 0;
    for (int j = 0; j < a.P; ++j) before += comes_before(score_of(a, segment, j), j, mine, i);
    return before;
  });
}

}  // namespace

void top_k_2_ranks(const TopK& a) {
  launch("top_k_2_ranks", top_k_2_kernel, grid_of(a), dim3(kThreads),
         sizeof(std::uint16_t) * static_cast<std::size_t>(a.P), a);
}

}  // namespace stp::STP_ROOM::ladder

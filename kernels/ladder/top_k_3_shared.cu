// Rung 3: the scores lie in shared memory while ranks are counted.
//
//   rank_i = |{j : s_j > s_i, or s_j = s_i and j < i}|     chosen where rank_i < K
//
// Plan: as rung 2, with one read of device memory for each score. What it teaches: all lanes of a warp ask for
// the same word, which shared memory hands to all of them at once.
#include "kernels/ladder/top_k_ranks.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

__global__ void __launch_bounds__(kThreads) top_k_3_kernel(TopK a) {
  DYNAMIC_SHARED(float, scores);  // (P), then a flag for each
  const std::int64_t segment = blockIdx.x;
  for (int i = static_cast<int>(threadIdx.x); i < a.P; i += kThreads) scores[i] = score_of(a, segment, i);
  sync_block();  // every score is written before ranks are counted
  choose(a, segment, reinterpret_cast<std::uint16_t*>(scores + a.P), [&](int i) {
    int before = 0;
    for (int j = 0; j < a.P; ++j) before += comes_before(scores[j], j, scores[i], i);
    return before;
  });
}

}  // namespace

void top_k_3_shared(const TopK& a) {
  const std::size_t bytes = static_cast<std::size_t>(a.P) * (sizeof(float) + sizeof(std::uint16_t));
  launch("top_k_3_shared", top_k_3_kernel, grid_of(a), dim3(kThreads), bytes, a);
}

}  // namespace stp::STP_ROOM::ladder

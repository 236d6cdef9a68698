// Rung 1: a thread for each segment takes the best of what is left, K times.
//
//   chosen_r = the first, in the order of scores, behind chosen_(r - 1)
//
// Plan: the thread remembers the last score and position it took and looks for what comes next; asked for
// positions in order, it sorts them in by insertion. What it teaches: K P steps one after another by one
// thread, while a GPU stands by.
#include "kernels/cuda/rank.cuh"
#include "kernels/ladder/ladder.h"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kThreads = 32;

__global__ void __launch_bounds__(kThreads) top_k_1_kernel(TopK a) {
  const std::int64_t segment = grid_first();
  if (segment >= a.segments) return;
  int* const chosen = a.chosen + segment * a.K;
  int last = -1;
  float last_score = 0;
  for (int k = 0; k < a.K; ++k) {
    int best = -1;
    float best_score = 0;
    for (int i = 0; i < a.P; ++i) {
      const float score = score_of(a, segment, i);
      if (last >= 0 && !comes_before(last_score, last, score, i)) continue;  // taken already
      if (best >= 0 && !comes_before(score, i, best_score, best)) continue;
      best = i;
      best_score = score;
    }
    last = best;
    last_score = best_score;
    int place = k;
    const int position = static_cast<int>(segment * a.P) + best;
    for (; !a.by_score && place > 0 && chosen[place - 1] > position; --place) chosen[place] = chosen[place - 1];
    chosen[place] = position;
  }
}

}  // namespace

void top_k_1_repeated(const TopK& a) {
  const dim3 grid(static_cast<unsigned>((a.segments + kThreads - 1) / kThreads));
  launch("top_k_1_repeated", top_k_1_kernel, grid, dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM::ladder

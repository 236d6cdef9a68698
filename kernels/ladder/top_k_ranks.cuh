// What the rungs that count ranks share: how a rank becomes a place.
#pragma once

#include "kernels/cuda/rank.cuh"
#include "kernels/ladder/ladder.h"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kThreads = 128;

// A block for each segment; rank(i) is how many scores come before score i. By score the rank is the place; by
// position the place is how many chosen ones lie before, which flags in shared memory tell.
template <class Rank>
__device__ __forceinline__ void choose(const TopK& a, std::int64_t segment, std::uint16_t* flags,
                                       const Rank& rank) {
  int* const chosen = a.chosen + segment * a.K;
  for (int i = static_cast<int>(threadIdx.x); i < a.P; i += kThreads) {
    const int before = rank(i);
    flags[i] = before < a.K;
    if (a.by_score && before < a.K) chosen[before] = static_cast<int>(segment * a.P) + i;
  }
  sync_block();  // every flag is set before anyone counts them
  for (int i = static_cast<int>(threadIdx.x); !a.by_score && i < a.P; i += kThreads) {
    if (!flags[i]) continue;
    int place = 0;
    for (int j = 0; j < i; ++j) place += flags[j];
    chosen[place] = static_cast<int>(segment * a.P) + i;
  }
}

inline dim3 grid_of(const TopK& a) { return dim3(static_cast<unsigned>(a.segments)); }

}  // namespace
}  // namespace stp::STP_ROOM::ladder

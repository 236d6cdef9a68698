// The order of scores: the higher first, among equals the lower position, NaN behind all numbers.
#pragma once

#include "kernels/cuda/tile.cuh"
#include "kernels/select.h"

namespace stp::STP_ROOM {
namespace {

__device__ __forceinline__ float score_of(const TopK& a, std::int64_t segment, int i) {
  const float score = a.scores[(segment * a.P + i) * a.stride];
  return score == score ? score : -INFINITY;
}
__device__ __forceinline__ int comes_before(float other, int j, float mine, int i) {
  return other > mine || (other == mine && j < i) ? 1 : 0;
}

}  // namespace
}  // namespace stp::STP_ROOM

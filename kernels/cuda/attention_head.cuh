// Where one head of one clip lies in the packed arrays of attention.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

struct Head {
  std::int64_t first;
  int tokens, heads, head, D;

  __device__ std::int64_t qkv(int token, int part) const {
    return (((first + token) * 3 + part) * heads + head) * D;
  }
  __device__ std::int64_t out(int token) const { return ((first + token) * heads + head) * D; }
  __device__ std::int64_t row(int token) const {
    return first * heads + static_cast<std::int64_t>(head) * tokens + token;
  }
};

// Of the block's row of the grid: heads of a clip are neighbours.
template <class Args>
__device__ Head head_of(const Args& a) {
  const int b = static_cast<int>(blockIdx.y) / a.H, h = static_cast<int>(blockIdx.y) % a.H;
  const std::int64_t first = a.offsets ? a.offsets[b] : static_cast<std::int64_t>(b) * a.N;
  const int tokens = a.offsets ? static_cast<int>(a.offsets[b + 1] - first) : a.N;
  return {first, tokens, a.H, h, a.D};
}

// What backward knows of a row: delta_i, the share smoothing / z_i (delta_i - dout_i . mean v) that
// goes to the key of the row's maximum, and which key that is (as bits). The first pass writes the first two,
// the pass over queries the third, the pass over keys reads all.
struct RowFacts {
  float delta, share, best;
};
static_assert(sizeof(RowFacts) == AttentionBackward::kRowFloats * sizeof(float));

}  // namespace
}  // namespace stp::STP_ROOM

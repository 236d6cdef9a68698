// Policy attention on tensor cores, in bf16 or with tf32 products of f32, forward (the mathematics stands in
// kernels/attention.h): flash attention with a multiplied mask. 5 warps of 16 queries, tiles of 80 keys (40 in
// f32): 392 tokens then waste 4 %.
//
// The plan: a warp keeps its queries' fragments, scores and sums in registers; keys and values of a tile come
// by asynchronous copies, the next tile on its way while this one is used. Scores never leave the warp: their
// fragment, as it comes out of the first product, is what the second one wants.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/attention_fragments.cuh"

namespace stp::STP_ROOM {
namespace {

// One warp's 16 queries against everything.
template <class T, int D>
class QueryRows {
 public:
  using S = MmaTile<T, D>;
  static constexpr int kKeyBlocks = S::kRows / 8;

  __device__ QueryRows(const AttentionForward& a, const Head& head, int begin)
      : a_(a), head_(head), begin_(begin), tokens_(begin) {
    clear<D>(out_);
  }

  // From a tile of the block's queries.
  __device__ void load(const T* queries) { q_.load(queries); }

  // One tile of keys, from `begin` on.
  __device__ void attend(const T* keys, const T* values, const float* keep, int begin) {
    float s[kKeyBlocks][4];
    STP_UNROLL
    for (int n = 0; n < kKeyBlocks; ++n) dot_block(q_, keys, n, s[n]);
    raise_maximum(s, begin);
    STP_UNROLL
    for (int n = 0; n < kKeyBlocks; ++n) {
      for (int i = 0; i < 4; ++i) {
        const int key = column_of(n, i), half = i / 2;
        const float w = begin + key == tokens_.of[half] ? 1.0f : keep[key];  // a token always sees itself
        const float e = exp2_fast((s[n][i] - maximum_.of[half]) * slope());
        s[n][i] = begin + key < head_.tokens ? w * e : 0.0f;
        z_.of[half] += s[n][i];
      }
    }
    STP_UNROLL
    for (int k = 0; k < S::kChunks; ++k) add_rows<D>(s + S::kSides * k, values, k, out_);
  }

  // out and what backward saves; `mean` is (D), `tile` free to be written.
  __device__ void finish(const float* mean, T* tile) {
    Pair inverse;
    for (int half = 0; half < 2; ++half) {
      const float z = quad_sum(z_.of[half]) + a_.smoothing;
      inverse.of[half] = 1.0f / z;
      const int token = tokens_.of[half];
      if (token >= head_.tokens || lane_id() % 4 > 0) continue;
      if (a_.lse) a_.lse[head_.row(token)] = maximum_.of[half] * a_.scale + logf(z);
      if (a_.inverse_z) a_.inverse_z[head_.row(token)] = inverse.of[half];
    }
    write_rows<D>(tile, typed<T>(a_.out), false, head_, kOutShaped, begin_, [&](int n, int i) {
      return (out_[n][i] + a_.smoothing * mean[column_of(n, i)]) * inverse.of[i / 2];
    });
  }

 private:
  // Scores are kept without the scale: the exponent takes it, and the change of base, in one factor.
  __device__ float slope() const { return a_.scale * kLog2E; }

  // The maxima over this tile too; what was summed so far shrinks to fit.
  __device__ void raise_maximum(const float (&s)[kKeyBlocks][4], int begin) {
    Pair highest = maximum_;
    STP_UNROLL
    for (int n = 0; n < kKeyBlocks; ++n) {
      for (int i = 0; i < 4; ++i)
        if (begin + column_of(n, i) < head_.tokens) highest.of[i / 2] = fmaxf(highest.of[i / 2], s[n][i]);
    }
    for (int half = 0; half < 2; ++half) {
      highest.of[half] = quad_max(highest.of[half]);
      const float shrink = exp2_fast((maximum_.of[half] - highest.of[half]) * slope());
      maximum_.of[half] = highest.of[half];
      z_.of[half] *= shrink;
      STP_UNROLL
      for (int n = 0; n < S::kBlocks; ++n) {
        out_[n][2 * half] *= shrink;
        out_[n][2 * half + 1] *= shrink;
      }
    }
  }

  const AttentionForward& a_;
  const Head head_;
  const int begin_;
  const RowTokens tokens_;
  RowFragments<T, D> q_;
  WideSums<D> out_;
  Pair maximum_{{-1e30f, -1e30f}}, z_{{0, 0}};
};

// Two blocks share a multiprocessor: at three, registers would spill.
template <class T, int D>
__global__ void __launch_bounds__(kMmaThreads, 2) forward_mma_kernel(AttentionForward a) {
  constexpr int kRows = MmaTile<T, D>::kRows;
  DYNAMIC_SHARED(T, memory);
  SHARED_ARRAY(float, keep, 2 * kRows);
  SHARED_ARRAY(float, mean, D);
  const Head head = head_of(a);
  const int begin = static_cast<int>(blockIdx.x) * kMmaTile, self = static_cast<int>(threadIdx.x);
  if (begin >= head.tokens) return;  // the whole block: a shorter clip of a packed batch
  const T* const qkv = typed<T>(a.qkv);

  QueryRows<T, D> queries(a, head, begin);
  float column[2] = {};  // of the sum of all values, two a thread
  const auto fetch_keep = [&](int first, int buffer) {
    load_tile_keep<kRows>(a.keep, head, first, keep + buffer * kRows);
  };
  walk_tiles<D>(
      memory, head, begin, {Source<T>{qkv, 0}}, {Source<T>{qkv, 1}, Source<T>{qkv, 2}},
      [&](const T* own) { queries.load(own); }, fetch_keep,
      [&](int first, int buffer, const T* keys, const T* values) {
        queries.attend(keys, values, keep + buffer * kRows, first);
        add_columns<D>(
            values, [](int) { return 1.0f; }, column);
      });
  if (self < D / 2) {
    mean[2 * self] = column[0] / static_cast<float>(head.tokens);
    mean[2 * self + 1] = column[1] / static_cast<float>(head.tokens);
  }
  sync_block();  // the mean is written before anyone reads it
  queries.finish(mean, memory);
}

}  // namespace
}  // namespace stp::STP_ROOM

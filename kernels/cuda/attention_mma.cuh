// Policy attention in bf16 on tensor cores, forward (the mathematics stands in kernels/attention.h): flash
// attention with a multiplied mask. Tiles of 80 keys, 5 warps of 16 queries: 392 tokens then waste 4 %.
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
template <int D>
class QueryRows {
 public:
  static constexpr int kKeyBlocks = kMmaTile / 8;

  __device__ QueryRows(const AttentionForward& a, const Head& head, int begin)
      : a_(a), head_(head), begin_(begin), tokens_(begin) {
    clear<D>(out_);
  }

  // From a tile of the block's queries.
  __device__ void load(const std::uint16_t* queries) { q_.load(queries); }

  // One tile of keys, from `begin` on.
  __device__ void attend(const std::uint16_t* keys, const std::uint16_t* values, const float* keep, int begin) {
    float s[kKeyBlocks][4];
    STP_UNROLL
    for (int n = 0; n < kKeyBlocks; ++n) dot_block<D>(q_, keys, n, s[n]);
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
    for (int k = 0; k < kKeyBlocks / 2; ++k) add_rows<D>(s[2 * k], s[2 * k + 1], values, k, out_);
  }

  // out and what backward saves; `mean` is (D), `tile` free to be written.
  __device__ void finish(const float* mean, std::uint16_t* tile) {
    Pair inverse;
    for (int half = 0; half < 2; ++half) {
      const float z = quad_sum(z_.of[half]) + a_.smoothing;
      inverse.of[half] = 1.0f / z;
      const int token = tokens_.of[half];
      if (token >= head_.tokens || lane_id() % 4 > 0) continue;
      if (a_.lse) a_.lse[head_.row(token)] = maximum_.of[half] * a_.scale + logf(z);
      if (a_.inverse_z) a_.inverse_z[head_.row(token)] = inverse.of[half];
    }
    write_rows<D>(tile, a_.out.data, false, head_, kOutShaped, begin_, [&](int n, int i) {
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
      for (int n = 0; n < MmaTile<D>::kBlocks; ++n) {
        out_[n][2 * half] *= shrink;
        out_[n][2 * half + 1] *= shrink;
      }
    }
  }

  const AttentionForward& a_;
  const Head head_;
  const int begin_;
  const RowTokens tokens_;
  RowFragments<D> q_;
  WideSums<D> out_;
  Pair maximum_{{-1e30f, -1e30f}}, z_{{0, 0}};
};

// Two blocks share a multiprocessor: at three, registers would spill.
template <int D>
__global__ void __launch_bounds__(kMmaThreads, 2) forward_mma_kernel(AttentionForward a) {
  using S = MmaTile<D>;
  DYNAMIC_SHARED(std::uint16_t, memory);
  SHARED_ARRAY(float, keep, 2 * kMmaTile);
  SHARED_ARRAY(float, mean, D);
  const Head head = head_of(a);
  const int begin = static_cast<int>(blockIdx.x) * kMmaTile, self = static_cast<int>(threadIdx.x);
  if (begin >= head.tokens) return;  // the whole block: a shorter clip of a packed batch
  const auto* qkv = static_cast<const std::uint16_t*>(a.qkv.data);
  std::uint16_t *const keys = memory, *const values = memory + 2 * S::kValues;

  const auto fetch = [&](int first, int buffer) {
    copy_tile<D>(qkv, head, 1, first, keys + buffer * S::kValues);
    copy_tile<D>(qkv, head, 2, first, values + buffer * S::kValues);
    commit_copies();
    load_tile_keep(a.keep, head, first, keep + buffer * kMmaTile);
  };

  QueryRows<D> queries(a, head, begin);
  float column[2] = {};  // of the sum of all values, two a thread
  // The queries come first, by way of the buffer that is filled last.
  copy_tile<D>(qkv, head, 0, begin, keys + S::kValues);
  commit_copies();
  fetch(0, 0);
  wait_copies<1>();
  sync_block();  // everyone's copies of the queries are there before anyone reads them
  queries.load(keys + S::kValues);
  sync_block();  // everyone has read them before their buffer is filled with keys
  for (int first = 0, buffer = 0; first < head.tokens; first += kMmaTile, buffer ^= 1) {
    if (first + kMmaTile < head.tokens) {
      fetch(first + kMmaTile, buffer ^ 1);
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    sync_block();  // everyone's copies of this tile, and its keep values, are there before anyone reads them
    const std::uint16_t* v = values + buffer * S::kValues;
    queries.attend(keys + buffer * S::kValues, v, keep + buffer * kMmaTile, first);
    add_columns<D>(
        v, [](int) { return 1.0f; }, column);
    sync_block();  // everyone has read before this buffer is filled again
  }
  if (self < D / 2) {
    mean[2 * self] = column[0] / static_cast<float>(head.tokens);
    mean[2 * self + 1] = column[1] / static_cast<float>(head.tokens);
  }
  sync_block();  // the mean is written before anyone reads it
  queries.finish(mean, keys);
}

}  // namespace
}  // namespace stp::STP_ROOM

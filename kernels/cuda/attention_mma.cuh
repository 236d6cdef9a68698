// Policy attention in bf16 on tensor cores, forward (the mathematics stands in kernels/attention.h): flash
// attention with a multiplied mask. Tiles of 80 keys, 5 warps of 16 queries: 392 tokens then waste 4 % (notes
// on the choice in README.md).
//
// The plan: a warp keeps its queries' fragments, scores and sums in registers; keys and values of a tile come
// by asynchronous copies, the next tile on its way while this one is used. Rows in shared memory are 16 bytes
// longer than D values, so that ldmatrix meets no bank twice. Scores never leave the warp: their fragment, as
// it comes out of the first product, is what the second one wants.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/attention_head.cuh"
#include "kernels/simt/ptx.h"

namespace stp::STP_ROOM {
namespace {

constexpr int kMmaWarps = 5, kMmaThreads = kMmaWarps * kLanes;
constexpr int kMmaTile = 16 * kMmaWarps;  // queries of a block, keys of a tile
constexpr float kLog2E = 1.4426950408889634f;

template <int D>
struct MmaTile {
  static constexpr int kPitch = D + 8;
  static constexpr int kValues = kMmaTile * kPitch;
  // Keys and values, twice each.
  static constexpr std::size_t kBytes = 4 * kValues * sizeof(std::uint16_t);
};

// Starts copying tokens begin .. of a part into rows of shared memory; zeros where there are no more.
template <int D>
__device__ __forceinline__ void copy_tile(const std::uint16_t* qkv, const Head& head, int part, int begin,
                                          std::uint16_t* to) {
  constexpr int kChunks = D / 8;
  for (int i = static_cast<int>(threadIdx.x); i < kMmaTile * kChunks; i += kMmaThreads) {
    const int row = i / kChunks, chunk = i % kChunks * 8, token = begin + row;
    const bool there = token < head.tokens;
    copy16(to + row * MmaTile<D>::kPitch + chunk, qkv + head.qkv(there ? token : 0, part) + chunk,
           there ? 16 : 0);
  }
}

__device__ __forceinline__ float quad_sum(float value) {
  value += shuffle_xor(value, 1);
  return value + shuffle_xor(value, 2);
}
__device__ __forceinline__ float quad_max(float value) {
  value = fmaxf(value, shuffle_xor(value, 1));
  return fmaxf(value, shuffle_xor(value, 2));
}

// The two rows of a fragment that a lane holds: g and g + 8, g = lane / 4.
struct Pair {
  float of[2];
};

// One warp's 16 queries against everything.
template <int D>
class QueryTile {
 public:
  static constexpr int kSteps = D / 16, kKeyBlocks = kMmaTile / 8, kWidthBlocks = D / 8;

  __device__ QueryTile(const AttentionForward& a, const Head& head, int begin)
      : a_(a), head_(head), lane_(static_cast<int>(threadIdx.x) % kLanes) {
    const int first = begin + static_cast<int>(threadIdx.x) / kLanes * 16 + lane_ / 4;
    for (int half = 0; half < 2; ++half) row_[half] = first + 8 * half;
    const auto* qkv = static_cast<const std::uint16_t*>(a.qkv.data);
    for (int half = 0; half < 2; ++half) {
      const int token = row_[half] < head.tokens ? row_[half] : head.tokens - 1;
      const auto* q = reinterpret_cast<const std::uint32_t*>(qkv + head.qkv(token, 0));
      STP_UNROLL
      for (int k = 0; k < kSteps; ++k) {
        q_[k][half] = q[8 * k + lane_ % 4];
        q_[k][half + 2] = q[8 * k + 4 + lane_ % 4];
      }
    }
    STP_UNROLL
    for (int n = 0; n < kWidthBlocks; ++n)
      for (int i = 0; i < 4; ++i) out_[n][i] = 0;
  }

  // One tile of keys, from `begin` on.
  __device__ void attend(const std::uint16_t* keys, const std::uint16_t* values, const float* keep, int begin) {
    float s[kKeyBlocks][4];
    score(keys, s);
    Pair highest = maximum_;
    STP_UNROLL
    for (int n = 0; n < kKeyBlocks; ++n) {
      for (int i = 0; i < 4; ++i) {
        if (begin + key(n, i) < head_.tokens) highest.of[i / 2] = fmaxf(highest.of[i / 2], s[n][i]);
      }
    }
    for (int half = 0; half < 2; ++half) {
      highest.of[half] = quad_max(highest.of[half]);
      const float shrink = exp2_fast((maximum_.of[half] - highest.of[half]) * slope());
      maximum_.of[half] = highest.of[half];
      z_.of[half] *= shrink;
      STP_UNROLL
      for (int n = 0; n < kWidthBlocks; ++n) {
        out_[n][2 * half] *= shrink;
        out_[n][2 * half + 1] *= shrink;
      }
    }
    STP_UNROLL
    for (int n = 0; n < kKeyBlocks; ++n) {
      for (int i = 0; i < 4; ++i) {
        const int k = key(n, i), half = i / 2;
        const float w = begin + k == row_[half] ? 1.0f : keep[k];  // a token always sees itself
        const float e = exp2_fast((s[n][i] - maximum_.of[half]) * slope());
        s[n][i] = begin + k < head_.tokens ? w * e : 0.0f;
        z_.of[half] += s[n][i];
      }
    }
    multiply(values, s);
  }

  // out and what backward saves; `mean` is (D).
  __device__ void finish(const float* mean) {
    auto* out = static_cast<std::uint16_t*>(a_.out.data);
    for (int half = 0; half < 2; ++half) {
      const float z = quad_sum(z_.of[half]) + a_.smoothing, inverse = 1.0f / z;
      if (row_[half] >= head_.tokens) continue;
      auto* row = reinterpret_cast<std::uint32_t*>(out + head_.out(row_[half]));
      STP_UNROLL
      for (int n = 0; n < kWidthBlocks; ++n) {
        const int d = 8 * n + lane_ % 4 * 2;
        row[d / 2] = pack_bf16((out_[n][2 * half] + a_.smoothing * mean[d]) * inverse,
                               (out_[n][2 * half + 1] + a_.smoothing * mean[d + 1]) * inverse);
      }
      if (lane_ % 4 > 0) continue;
      if (a_.lse) a_.lse[head_.row(row_[half])] = maximum_.of[half] * a_.scale + logf(z);
      if (a_.inverse_z) a_.inverse_z[head_.row(row_[half])] = inverse;
    }
  }

 private:
  // Scores are kept without the scale: the exponent takes it, and the change of base, in one factor.
  __device__ float slope() const { return a_.scale * kLog2E; }
  // Which key of a tile element i of block n is.
  __device__ int key(int n, int i) const { return 8 * n + lane_ % 4 * 2 + i % 2; }

  // s = q k^T: a row of keys in memory is a column of the second operand, as ldmatrix delivers it.
  __device__ void score(const std::uint16_t* keys, float (&s)[kKeyBlocks][4]) const {
    STP_UNROLL
    for (int n = 0; n < kKeyBlocks; ++n) {
      for (int i = 0; i < 4; ++i) s[n][i] = 0;
      STP_UNROLL
      for (int k = 0; k < kSteps; k += 2) {
        std::uint32_t b[4];
        load_matrices(b, keys + (8 * n + lane_ % 8) * MmaTile<D>::kPitch + 16 * k + lane_ / 8 * 8);
        const std::uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
        mma_bf16(s[n], q_[k], low);
        mma_bf16(s[n], q_[k + 1], high);
      }
    }
  }

  // out += p v
  __device__ void multiply(const std::uint16_t* values, const float (&p)[kKeyBlocks][4]) {
    STP_UNROLL
    for (int k = 0; k < kMmaTile / 16; ++k) {
      const std::uint32_t weights[4] = {
          pack_bf16(p[2 * k][0], p[2 * k][1]), pack_bf16(p[2 * k][2], p[2 * k][3]),
          pack_bf16(p[2 * k + 1][0], p[2 * k + 1][1]), pack_bf16(p[2 * k + 1][2], p[2 * k + 1][3])};
      STP_UNROLL
      for (int n = 0; n < kWidthBlocks; n += 2) {
        std::uint32_t b[4];
        load_matrices_transposed(b,
                                 values + (16 * k + lane_ % 16) * MmaTile<D>::kPitch + 8 * n + lane_ / 16 * 8);
        const std::uint32_t left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
        mma_bf16(out_[n], weights, left);
        mma_bf16(out_[n + 1], weights, right);
      }
    }
  }

  const AttentionForward& a_;
  const Head head_;
  int lane_;
  int row_[2];
  std::uint32_t q_[kSteps][4];
  float out_[kWidthBlocks][4];
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
    if (self < kMmaTile)
      keep[buffer * kMmaTile + self] =
          a.keep && first + self < head.tokens ? a.keep[head.first + first + self] : 1.0f;
  };

  QueryTile<D> queries(a, head, begin);
  float column[2] = {};  // of the sum of all values, two a thread
  fetch(0, 0);
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
    if (self < D / 2) {
      for (int j = 0; j < kMmaTile; ++j) {
        const std::uint32_t pair = *reinterpret_cast<const std::uint32_t*>(v + j * S::kPitch + 2 * self);
        column[0] += as_float(pair << 16);
        column[1] += as_float(pair & 0xffff0000u);
      }
    }
    sync_block();  // everyone has read before this buffer is filled again
  }
  if (self < D / 2) {
    mean[2 * self] = column[0] / static_cast<float>(head.tokens);
    mean[2 * self + 1] = column[1] / static_cast<float>(head.tokens);
  }
  sync_block();  // the mean is written before anyone reads it
  queries.finish(mean);
}

}  // namespace
}  // namespace stp::STP_ROOM

// What attention on tensor cores is made of: a warp's 16 rows as fragments, tiles of 80 rows in shared memory,
// and the two products between them (lane layouts: kernels/simt/ptx.h).
//
// Rows in shared memory are 16 bytes longer than D values, so that ldmatrix meets no bank twice.
#pragma once

#include "kernels/cuda/attention_head.cuh"
#include "kernels/simt/ptx.h"

namespace stp::STP_ROOM {
namespace {

constexpr int kMmaWarps = 5, kMmaThreads = kMmaWarps * kLanes;
constexpr int kMmaTile = 16 * kMmaWarps;  // rows that a block owns, and rows of a tile that it walks over
constexpr float kLog2E = 1.4426950408889634f;
constexpr int kOutShaped = 3;  // in place of a part of qkv: an array like out

template <int D>
struct MmaTile {
  static constexpr int kPitch = D + 8;
  static constexpr int kValues = kMmaTile * kPitch;
  static constexpr int kSteps = D / 16;  // of a product over D
  static constexpr int kBlocks = D / 8;  // of a product that is D wide
  // Two kinds of rows, twice each: one pair is used while the next is on its way.
  static constexpr std::size_t kBytes = 4 * kValues * sizeof(std::uint16_t);
};

__device__ __forceinline__ int lane_id() { return static_cast<int>(threadIdx.x) % kLanes; }

// The first of the 16 rows of a tile that this warp owns.
__device__ __forceinline__ int first_row() { return static_cast<int>(threadIdx.x) / kLanes * 16; }

__device__ __forceinline__ std::int64_t place(const Head& head, int token, int part) {
  return part == kOutShaped ? head.out(token) : head.qkv(token, part);
}

// Starts copying tokens begin .. of a part into rows of shared memory; zeros where there are no more.
template <int D>
__device__ __forceinline__ void copy_tile(const std::uint16_t* from, const Head& head, int part, int begin,
                                          std::uint16_t* to) {
  constexpr int kChunks = D / 8;
  for (int i = static_cast<int>(threadIdx.x); i < kMmaTile * kChunks; i += kMmaThreads) {
    const int row = i / kChunks, chunk = i % kChunks * 8, token = begin + row;
    const bool there = token < head.tokens;
    copy16(to + row * MmaTile<D>::kPitch + chunk, from + place(head, there ? token : 0, part) + chunk,
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

// A number for each of the two rows of a fragment that a lane holds: g and g + 8, g = lane / 4.
struct Pair {
  float of[2];
};

// The tokens of those two rows in the tile that begins at `begin`: a warp owns 16 of its rows.
struct RowTokens {
  int of[2];
  __device__ explicit RowTokens(int begin) {
    const int first = begin + first_row() + lane_id() / 4;
    of[0] = first;
    of[1] = first + 8;
  }
};

// Which column of a product's block of 8 element i is.
__device__ __forceinline__ int column_of(int block, int i) { return 8 * block + lane_id() % 4 * 2 + i % 2; }

// A warp's 16 rows as first operands, from a tile whose rows the block owns.
template <int D>
struct RowFragments {
  std::uint32_t of[MmaTile<D>::kSteps][4];

  __device__ void load(const std::uint16_t* tile) {
    const std::uint16_t* row = tile + (first_row() + lane_id() % 16) * MmaTile<D>::kPitch + lane_id() / 16 * 8;
    STP_UNROLL
    for (int k = 0; k < MmaTile<D>::kSteps; ++k) load_matrices(of[k], row + 16 * k);
  }
};

// Eight bf16 at once.
__device__ __forceinline__ float4 add_bf16(const float4& a, const float4& b) {
  const auto add = [](float x, float y) {
    const std::uint32_t p = as_bits(x), q = as_bits(y);
    return as_float(pack_bf16(as_float(p << 16) + as_float(q << 16),
                              as_float(p & 0xffff0000u) + as_float(q & 0xffff0000u)));
  };
  return make_float4(add(a.x, b.x), add(a.y, b.y), add(a.z, b.z), add(a.w, b.w));
}

// Writes the warp's 16 rows of results by way of its own rows of a tile that nobody reads any more, so that
// memory is written 16 bytes an access. value(n, i) is element i of block n.
template <int D, class Value>
__device__ __forceinline__ void write_rows(std::uint16_t* tile, void* to, bool add, const Head& head, int part,
                                           int begin, const Value& value) {
  constexpr int kPitch = MmaTile<D>::kPitch, kChunks = D / 8;
  std::uint16_t* const rows = tile + first_row() * kPitch;
  sync_warp();  // the warp has read what an earlier call wrote
  STP_UNROLL
  for (int n = 0; n < MmaTile<D>::kBlocks; ++n) {
    for (int half = 0; half < 2; ++half) {
      auto* pair = rows + (lane_id() / 4 + 8 * half) * kPitch + column_of(n, 0);
      *reinterpret_cast<std::uint32_t*>(pair) = pack_bf16(value(n, 2 * half), value(n, 2 * half + 1));
    }
  }
  sync_warp();  // the rows are written before other lanes read them
  STP_UNROLL
  for (int i = lane_id(); i < 16 * kChunks; i += kLanes) {
    const int row = i / kChunks, chunk = i % kChunks * 8, token = begin + first_row() + row;
    if (token >= head.tokens) continue;
    auto* place_of_row = static_cast<std::uint16_t*>(to) + place(head, token, part) + chunk;
    const float4 values = load16(rows + row * kPitch + chunk);
    store16(place_of_row, add ? add_bf16(values, load16(place_of_row)) : values);
  }
}

// s (16, 8) = rows times the transposed rows 8 n .. of a tile: a row in memory is a column of the second
// operand, as ldmatrix delivers it.
template <int D>
__device__ __forceinline__ void dot_block(const RowFragments<D>& rows, const std::uint16_t* tile, int n,
                                          float (&s)[4]) {
  for (int i = 0; i < 4; ++i) s[i] = 0;
  STP_UNROLL
  for (int k = 0; k < MmaTile<D>::kSteps; k += 2) {
    std::uint32_t b[4];
    load_matrices(b, tile + (8 * n + lane_id() % 8) * MmaTile<D>::kPitch + 16 * k + lane_id() / 8 * 8);
    const std::uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
    mma_bf16(s, rows.of[k], low);
    mma_bf16(s, rows.of[k + 1], high);
  }
}

template <int D>
using WideSums = float[MmaTile<D>::kBlocks][4];

// sums (16, D) += weights (16, 16) times rows 16 k .. of a tile. Two blocks of scores, as they came out of
// dot_block, are the weights' fragment.
template <int D>
__device__ __forceinline__ void add_rows(const float (&left)[4], const float (&right)[4],
                                         const std::uint16_t* tile, int k, WideSums<D>& sums) {
  const std::uint32_t weights[4] = {pack_bf16(left[0], left[1]), pack_bf16(left[2], left[3]),
                                    pack_bf16(right[0], right[1]), pack_bf16(right[2], right[3])};
  STP_UNROLL
  for (int n = 0; n < MmaTile<D>::kBlocks; n += 2) {
    std::uint32_t b[4];
    load_matrices_transposed(
        b, tile + (16 * k + lane_id() % 16) * MmaTile<D>::kPitch + 8 * n + lane_id() / 16 * 8);
    const std::uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
    mma_bf16(sums[n], weights, low);
    mma_bf16(sums[n + 1], weights, high);
  }
}

template <int D>
__device__ __forceinline__ void clear(WideSums<D>& sums) {
  STP_UNROLL
  for (int n = 0; n < MmaTile<D>::kBlocks; ++n)
    for (int i = 0; i < 4; ++i) sums[n][i] = 0;
}

// The column sums of a tile's rows, each row times its weight, two columns a thread of the first D / 2.
template <int D, class Weight>
__device__ __forceinline__ void add_columns(const std::uint16_t* tile, const Weight& weight,
                                            float (&column)[2]) {
  const int self = static_cast<int>(threadIdx.x);
  if (self >= D / 2) return;
  for (int row = 0; row < kMmaTile; ++row) {
    const auto pair = *reinterpret_cast<const std::uint32_t*>(tile + row * MmaTile<D>::kPitch + 2 * self);
    column[0] += weight(row) * as_float(pair << 16);
    column[1] += weight(row) * as_float(pair & 0xffff0000u);
  }
}

// The weights w_j of tokens begin .. of a clip, as they lie in a tile.
__device__ __forceinline__ void load_tile_keep(const float* keep, const Head& head, int begin, float* to) {
  const int self = static_cast<int>(threadIdx.x);
  if (self < kMmaTile) to[self] = keep && begin + self < head.tokens ? keep[head.first + begin + self] : 1.0f;
}

}  // namespace
}  // namespace stp::STP_ROOM

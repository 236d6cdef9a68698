// What attention on tensor cores is made of: a warp's 16 rows as fragments, tiles of rows in shared memory, the
// walk over them, and the two products between them (lane layouts: kernels/simt/ptx.h).
//
// T is the storage: Bf16, whose products are m16n8k16, or float, whose operands are rounded to tf32 and whose
// products are m16n8k8. An operand's 16 bytes are eight values of the one and four of the other, and ldmatrix,
// which knows only bytes, delivers the fragments of both.
#pragma once

#include "kernels/cuda/attention_head.cuh"
#include "kernels/simt/ptx.h"

namespace stp::STP_ROOM {
namespace {

constexpr int kMmaWarps = 5, kMmaThreads = kMmaWarps * kLanes;
constexpr int kMmaTile = 16 * kMmaWarps;  // rows that a block owns
constexpr float kLog2E = 1.4426950408889634f;
constexpr int kOutShaped = 3;  // in place of a part of qkv: an array like out

template <class T, int D>
struct MmaTile {
  static constexpr int kRun = 16 / sizeof(T);     // values of one access
  static constexpr int kDepth = 2 * kRun;         // of one mma
  static constexpr int kSides = kDepth / 8;       // blocks of scores that are the weights of one mma
  static constexpr int kChunks = 5;               // of a tile that is walked over: as deep as one mma each
  static constexpr int kRows = kChunks * kDepth;  // of that tile; both storages then take the same memory
  static constexpr int kPitch = D + kRun;         // ldmatrix meets no bank twice
  static constexpr int kValues = kRows * kPitch;
  static constexpr int kOwnValues = kMmaTile * kPitch;
  static constexpr int kSteps = D / kDepth;  // of a product over D
  static constexpr int kBlocks = D / 8;      // of a product that is D wide
  // Two kinds of rows, twice each: one pair is used while the next is on its way.
  static constexpr std::size_t kBytes = 4 * kValues * sizeof(T);
  static_assert(2 * kOwnValues <= 4 * kValues);
};

__device__ __forceinline__ int lane_id() { return static_cast<int>(threadIdx.x) % kLanes; }

// The first of the 16 rows of a tile that this warp owns.
__device__ __forceinline__ int first_row() { return static_cast<int>(threadIdx.x) / kLanes * 16; }

__device__ __forceinline__ std::int64_t place(const Head& head, int token, int part) {
  return part == kOutShaped ? head.out(token) : head.qkv(token, part);
}

// Where rows come from: an array and a part of qkv, or kOutShaped.
template <class T>
struct Source {
  const T* values;
  int part;
};

// This thread's runs of 16 bytes in the rows of a tile, from run `i` on.
template <class T, int D>
struct OwnRun {
  int row, d;
  __device__ explicit OwnRun(int i)
      : row(i / (D / MmaTile<T, D>::kRun)), d(i % (D / MmaTile<T, D>::kRun) * MmaTile<T, D>::kRun) {}
  static constexpr int count(int rows) { return rows * (D / MmaTile<T, D>::kRun); }
};

// Starts copying tokens begin .. into rows of shared memory; zeros where there are no more.
template <int D, int Rows, class T>
__device__ __forceinline__ void copy_rows(const Source<T>& from, const Head& head, int begin, T* to) {
  using Own = OwnRun<T, D>;
  STP_NO_UNROLL  // a copy does not wait for the one before it, and addresses of many would take registers
      for (int i = static_cast<int>(threadIdx.x); i < Own::count(Rows); i += kMmaThreads) {
    const Own run(i);
    const int token = begin + run.row;
    const bool there = token < head.tokens;
    copy16(to + run.row * MmaTile<T, D>::kPitch + run.d,
           from.values + place(head, there ? token : 0, from.part) + run.d, there ? 16 : 0);
  }
}

// Rounds to tf32 what this thread has copied; the barrier that shows the copies to others comes behind. So each
// value is rounded once, not by every warp that multiplies with it.
template <int D, int Rows>
__device__ __forceinline__ void round_rows(float* tile) {
  using Own = OwnRun<float, D>;
  for (int i = static_cast<int>(threadIdx.x); i < Own::count(Rows); i += kMmaThreads) {
    const Own run(i);
    float* const at = tile + run.row * MmaTile<float, D>::kPitch + run.d;
    const float4 v = load16(at);
    store16(at, make_float4(as_float(to_tf32(v.x)), as_float(to_tf32(v.y)), as_float(to_tf32(v.z)),
                            as_float(to_tf32(v.w))));
  }
}
template <int D, int Rows>
__device__ __forceinline__ void round_rows(Bf16*) {}

// Copies the block's own rows, from `begin` on, and gives them to take(tiles), kOwnValues apart; then copies
// tiles of the two kinds of the other side, one ahead, and calls body(first, buffer, kind 0, kind 1) for each.
// beside(first, buffer) fetches what else a tile needs.
template <int D, class T, int Own, class Take, class Beside, class Body>
__device__ __forceinline__ void walk_tiles(T* memory, const Head& head, int begin, const Source<T> (&own)[Own],
                                           const Source<T> (&other)[2], const Take& take, const Beside& beside,
                                           const Body& body) {
  using S = MmaTile<T, D>;
  // The own rows come by way of the second pair of tiles; where they need more, the first pair waits for them.
  constexpr bool kTogether = Own * S::kOwnValues <= 2 * S::kValues;
  T* const own_tiles = memory + (kTogether ? 2 * S::kValues : 0);
  const auto tile = [&](int buffer, int kind) { return memory + (2 * buffer + kind) * S::kValues; };
  const auto fetch = [&](int first, int buffer) {
    for (int kind = 0; kind < 2; ++kind) copy_rows<D, S::kRows>(other[kind], head, first, tile(buffer, kind));
    commit_copies();
    beside(first, buffer);
  };

  for (int kind = 0; kind < Own; ++kind)
    copy_rows<D, kMmaTile>(own[kind], head, begin, own_tiles + kind * S::kOwnValues);
  commit_copies();
  if (kTogether) fetch(0, 0);
  wait_copies<kTogether ? 1 : 0>();
  for (int kind = 0; kind < Own; ++kind) round_rows<D, kMmaTile>(own_tiles + kind * S::kOwnValues);
  sync_block();  // everyone's copies of the block's own rows are there before anyone reads them
  take(own_tiles);
  sync_block();  // everyone has read them before their memory is filled again
  if (!kTogether) fetch(0, 0);
  for (int first = 0, buffer = 0; first < head.tokens; first += S::kRows, buffer ^= 1) {
    if (first + S::kRows < head.tokens) {
      fetch(first + S::kRows, buffer ^ 1);
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    for (int kind = 0; kind < 2; ++kind) round_rows<D, S::kRows>(tile(buffer, kind));
    sync_block();  // everyone's copies of this tile are there before anyone reads them
    body(first, buffer, tile(buffer, 0), tile(buffer, 1));
    sync_block();  // everyone has read before this buffer is filled again
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
template <class T, int D>
struct RowFragments {
  using S = MmaTile<T, D>;
  std::uint32_t of[S::kSteps][4];

  __device__ void load(const T* tile) {
    const T* row = tile + (first_row() + lane_id() % 16) * S::kPitch + lane_id() / 16 * S::kRun;
    STP_UNROLL
    for (int k = 0; k < S::kSteps; ++k) load_matrices(of[k], row + S::kDepth * k);
  }
};

// Two neighbours, in one access.
struct Neighbours {
  float low, high;
};
__device__ __forceinline__ Neighbours halves(std::uint32_t pair) {
  return {as_float(pair << 16), as_float(pair & 0xffff0000u)};
}
__device__ __forceinline__ Neighbours load_pair(const Bf16* p) {
  return halves(*reinterpret_cast<const std::uint32_t*>(p));
}
__device__ __forceinline__ Neighbours load_pair(const float* p) {
  const uint2 bits = load8(p);
  return {as_float(bits.x), as_float(bits.y)};
}
__device__ __forceinline__ void store_pair(Bf16* p, float low, float high) {
  *reinterpret_cast<std::uint32_t*>(p) = pack_bf16(low, high);
}
__device__ __forceinline__ void store_pair(float* p, float low, float high) {
  store8(p, make_uint2(as_bits(low), as_bits(high)));
}

// Sixteen bytes of values plus sixteen of others.
template <class T>
__device__ __forceinline__ float4 add_run(const float4& a, const float4& b) {
  if constexpr (std::is_same_v<T, float>) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
  } else {
    const auto add = [](float x, float y) {
      const Neighbours p = halves(as_bits(x)), q = halves(as_bits(y));
      return as_float(pack_bf16(p.low + q.low, p.high + q.high));
    };
    return make_float4(add(a.x, b.x), add(a.y, b.y), add(a.z, b.z), add(a.w, b.w));
  }
}

// Writes the warp's 16 rows of results by way of its own rows of a tile that nobody reads any more, so that
// memory is written 16 bytes an access. value(n, i) is element i of block n.
template <int D, class T, class Value>
__device__ __forceinline__ void write_rows(T* tile, T* to, bool add, const Head& head, int part, int begin,
                                           const Value& value) {
  using S = MmaTile<T, D>;
  constexpr int kRuns = D / S::kRun;
  T* const rows = tile + first_row() * S::kPitch;
  sync_warp();  // the warp has read what an earlier call wrote
  STP_UNROLL
  for (int n = 0; n < S::kBlocks; ++n) {
    for (int half = 0; half < 2; ++half)
      store_pair(rows + (lane_id() / 4 + 8 * half) * S::kPitch + column_of(n, 0), value(n, 2 * half),
                 value(n, 2 * half + 1));
  }
  sync_warp();  // the rows are written before other lanes read them
  STP_UNROLL
  for (int i = lane_id(); i < 16 * kRuns; i += kLanes) {
    const int row = i / kRuns, d = i % kRuns * S::kRun, token = begin + first_row() + row;
    if (token >= head.tokens) continue;
    T* const place_of_row = to + place(head, token, part) + d;
    const float4 values = load16(rows + row * S::kPitch + d);
    store16(place_of_row, add ? add_run<T>(values, load16(place_of_row)) : values);
  }
}

template <class T>
__device__ __forceinline__ void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                             std::uint32_t b1) {
  const std::uint32_t b[2] = {b0, b1};
  if constexpr (std::is_same_v<T, float>) {
    mma_tf32(d, a, b);
  } else {
    mma_bf16(d, a, b);
  }
}

// s (16, 8) = rows times the transposed rows 8 n .. of a tile: a row in memory is a column of the second
// operand, as ldmatrix delivers it.
template <class T, int D>
__device__ __forceinline__ void dot_block(const RowFragments<T, D>& rows, const T* tile, int n, float (&s)[4]) {
  using S = MmaTile<T, D>;
  for (int i = 0; i < 4; ++i) s[i] = 0;
  STP_UNROLL
  for (int k = 0; k < S::kSteps; k += 2) {
    std::uint32_t b[4];
    load_matrices(b, tile + (8 * n + lane_id() % 8) * S::kPitch + S::kDepth * k + lane_id() / 8 * S::kRun);
    multiply_add<T>(s, rows.of[k], b[0], b[1]);
    multiply_add<T>(s, rows.of[k + 1], b[2], b[3]);
  }
}

template <int D>
using WideSums = float[D / 8][4];

// sums (16, D) += weights times the rows of chunk k of a tile. Blocks of scores, as they came out of dot_block,
// are the weights' fragment.
template <int D>
__device__ __forceinline__ void add_rows(const float (*weights)[4], const Bf16* tile, int k,
                                         WideSums<D>& sums) {
  using S = MmaTile<Bf16, D>;
  const auto &left = weights[0], &right = weights[1];
  const std::uint32_t a[4] = {pack_bf16(left[0], left[1]), pack_bf16(left[2], left[3]),
                              pack_bf16(right[0], right[1]), pack_bf16(right[2], right[3])};
  STP_UNROLL
  for (int n = 0; n < S::kBlocks; n += 2) {
    std::uint32_t b[4];
    load_matrices_transposed(b,
                             tile + (S::kDepth * k + lane_id() % 16) * S::kPitch + 8 * n + lane_id() / 16 * 8);
    multiply_add<Bf16>(sums[n], a, b[0], b[1]);
    multiply_add<Bf16>(sums[n + 1], a, b[2], b[3]);
  }
}

// A lane has columns 2 c and 2 c + 1 of the scores where the fragment in tf32 has c and c + 4. A product sums
// over them in any order, so the rows are taken in this one: 2 c and 2 c + 1, which meet no bank twice either.
template <int D>
__device__ __forceinline__ void add_rows(const float (*weights)[4], const float* tile, int k,
                                         WideSums<D>& sums) {
  using S = MmaTile<float, D>;
  const auto& w = weights[0];
  const std::uint32_t a[4] = {to_tf32(w[0]), to_tf32(w[2]), to_tf32(w[1]), to_tf32(w[3])};
  const float* row = tile + (S::kDepth * k + lane_id() % 4 * 2) * S::kPitch + lane_id() / 4;
  STP_UNROLL
  for (int n = 0; n < S::kBlocks; ++n)
    multiply_add<float>(sums[n], a, as_bits(row[8 * n]), as_bits(row[S::kPitch + 8 * n]));
}

template <int D>
__device__ __forceinline__ void clear(WideSums<D>& sums) {
  STP_UNROLL
  for (int n = 0; n < D / 8; ++n)
    for (int i = 0; i < 4; ++i) sums[n][i] = 0;
}

// The column sums of a tile's rows, each row times its weight, two columns a thread of the first D / 2.
template <int D, class T, class Weight>
__device__ __forceinline__ void add_columns(const T* tile, const Weight& weight, float (&column)[2]) {
  const int self = static_cast<int>(threadIdx.x);
  if (self >= D / 2) return;
  for (int row = 0; row < MmaTile<T, D>::kRows; ++row) {
    const Neighbours pair = load_pair(tile + row * MmaTile<T, D>::kPitch + 2 * self);
    column[0] += weight(row) * pair.low;
    column[1] += weight(row) * pair.high;
  }
}

// The weights w_j of tokens begin .. of a clip, as they lie in a tile.
template <int Rows>
__device__ __forceinline__ void load_tile_keep(const float* keep, const Head& head, int begin, float* to) {
  const int self = static_cast<int>(threadIdx.x);
  if (self < Rows) to[self] = keep && begin + self < head.tokens ? keep[head.first + begin + self] : 1.0f;
}

}  // namespace
}  // namespace stp::STP_ROOM

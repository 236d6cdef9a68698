// Policy attention in bf16 on tensor cores, backward (the mathematics stands in kernels/attention.h), behind
// the pass of attention.cu that notes delta and the share of the maximum of every row.
//
// The plan: two passes and no atomics. A block owns 80 queries and walks over the keys for dq, noting where
// each row has its maximum; then a block owns 80 keys and walks over the queries for dk, dv and dkeep. A warp
// owns 16 rows of either kind. In the second pass scores are computed transposed, keys by queries: their
// fragments are then the weights of the products that sum over queries, and no tile of scores is ever written
// to memory.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/attention_fragments.cuh"

namespace stp::STP_ROOM {
namespace {

// Copies the block's own two tiles by fetch_own(buffer) and takes them by take_own(buffer), then fetches tiles
// of the other side, one ahead, and calls body(first, buffer) for each.
template <int D, class FetchOwn, class TakeOwn, class Fetch, class Body>
__device__ __forceinline__ void walk_tiles(int tokens, const FetchOwn& fetch_own, const TakeOwn& take_own,
                                           const Fetch& fetch, const Body& body) {
  fetch_own(1);
  commit_copies();
  fetch(0, 0);
  commit_copies();
  wait_copies<1>();
  sync_block();  // everyone's copies of the block's own rows are there before anyone reads them
  take_own(1);
  sync_block();  // everyone has read them before their buffer is filled again
  for (int first = 0, buffer = 0; first < tokens; first += kMmaTile, buffer ^= 1) {
    if (first + kMmaTile < tokens) {
      fetch(first + kMmaTile, buffer ^ 1);
      commit_copies();
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    sync_block();  // everyone's copies of this tile are there before anyone reads them
    body(first, buffer);
    sync_block();  // everyone has read before this buffer is filled again
  }
}

//   forward: s_ij = scale q_i . k_j, so dq_i += scale (sum_j ds_ij k_j - share_i k_best)
template <int D>
__global__ void __launch_bounds__(kMmaThreads, 2) queries_mma_kernel(AttentionBackward a) {
  using S = MmaTile<D>;
  DYNAMIC_SHARED(std::uint16_t, memory);
  SHARED_ARRAY(float, keep, 2 * kMmaTile);
  const Head head = head_of(a);
  const int begin = static_cast<int>(blockIdx.x) * kMmaTile;
  if (begin >= head.tokens) return;  // the whole block: a shorter clip of a packed batch
  const auto* qkv = static_cast<const std::uint16_t*>(a.qkv.data);
  std::uint16_t *const keys = memory, *const values = memory + 2 * S::kValues;
  auto* const facts = reinterpret_cast<RowFacts*>(a.rows);

  const RowTokens tokens(begin);
  RowFragments<D> q, dout;
  Pair lse{}, delta{}, highest{{-1e30f, -1e30f}};
  int best[2] = {};
  for (int half = 0; half < 2; ++half) {
    if (tokens.of[half] >= head.tokens) continue;
    lse.of[half] = a.lse[head.row(tokens.of[half])] * kLog2E;
    delta.of[half] = facts[head.row(tokens.of[half])].delta;
  }
  WideSums<D> dq;
  clear<D>(dq);

  const auto fetch_own = [&](int buffer) {
    copy_tile<D>(qkv, head, 0, begin, keys + buffer * S::kValues);
    copy_tile<D>(static_cast<const std::uint16_t*>(a.dout.data), head, kOutShaped, begin,
                 values + buffer * S::kValues);
  };
  const auto take_own = [&](int buffer) {
    q.load(keys + buffer * S::kValues);
    dout.load(values + buffer * S::kValues);
  };
  const auto fetch = [&](int first, int buffer) {
    copy_tile<D>(qkv, head, 1, first, keys + buffer * S::kValues);
    copy_tile<D>(qkv, head, 2, first, values + buffer * S::kValues);
    load_tile_keep(a.keep, head, first, keep + buffer * kMmaTile);
  };
  walk_tiles<D>(head.tokens, fetch_own, take_own, fetch, [&](int first, int buffer) {
    const std::uint16_t *k = keys + buffer * S::kValues, *v = values + buffer * S::kValues;
    STP_NO_UNROLL
    for (int chunk = 0; chunk < kMmaTile / 16; ++chunk) {
      float ds[2][4];
      STP_UNROLL
      for (int side = 0; side < 2; ++side) {
        float s[4], g[4];
        dot_block<D>(q, k, 2 * chunk + side, s);
        dot_block<D>(dout, v, 2 * chunk + side, g);
        for (int i = 0; i < 4; ++i) {
          const int key = column_of(2 * chunk + side, i), half = i / 2, j = first + key;
          if (j < head.tokens && s[i] > highest.of[half]) {
            highest.of[half] = s[i];
            best[half] = j;
          }
          const float w = j == tokens.of[half] ? 1.0f : keep[buffer * kMmaTile + key];
          const float e = exp2_fast(s[i] * a.scale * kLog2E - lse.of[half]);
          ds[side][i] = j < head.tokens ? (g[i] - delta.of[half]) * w * e : 0.0f;
        }
      }
      add_rows<D>(ds[0], ds[1], k, chunk, dq);
    }
  });

  Pair share{};
  for (int half = 0; half < 2; ++half) {
    for (int step = 1; step < 4; step *= 2) {
      const float other = shuffle_xor(highest.of[half], step);
      const int key = shuffle_xor(best[half], step);
      // of equal scores the earlier key
      if (other > highest.of[half] || (other == highest.of[half] && key < best[half])) {
        highest.of[half] = other;
        best[half] = key;
      }
    }
    const int token = tokens.of[half];
    if (token >= head.tokens) continue;
    share.of[half] = facts[head.row(token)].share;
    // This lane alone writes the key; the others read only what lies beside it.
    if (lane_id() % 4 == 0) facts[head.row(token)].best = as_float(static_cast<std::uint32_t>(best[half]));
  }
  write_rows<D>(keys, a.dqkv.data, a.dqkv.add, head, 0, begin, [&](int n, int i) {
    if (a.smoothing == 0) return a.scale * dq[n][i];  // then the maximum cancels
    const auto* k = qkv + head.qkv(best[i / 2], 1) + column_of(n, 0);
    const std::uint32_t pair = *reinterpret_cast<const std::uint32_t*>(k);
    return a.scale * (dq[n][i] - share.of[i / 2] * as_float(i % 2 ? pair & 0xffff0000u : pair << 16));
  });
}

//   forward: out_i = sum_j (p_ij / z_i) v_j + smoothing / z_i mean_j v_j
//   so       dv_j += sum_i p_ij / z_i dout_i + smoothing / N sum_i dout_i / z_i
//            dk_j += scale sum_i ds_ij q_i        dkeep_j += sum_{i != j} (g_ij - delta_i) E_ij / z_i
template <int D>
__global__ void __launch_bounds__(kMmaThreads, 2) keys_mma_kernel(AttentionBackward a) {
  using S = MmaTile<D>;
  DYNAMIC_SHARED(std::uint16_t, memory);
  SHARED_ARRAY(float, lse, 2 * kMmaTile);
  SHARED_ARRAY(float, inverse_z, 2 * kMmaTile);
  SHARED_ARRAY(RowFacts, facts, 2 * kMmaTile);
  SHARED_ARRAY(float, constant, D);
  const Head head = head_of(a);
  const int begin = static_cast<int>(blockIdx.x) * kMmaTile, self = static_cast<int>(threadIdx.x);
  if (begin >= head.tokens) return;
  const auto* qkv = static_cast<const std::uint16_t*>(a.qkv.data);
  std::uint16_t *const queries = memory, *const douts = memory + 2 * S::kValues;

  const RowTokens tokens(begin);
  RowFragments<D> key, value;
  Pair keep{{1, 1}}, dkeep{};
  for (int half = 0; half < 2; ++half)
    if (a.keep && tokens.of[half] < head.tokens) keep.of[half] = a.keep[head.first + tokens.of[half]];
  WideSums<D> dk, dv;
  clear<D>(dk);
  clear<D>(dv);
  float column[2] = {};  // of sum_i dout_i / z_i

  const auto fetch_own = [&](int buffer) {
    copy_tile<D>(qkv, head, 1, begin, queries + buffer * S::kValues);
    copy_tile<D>(qkv, head, 2, begin, douts + buffer * S::kValues);
  };
  const auto take_own = [&](int buffer) {
    key.load(queries + buffer * S::kValues);
    value.load(douts + buffer * S::kValues);
  };
  const auto fetch = [&](int first, int buffer) {
    copy_tile<D>(qkv, head, 0, first, queries + buffer * S::kValues);
    copy_tile<D>(static_cast<const std::uint16_t*>(a.dout.data), head, kOutShaped, first,
                 douts + buffer * S::kValues);
    if (self >= kMmaTile) return;
    const int at = buffer * kMmaTile + self;
    const bool there = first + self < head.tokens;
    const std::int64_t row = head.row(first + self);
    lse[at] = there ? a.lse[row] * kLog2E : 0.0f;
    inverse_z[at] = there ? a.inverse_z[row] : 0.0f;
    facts[at] = there ? reinterpret_cast<const RowFacts*>(a.rows)[row] : RowFacts{0, 0, 0};
  };
  walk_tiles<D>(head.tokens, fetch_own, take_own, fetch, [&](int first, int buffer) {
    const std::uint16_t *q = queries + buffer * S::kValues, *dout = douts + buffer * S::kValues;
    STP_NO_UNROLL
    for (int chunk = 0; chunk < kMmaTile / 16; ++chunk) {
      float p[2][4], ds[2][4];
      STP_UNROLL
      for (int side = 0; side < 2; ++side) {
        float s[4], g[4];
        dot_block<D>(key, q, 2 * chunk + side, s);
        dot_block<D>(value, dout, 2 * chunk + side, g);
        for (int i = 0; i < 4; ++i) {
          const int query = column_of(2 * chunk + side, i), half = i / 2, at = buffer * kMmaTile + query;
          const int token = first + query, j = tokens.of[half];
          const RowFacts fact = facts[at];
          const float e = token < head.tokens ? exp2_fast(s[i] * a.scale * kLog2E - lse[at]) : 0.0f;
          const float weight = e * (token == j ? 1.0f : keep.of[half]), slope = g[i] - fact.delta;
          if (token != j) dkeep.of[half] += slope * e;
          const bool highest = token < head.tokens && static_cast<int>(as_bits(fact.best)) == j;
          p[side][i] = weight;
          ds[side][i] = slope * weight - (highest ? fact.share : 0.0f);
        }
      }
      if (!a.dqkv) continue;
      add_rows<D>(p[0], p[1], dout, chunk, dv);
      add_rows<D>(ds[0], ds[1], q, chunk, dk);
    }
    if (a.dqkv)
      add_columns<D>(
          dout, [&](int i) { return inverse_z[buffer * kMmaTile + i]; }, column);
  });

  for (int half = 0; half < 2; ++half) {
    const float sum = quad_sum(dkeep.of[half]);
    if (a.dkeep && tokens.of[half] < head.tokens && lane_id() % 4 == 0)
      a.dkeep_heads[head.row(tokens.of[half])] = sum;
  }
  for (int i = 0; i < 2 && self < D / 2; ++i)
    constant[2 * self + i] = a.smoothing / static_cast<float>(head.tokens) * column[i];
  sync_block();  // the constant is written before anyone reads it
  if (!a.dqkv) return;
  write_rows<D>(queries, a.dqkv.data, a.dqkv.add, head, 1, begin,
                [&](int n, int i) { return a.scale * dk[n][i]; });
  write_rows<D>(douts, a.dqkv.data, a.dqkv.add, head, 2, begin,
                [&](int n, int i) { return dv[n][i] + constant[column_of(n, i)]; });
}

}  // namespace
}  // namespace stp::STP_ROOM

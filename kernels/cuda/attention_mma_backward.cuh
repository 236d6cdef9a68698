// Policy attention on tensor cores, in bf16 or with tf32 products of f32, backward (the mathematics stands in
// kernels/attention.h), behind the pass of attention.cu that notes delta and the share of the maximum of every
// row.
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

//   forward: s_ij = scale q_i . k_j, so dq_i += scale (sum_j ds_ij k_j - share_i k_best)
template <class T, int D>
__global__ void __launch_bounds__(kMmaThreads, 2) queries_mma_kernel(AttentionBackward a) {
  using S = MmaTile<T, D>;
  DYNAMIC_SHARED(T, memory);
  SHARED_ARRAY(float, keep, 2 * S::kRows);
  const Head head = head_of(a);
  const int begin = static_cast<int>(blockIdx.x) * kMmaTile;
  if (begin >= head.tokens) return;  // the whole block: a shorter clip of a packed batch
  const T* const qkv = typed<T>(a.qkv);
  auto* const facts = reinterpret_cast<RowFacts*>(a.rows);

  const RowTokens tokens(begin);
  RowFragments<T, D> q, dout;
  Pair lse{}, delta{}, highest{{-1e30f, -1e30f}};
  int best[2] = {};
  for (int half = 0; half < 2; ++half) {
    if (tokens.of[half] >= head.tokens) continue;
    lse.of[half] = a.lse[head.row(tokens.of[half])] * kLog2E;
    delta.of[half] = facts[head.row(tokens.of[half])].delta;
  }
  WideSums<D> dq;
  clear<D>(dq);

  const auto take_own = [&](const T* own) {
    q.load(own);
    dout.load(own + S::kOwnValues);
  };
  const auto fetch_keep = [&](int first, int buffer) {
    load_tile_keep<S::kRows>(a.keep, head, first, keep + buffer * S::kRows);
  };
  const auto walk = [&](int first, int buffer, const T* keys, const T* values) {
    STP_NO_UNROLL
    for (int chunk = 0; chunk < S::kChunks; ++chunk) {
      float ds[S::kSides][4];
      STP_UNROLL
      for (int side = 0; side < S::kSides; ++side) {
        const int block = S::kSides * chunk + side;
        float s[4], g[4];
        dot_block(q, keys, block, s);
        dot_block(dout, values, block, g);
        for (int i = 0; i < 4; ++i) {
          const int key = column_of(block, i), half = i / 2, j = first + key;
          if (j < head.tokens && s[i] > highest.of[half]) {
            highest.of[half] = s[i];
            best[half] = j;
          }
          const float w = j == tokens.of[half] ? 1.0f : keep[buffer * S::kRows + key];
          const float e = exp2_fast(s[i] * a.scale * kLog2E - lse.of[half]);
          ds[side][i] = j < head.tokens ? (g[i] - delta.of[half]) * w * e : 0.0f;
        }
      }
      add_rows<D>(ds, keys, chunk, dq);
    }
  };
  walk_tiles<D>(memory, head, begin, {Source<T>{qkv, 0}, Source<T>{typed<T>(a.dout), kOutShaped}},
                {Source<T>{qkv, 1}, Source<T>{qkv, 2}}, take_own, fetch_keep, walk);

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
  write_rows<D>(memory, typed<T>(a.dqkv), a.dqkv.add, head, 0, begin, [&](int n, int i) {
    if (a.smoothing == 0) return a.scale * dq[n][i];  // then the maximum cancels
    const Neighbours k = load_pair(qkv + head.qkv(best[i / 2], 1) + column_of(n, 0));
    return a.scale * (dq[n][i] - share.of[i / 2] * (i % 2 ? k.high : k.low));
  });
}

//   forward: out_i = sum_j (p_ij / z_i) v_j + smoothing / z_i mean_j v_j
//   so       dv_j += sum_i p_ij / z_i dout_i + smoothing / N sum_i dout_i / z_i
//            dk_j += scale sum_i ds_ij q_i        dkeep_j += sum_{i != j} (g_ij - delta_i) E_ij / z_i
template <class T, int D>
__global__ void __launch_bounds__(kMmaThreads, 2) keys_mma_kernel(AttentionBackward a) {
  using S = MmaTile<T, D>;
  DYNAMIC_SHARED(T, memory);
  SHARED_ARRAY(float, lse, 2 * S::kRows);
  SHARED_ARRAY(float, inverse_z, 2 * S::kRows);
  SHARED_ARRAY(RowFacts, facts, 2 * S::kRows);
  SHARED_ARRAY(float, keep, kMmaTile);  // here and not in registers, of which there are none to spare
  SHARED_ARRAY(float, constant, D);
  const Head head = head_of(a);
  const int begin = static_cast<int>(blockIdx.x) * kMmaTile, self = static_cast<int>(threadIdx.x);
  if (begin >= head.tokens) return;
  const T* const qkv = typed<T>(a.qkv);

  const RowTokens tokens(begin);
  RowFragments<T, D> key, value;
  Pair dkeep{};
  load_tile_keep<kMmaTile>(a.keep, head, begin, keep);
  WideSums<D> dk, dv;
  clear<D>(dk);
  clear<D>(dv);
  float column[2] = {};  // of sum_i dout_i / z_i

  const auto take_own = [&](const T* own) {
    key.load(own);
    value.load(own + S::kOwnValues);
  };
  const auto fetch_facts = [&](int first, int buffer) {
    if (self >= S::kRows) return;
    const int at = buffer * S::kRows + self;
    const bool there = first + self < head.tokens;
    const std::int64_t row = head.row(first + self);
    lse[at] = there ? a.lse[row] * kLog2E : 0.0f;
    inverse_z[at] = there ? a.inverse_z[row] : 0.0f;
    facts[at] = there ? reinterpret_cast<const RowFacts*>(a.rows)[row] : RowFacts{0, 0, 0};
  };
  const auto walk = [&](int first, int buffer, const T* queries, const T* douts) {
    STP_NO_UNROLL
    for (int chunk = 0; chunk < S::kChunks; ++chunk) {
      float p[S::kSides][4], ds[S::kSides][4];
      STP_UNROLL
      for (int side = 0; side < S::kSides; ++side) {
        const int block = S::kSides * chunk + side;
        float s[4], g[4];
        dot_block(key, queries, block, s);
        dot_block(value, douts, block, g);
        for (int i = 0; i < 4; ++i) {
          const int query = column_of(block, i), half = i / 2, at = buffer * S::kRows + query;
          const int token = first + query, j = tokens.of[half];
          const RowFacts fact = facts[at];
          const float e = token < head.tokens ? exp2_fast(s[i] * a.scale * kLog2E - lse[at]) : 0.0f;
          const float weight = e * (token == j ? 1.0f : keep[j - begin]), slope = g[i] - fact.delta;
          if (token != j) dkeep.of[half] += slope * e;
          const bool highest = token < head.tokens && static_cast<int>(as_bits(fact.best)) == j;
          p[side][i] = weight;
          ds[side][i] = slope * weight - (highest ? fact.share : 0.0f);
        }
      }
      if (!a.dqkv) continue;
      add_rows<D>(p, douts, chunk, dv);
      add_rows<D>(ds, queries, chunk, dk);
    }
    if (a.dqkv)
      add_columns<D>(
          douts, [&](int i) { return inverse_z[buffer * S::kRows + i]; }, column);
  };
  walk_tiles<D>(memory, head, begin, {Source<T>{qkv, 1}, Source<T>{qkv, 2}},
                {Source<T>{qkv, 0}, Source<T>{typed<T>(a.dout), kOutShaped}}, take_own, fetch_facts, walk);

  for (int half = 0; half < 2; ++half) {
    const float sum = quad_sum(dkeep.of[half]);
    if (a.dkeep && tokens.of[half] < head.tokens && lane_id() % 4 == 0)
      a.dkeep_heads[head.row(tokens.of[half])] = sum;
  }
  for (int i = 0; i < 2 && self < D / 2; ++i)
    constant[2 * self + i] = a.smoothing / static_cast<float>(head.tokens) * column[i];
  sync_block();  // the constant is written before anyone reads it
  if (!a.dqkv) return;
  T* const gradient = typed<T>(a.dqkv);
  write_rows<D>(memory, gradient, a.dqkv.add, head, 1, begin, [&](int n, int i) { return a.scale * dk[n][i]; });
  write_rows<D>(memory + S::kOwnValues, gradient, a.dqkv.add, head, 2, begin,
                [&](int n, int i) { return dv[n][i] + constant[column_of(n, i)]; });
}

}  // namespace
}  // namespace stp::STP_ROOM

// Policy attention with plain multiply-adds, for any head width up to 192 and both storages (the mathematics
// stands in kernels/attention.h). With heads of 32 or 64, in bf16 or where f32 may be multiplied in tf32, the
// tensor-core kernels of attention_mma*.cuh take over.
//
// The plan: a block of 16 x 16 threads owns a tile of queries (forward, dq) or of keys (dk, dv, dkeep) of one
// head and walks over the tiles of the other side. Tiles lie in shared memory as f32; thread (ty, tx) holds the
// scores of queries ty + 16 r and keys tx + 16 c, so that reading rows is free of bank conflicts, and sums of a
// query are sums over the 16 neighbours of a half warp. No score leaves the block.
//
// Backward makes three passes and no atomics: what a row needs (delta, the share of the maximum); per tile of
// queries dq and where each row's maximum is; per tile of keys dk, dv and the column sums that are dkeep.
#include "kernels/attention.h"

#include "kernels/cuda/attention_head.cuh"
#include "kernels/cuda/attention_mma.cuh"
#include "kernels/cuda/attention_mma_backward.cuh"

namespace stp::STP_ROOM {
namespace {

constexpr int kSide = 16, kThreads = kSide * kSide;
constexpr float kLowest = -3.0e38f;

// Rows of a tile are kSide R, widths are padded to kSide C; a pitch of 4 more spreads rows over the banks.
template <int Rows, int Columns>
struct Tile {
  static constexpr int R = Rows, C = Columns;
  static constexpr int kTokens = kSide * R, kWidth = kSide * C;
  static constexpr int kPitch = kWidth + 4, kScorePitch = kTokens + 4;
  static constexpr int kFloats = kTokens * kPitch, kScores = kTokens * kScorePitch;
};

__device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x); }

// Tokens begin .. of one part (0 q, 1 k, 2 v; 3: an array shaped like out) times `factor`, zeros where there
// are no more.
template <class S, class T>
__device__ void load_tile(const T* from, const Head& head, int part, int begin, float factor, float* to) {
  constexpr int kQuads = S::kWidth / 4;
  for (int i = thread(); i < S::kTokens * kQuads; i += kThreads) {
    const int row = i / kQuads, d = i % kQuads * 4, token = begin + row;
    float4 v = make_float4(0, 0, 0, 0);
    if (token < head.tokens && d < head.D) {
      const T* p = from + (part == 3 ? head.out(token) : head.qkv(token, part)) + d;
      if (head.D % 4 == 0) {
        v = load4(p);
      } else {
        v.x = load(p);
        if (d + 1 < head.D) v.y = load(p + 1);
        if (d + 2 < head.D) v.z = load(p + 2);
        if (d + 3 < head.D) v.w = load(p + 3);
      }
    }
    store16(to + row * S::kPitch + d, make_float4(factor * v.x, factor * v.y, factor * v.z, factor * v.w));
  }
}

// s[r][c] = row ty + 16 r of a . row tx + 16 c of b
template <class S>
__device__ void dot_rows(const float* a, const float* b, float (&s)[S::R][S::R]) {
  const int ty = thread() / kSide, tx = thread() % kSide;
  for (int r = 0; r < S::R; ++r)
    for (int c = 0; c < S::R; ++c) s[r][c] = 0;
  for (int d = 0; d < S::kWidth; d += 4) {
    float4 rows[S::R];
    for (int r = 0; r < S::R; ++r) rows[r] = load16(a + (ty + kSide * r) * S::kPitch + d);
    for (int c = 0; c < S::R; ++c) {
      const float4 column = load16(b + (tx + kSide * c) * S::kPitch + d);
      for (int r = 0; r < S::R; ++r)
        s[r][c] += rows[r].x * column.x + rows[r].y * column.y + rows[r].z * column.z + rows[r].w * column.w;
    }
  }
}

// sum[r][c] += over k of weights(row ty + 16 r, k) values(k, column tx + 16 c); weights lie kScorePitch apart
// by row, or by k if transposed.
template <class S, bool Transposed>
__device__ void add_product(const float* weights, const float* values, float (&sum)[S::R][S::C]) {
  const int ty = thread() / kSide, tx = thread() % kSide;
  for (int k = 0; k < S::kTokens; ++k) {
    float column[S::C];
    for (int c = 0; c < S::C; ++c) column[c] = values[k * S::kPitch + tx + kSide * c];
    for (int r = 0; r < S::R; ++r) {
      const int row = ty + kSide * r;
      const float w = weights[Transposed ? k * S::kScorePitch + row : row * S::kScorePitch + k];
      for (int c = 0; c < S::C; ++c) sum[r][c] += w * column[c];
    }
  }
}

__device__ __forceinline__ float half_warp_sum(float value) {
  for (int step = kSide / 2; step > 0; step /= 2) value += shuffle_xor(value, step);
  return value;
}
__device__ __forceinline__ float half_warp_max(float value) {
  for (int step = kSide / 2; step > 0; step /= 2) value = fmaxf(value, shuffle_xor(value, step));
  return value;
}

// The weights w_j of a tile of keys; what is not there is never asked for.
template <class S>
__device__ void load_keep(const float* keep, const Head& head, int begin, float* to) {
  for (int j = thread(); j < S::kTokens; j += kThreads)
    to[j] = keep && begin + j < head.tokens ? keep[head.first + begin + j] : 1.0f;
}

template <class S, class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(AttentionForward a) {
  DYNAMIC_SHARED(float, memory);
  float *const q = memory, *const k = q + S::kFloats, *const v = k + S::kFloats, *const p = v + S::kFloats;
  SHARED_ARRAY(float, keep, S::kTokens);
  SHARED_ARRAY(float, mean, S::kWidth);
  const Head head = head_of(a);
  const T* qkv = typed<T>(a.qkv);
  const int ty = thread() / kSide, tx = thread() % kSide;
  const int begin = static_cast<int>(blockIdx.x) * S::kTokens;
  if (begin >= head.tokens) return;  // the whole block: a shorter clip of a packed batch

  float m[S::R], z[S::R], sum[S::R][S::C] = {};
  for (int r = 0; r < S::R; ++r) {
    m[r] = kLowest;
    z[r] = 0;
  }
  float column = 0;  // of the sum of all values
  load_tile<S>(qkv, head, 0, begin, a.scale, q);
  for (int first = 0; first < head.tokens; first += S::kTokens) {
    load_tile<S>(qkv, head, 1, first, 1, k);
    load_tile<S>(qkv, head, 2, first, 1, v);
    load_keep<S>(a.keep, head, first, keep);
    sync_block();  // the tiles are written before anyone reads them
    float s[S::R][S::R];
    dot_rows<S>(q, k, s);
    for (int r = 0; r < S::R; ++r) {
      const int i = begin + ty + kSide * r;
      float highest = m[r];
      for (int c = 0; c < S::R; ++c)
        if (first + tx + kSide * c < head.tokens) highest = fmaxf(highest, s[r][c]);
      highest = half_warp_max(highest);
      const float shrink = expf(m[r] - highest);
      m[r] = highest;
      z[r] *= shrink;
      for (int c = 0; c < S::C; ++c) sum[r][c] *= shrink;
      for (int c = 0; c < S::R; ++c) {
        const int key = tx + kSide * c, j = first + key;
        const float w = i == j ? 1.0f : keep[key];  // a token always sees itself
        const float weight = j < head.tokens ? w * expf(s[r][c] - highest) : 0.0f;
        z[r] += weight;
        p[(ty + kSide * r) * S::kScorePitch + key] = weight;
      }
    }
    if (thread() < S::kWidth)
      for (int key = 0; key < S::kTokens; ++key) column += v[key * S::kPitch + thread()];
    sync_block();  // the weights are written before anyone reads them
    add_product<S, false>(p, v, sum);
    sync_block();  // everyone has read before the next tiles and weights are written
  }
  if (thread() < S::kWidth) mean[thread()] = column / static_cast<float>(head.tokens);
  sync_block();  // the mean is written before anyone reads it
  for (int r = 0; r < S::R; ++r) {
    const int i = begin + ty + kSide * r;
    const float whole = half_warp_sum(z[r]) + a.smoothing;
    if (i >= head.tokens) continue;
    for (int c = 0; c < S::C; ++c) {
      const int d = tx + kSide * c;
      if (d < head.D) store(typed<T>(a.out) + head.out(i) + d, (sum[r][c] + a.smoothing * mean[d]) / whole);
    }
    if (tx == 0 && a.lse) a.lse[head.row(i)] = m[r] + logf(whole);
    if (tx == 0 && a.inverse_z) a.inverse_z[head.row(i)] = 1.0f / whole;
  }
}

// Pass 1, a block per head. A token's row is read in runs of V elements by `group` neighbouring lanes, so a
// warp has several tokens at once.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) rows_kernel(AttentionBackward a) {
  constexpr int kWarps = kThreads / kLanes;
  DYNAMIC_SHARED(float, partial);  // (kWarps + 1, D): sums of the warps' values, then the mean
  const Head head = head_of(a);
  const int warp = thread() / kLanes, lane = thread() % kLanes, D = head.D;
  int group = kLanes;
  while (group > 1 && group / 2 * V >= D) group /= 2;
  const int together = kLanes / group, mine = lane / group, side = lane % group;
  float* const mean = partial + kWarps * D;
  for (int begin = 0; begin < D; begin += V * group) {
    const int d = begin + V * side;
    Run<V> sum = {};
    for (int j = warp * together + mine; d < D && j < head.tokens; j += kWarps * together) {
      const Run<V> value = load_run<V>(typed<T>(a.qkv) + head.qkv(j, 2) + d);
      for (int k = 0; k < V; ++k) sum.at[k] += value.at[k];
    }
    for (int step = group; step < kLanes; step *= 2)
      for (int k = 0; k < V; ++k) sum.at[k] += shuffle_xor(sum.at[k], step);
    if (mine == 0 && d < D) store_run<V>(partial + warp * D + d, sum);
  }
  sync_block();  // the warps' sums are written before they are added up
  for (int d = thread(); d < D; d += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += partial[w * D + d];
    mean[d] = sum / static_cast<float>(head.tokens);
  }
  sync_block();  // the mean is written before anyone reads it
  for (int begin = warp * together; begin < head.tokens; begin += kWarps * together) {
    const int i = begin + mine;
    float delta = 0, through_mean = 0;
    for (int d = V * side; i < head.tokens && d < D; d += V * group) {
      const Run<V> out = load_run<V>(typed<T>(a.out) + head.out(i) + d),
                   dout = load_run<V>(typed<T>(a.dout) + head.out(i) + d), average = load_run<V>(mean + d);
      for (int k = 0; k < V; ++k) {
        delta += dout.at[k] * out.at[k];
        through_mean += dout.at[k] * average.at[k];
      }
    }
    for (int step = group / 2; step > 0; step /= 2) {
      delta += shuffle_xor(delta, step);
      through_mean += shuffle_xor(through_mean, step);
    }
    if (side > 0 || i >= head.tokens) continue;
    reinterpret_cast<RowFacts*>(a.rows)[head.row(i)] = {
        delta, a.smoothing * a.inverse_z[head.row(i)] * (delta - through_mean), 0};
  }
}

// The larger score, or of equal ones the earlier key, over the half warp.
__device__ void best_of_half_warp(float& score, int& key) {
  for (int step = kSide / 2; step > 0; step /= 2) {
    const float other = shuffle_xor(score, step);
    const int other_key = shuffle_xor(key, step);
    if (other > score || (other == score && other_key < key)) {
      score = other;
      key = other_key;
    }
  }
}

// Pass 2, a block per tile of queries.
//   forward: s_ij = scale q_i . k_j, so dq_i += scale sum_j ds_ij k_j
template <class S, class T>
__global__ void __launch_bounds__(kThreads) queries_kernel(AttentionBackward a) {
  DYNAMIC_SHARED(float, memory);
  float *const q = memory, *const dout = q + S::kFloats, *const k = dout + S::kFloats,
               *const v = k + S::kFloats;
  float* const ds = v + S::kFloats;
  SHARED_ARRAY(float, keep, S::kTokens);
  const Head head = head_of(a);
  const T* qkv = typed<T>(a.qkv);
  const int ty = thread() / kSide, tx = thread() % kSide;
  const int begin = static_cast<int>(blockIdx.x) * S::kTokens;
  if (begin >= head.tokens) return;

  auto* const rows = reinterpret_cast<RowFacts*>(a.rows);
  float lse[S::R], delta[S::R], highest[S::R], dq[S::R][S::C] = {};
  int best[S::R];
  for (int r = 0; r < S::R; ++r) {
    const int i = begin + ty + kSide * r;
    lse[r] = i < head.tokens ? a.lse[head.row(i)] : 0.0f;
    delta[r] = i < head.tokens ? rows[head.row(i)].delta : 0.0f;
    highest[r] = kLowest;
    best[r] = 0;
  }
  load_tile<S>(qkv, head, 0, begin, a.scale, q);
  load_tile<S>(typed<T>(a.dout), head, 3, begin, 1, dout);
  for (int first = 0; first < head.tokens; first += S::kTokens) {
    load_tile<S>(qkv, head, 1, first, 1, k);
    load_tile<S>(qkv, head, 2, first, 1, v);
    load_keep<S>(a.keep, head, first, keep);
    sync_block();  // the tiles are written before anyone reads them
    float s[S::R][S::R], g[S::R][S::R];
    dot_rows<S>(q, k, s);
    dot_rows<S>(dout, v, g);
    for (int r = 0; r < S::R; ++r) {
      const int i = begin + ty + kSide * r;
      for (int c = 0; c < S::R; ++c) {
        const int key = tx + kSide * c, j = first + key;
        const bool there = i < head.tokens && j < head.tokens;
        if (there && s[r][c] > highest[r]) {
          highest[r] = s[r][c];
          best[r] = j;
        }
        const float w = i == j ? 1.0f : keep[key];
        const float p = there ? w * expf(s[r][c] - lse[r]) : 0.0f;
        ds[(ty + kSide * r) * S::kScorePitch + key] = p * (g[r][c] - delta[r]);
      }
    }
    sync_block();  // ds is written before anyone reads it
    add_product<S, false>(ds, k, dq);
    sync_block();  // everyone has read before the next tiles are written
  }
  for (int r = 0; r < S::R; ++r) {
    const int i = begin + ty + kSide * r;
    best_of_half_warp(highest[r], best[r]);
    if (i >= head.tokens) continue;
    const float share = rows[head.row(i)].share;
    for (int c = 0; c < S::C; ++c) {
      const int d = tx + kSide * c;
      if (d >= head.D) continue;
      // the gradient through m_i: ds at the maximum has -share more
      const float at_best = share * load(qkv + head.qkv(best[r], 1) + d);
      contribute(typed<T>(a.dqkv) + head.qkv(i, 0) + d, a.dqkv.add, a.scale * (dq[r][c] - at_best));
    }
    // The half warp has read the share; this thread alone writes the key beside it.
    if (tx == 0) rows[head.row(i)].best = as_float(static_cast<std::uint32_t>(best[r]));
  }
}

// Pass 3, a block per tile of keys.
//   forward: out_i = sum_j (p_ij / z_i) v_j + smoothing / z_i mean_j v_j
//   so       dv_j += sum_i p_ij / z_i dout_i + smoothing / N sum_i dout_i / z_i
//            dk_j += scale sum_i ds_ij q_i        dkeep_j += sum_{i != j} (g_ij - delta_i) E_ij / z_i
template <class S, class T>
__global__ void __launch_bounds__(kThreads) keys_kernel(AttentionBackward a) {
  DYNAMIC_SHARED(float, memory);
  float *const k = memory, *const v = k + S::kFloats, *const q = v + S::kFloats, *const dout = q + S::kFloats;
  float *const p = dout + S::kFloats, *const ds = p + S::kScores;
  SHARED_ARRAY(float, keep, S::kTokens);
  SHARED_ARRAY(float, lse, S::kTokens);
  SHARED_ARRAY(float, inverse_z, S::kTokens);
  SHARED_ARRAY(RowFacts, facts, S::kTokens);
  SHARED_ARRAY(float, constant, S::kWidth);
  const Head head = head_of(a);
  const T* qkv = typed<T>(a.qkv);
  const int ty = thread() / kSide, tx = thread() % kSide;
  const int begin = static_cast<int>(blockIdx.x) * S::kTokens;
  if (begin >= head.tokens) return;

  float dk[S::R][S::C] = {}, dv[S::R][S::C] = {}, dkeep[S::R] = {};
  float column = 0;  // of sum_i dout_i / z_i
  load_tile<S>(qkv, head, 1, begin, 1, k);
  load_tile<S>(qkv, head, 2, begin, 1, v);
  load_keep<S>(a.keep, head, begin, keep);
  for (int first = 0; first < head.tokens; first += S::kTokens) {
    load_tile<S>(qkv, head, 0, first, a.scale, q);
    load_tile<S>(typed<T>(a.dout), head, 3, first, 1, dout);
    for (int r = thread(); r < S::kTokens; r += kThreads) {
      const bool there = first + r < head.tokens;
      const std::int64_t row = head.row(first + r);
      lse[r] = there ? a.lse[row] : 0.0f;
      inverse_z[r] = there ? a.inverse_z[row] : 0.0f;
      facts[r] = there ? reinterpret_cast<const RowFacts*>(a.rows)[row] : RowFacts{0, 0, 0};
    }
    sync_block();  // the tiles are written before anyone reads them
    float s[S::R][S::R], g[S::R][S::R];
    dot_rows<S>(q, k, s);
    dot_rows<S>(dout, v, g);
    for (int r = 0; r < S::R; ++r) {
      const int query = ty + kSide * r, i = first + query;
      const RowFacts fact = facts[query];
      for (int c = 0; c < S::R; ++c) {
        const int key = tx + kSide * c, j = begin + key;
        const bool there = i < head.tokens && j < head.tokens;
        // E / z exceeds 1 when only dropped keys score high, by at most 1 / smoothing
        const float e = there ? expf(s[r][c] - lse[query]) : 0.0f;
        const float weight = e * (i == j ? 1.0f : keep[key]), slope = g[r][c] - fact.delta;
        if (i != j) dkeep[c] += slope * e;
        const bool highest = there && static_cast<int>(as_bits(fact.best)) == j;
        p[query * S::kScorePitch + key] = weight;
        ds[query * S::kScorePitch + key] = slope * weight - (highest ? fact.share : 0.0f);
      }
    }
    sync_block();  // p and ds are written before anyone reads them
    if (a.dqkv) {
      add_product<S, true>(p, dout, dv);
      add_product<S, true>(ds, q, dk);
      if (thread() < S::kWidth)
        for (int i = 0; i < S::kTokens; ++i) column += inverse_z[i] * dout[i * S::kPitch + thread()];
    }
    sync_block();  // everyone has read before the next tiles are written
  }

  if (thread() < S::kWidth) constant[thread()] = a.smoothing / static_cast<float>(head.tokens) * column;
  for (int c = 0; c < S::R; ++c) p[ty * S::kScorePitch + tx + kSide * c] = dkeep[c];
  sync_block();  // the constant and the shares of dkeep are written before anyone reads them
  if (a.dkeep) {
    for (int key = thread(); key < S::kTokens; key += kThreads) {
      float sum = 0;
      for (int y = 0; y < kSide; ++y) sum += p[y * S::kScorePitch + key];
      if (begin + key < head.tokens) a.dkeep_heads[head.row(begin + key)] = sum;
    }
  }
  if (!a.dqkv) return;
  for (int r = 0; r < S::R; ++r) {
    const int j = begin + ty + kSide * r;
    if (j >= head.tokens) continue;
    for (int c = 0; c < S::C; ++c) {
      const int d = tx + kSide * c;
      if (d >= head.D) continue;
      contribute(typed<T>(a.dqkv) + head.qkv(j, 1) + d, a.dqkv.add, dk[r][c]);
      contribute(typed<T>(a.dqkv) + head.qkv(j, 2) + d, a.dqkv.add, dv[r][c] + constant[d]);
    }
  }
}

// dkeep_j = sum over heads, in their order; a block row per clip.
__global__ void __launch_bounds__(kThreads) sum_heads_kernel(AttentionBackward a) {
  const int b = static_cast<int>(blockIdx.y);
  const std::int64_t first = a.offsets ? a.offsets[b] : static_cast<std::int64_t>(b) * a.N;
  const int tokens = a.offsets ? static_cast<int>(a.offsets[b + 1] - first) : a.N;
  const int j = static_cast<int>(grid_first());
  if (j >= tokens) return;
  float sum = 0;
  for (int h = 0; h < a.H; ++h) sum += a.dkeep_heads[first * a.H + static_cast<std::int64_t>(h) * tokens + j];
  contribute(a.dkeep.f32() + first + j, a.dkeep.add, sum);
}

// Tiles shrink as heads widen, so that six of them fit a block's shared memory.
template <class Body>
void by_width(int D, const Body& body) {
  if (D <= 16) return body(Tile<4, 1>{});
  if (D <= 32) return body(Tile<4, 2>{});
  if (D <= 64) return body(Tile<4, 4>{});
  if (D <= 128) return body(Tile<2, 8>{});
  body(Tile<1, 12>{});
}

template <class Args>
dim3 tiles(const Args& a, int tokens) {
  return dim3(static_cast<unsigned>((a.N + tokens - 1) / tokens), static_cast<unsigned>(a.B * a.H));
}

// Calls body with the tile of the tensor-core kernels; false where there is none.
template <class Args, class Body>
bool by_mma_tile(const Args& a, const Body& body) {
  const bool rounded = a.qkv.type == Element::bf16;
  if (!rounded && a.math != Math::tf32) return false;
  if (a.D == 64 && rounded) return body(MmaTile<Bf16, 64>{}), true;
  if (a.D == 32 && rounded) return body(MmaTile<Bf16, 32>{}), true;
  if (a.D == 64) return body(MmaTile<float, 64>{}), true;
  if (a.D == 32) return body(MmaTile<float, 32>{}), true;
  return false;
}

template <class T, int D>
void forward_mma(const AttentionForward& a, MmaTile<T, D>) {
  launch("attention_forward_mma", forward_mma_kernel<T, D>, tiles(a, kMmaTile), dim3(kMmaThreads),
         MmaTile<T, D>::kBytes, a);
}

template <class T, int D>
void backward_mma(const AttentionBackward& a, MmaTile<T, D>) {
  const dim3 grid = tiles(a, kMmaTile);
  constexpr std::size_t kBytes = MmaTile<T, D>::kBytes;
  if (a.dqkv)
    launch("attention_backward_queries_mma", queries_mma_kernel<T, D>, grid, dim3(kMmaThreads), kBytes, a);
  launch("attention_backward_keys_mma", keys_mma_kernel<T, D>, grid, dim3(kMmaThreads), kBytes, a);
}

void backward_plain(const AttentionBackward& a) {
  by_type(a.qkv.type, [&](auto type) {
    using T = decltype(type);
    by_width(a.D, [&](auto tile) {
      using S = decltype(tile);
      constexpr std::size_t kQueries = (4 * S::kFloats + S::kScores) * sizeof(float);
      constexpr std::size_t kKeys = (4 * S::kFloats + 2 * S::kScores) * sizeof(float);
      const dim3 grid = tiles(a, S::kTokens);
      if (a.dqkv) launch("attention_backward_queries", queries_kernel<S, T>, grid, dim3(kThreads), kQueries, a);
      launch("attention_backward_keys", keys_kernel<S, T>, grid, dim3(kThreads), kKeys, a);
    });
  });
}

}  // namespace

void attention_forward(const AttentionForward& a) {
  if (by_mma_tile(a, [&](auto tile) { forward_mma(a, tile); })) return;
  by_width(a.D, [&](auto tile) {
    using S = decltype(tile);
    constexpr std::size_t kBytes = (3 * S::kFloats + S::kScores) * sizeof(float);
    by_type(a.qkv.type, [&](auto type) {
      launch("attention_forward", forward_kernel<S, decltype(type)>, tiles(a, S::kTokens), dim3(kThreads),
             kBytes, a);
    });
  });
}

void attention_backward(const AttentionBackward& a) {
  if (!a.dqkv && !a.dkeep) return;
  by_type(a.qkv.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWide = 16 / sizeof(T);  // elements of one access
    const std::size_t means = static_cast<std::size_t>(kThreads / kLanes + 1) * static_cast<std::size_t>(a.D);
    const auto rows = [&](auto run) {
      launch("attention_backward_rows", rows_kernel<T, run()>, dim3(1, static_cast<unsigned>(a.B * a.H)),
             dim3(kThreads), means * sizeof(float), a);
    };
    const bool wide = a.D % kWide == 0 && fits_sixteen(a.qkv) && fits_sixteen(a.out) && fits_sixteen(a.dout);
    if (wide) return rows(std::integral_constant<int, kWide>{});
    rows(std::integral_constant<int, 1>{});
  });
  if (!by_mma_tile(a, [&](auto tile) { backward_mma(a, tile); })) backward_plain(a);
  if (!a.dkeep) return;
  const dim3 grid(static_cast<unsigned>((a.N + kThreads - 1) / kThreads), static_cast<unsigned>(a.B));
  launch("attention_backward_sum", sum_heads_kernel, grid, dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM

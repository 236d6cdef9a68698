// Rung 4: a warp owns four queries, and every number that it takes out of shared memory serves all four.
//
//   as rung 3, a tile of 32 keys at a time: lane k holds the scores of key k, lane d the sums of columns d, d +
//   32, ...
//
// Plan: scores, weights and sums lie in registers; the lanes' maxima and sums meet by shuffles, and each key's
// weight goes to all lanes by one. Rows are padded to whole quads, so that they are read 16 bytes at a time.
// What it teaches: shared memory is slow beside registers, and reuse there is what counts. The next rung is
// kernels/cuda/attention.cu, 64 x 64 tiles for 16 x 16 threads, and the one after it tensor cores:
// kernels/cuda/attention_mma.cuh.
#include "kernels/cuda/attention_head.cuh"
#include "kernels/ladder/ladder.h"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kLanes;
constexpr int kOwn = 4;  // queries of a warp
constexpr int kQueries = kWarps * kOwn;
constexpr int kColumns = AttentionForward::kMaxWidth / kLanes;  // of a lane, at most
constexpr float kLowest = -3.0e38f;

// `count` rows of one part from token `begin` on, zeros beyond the last token and beyond D; by the whole block.
__device__ __forceinline__ void load_rows(const AttentionForward& a, const Head& head, int part, int begin,
                                          int count, int width, int pitch, float* to) {
  for (int e = static_cast<int>(threadIdx.x); e < count * width; e += kThreads) {
    const int row = e / width, d = e % width, token = begin + row;
    to[row * pitch + d] = token < head.tokens && d < head.D ? a.qkv.f32()[head.qkv(token, part) + d] : 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads) attention_4_kernel(AttentionForward a) {
  const Head head = head_of(a);
  const int width = (head.D + 3) / 4 * 4, pitch = width + 4;  // rows four banks apart
  DYNAMIC_SHARED(float, queries);                             // (kQueries, width); keys, values (32, pitch)
  float *const keys = queries + kQueries * width, *const values = keys + kLanes * pitch;
  const int lane = static_cast<int>(threadIdx.x) % kLanes, warp = static_cast<int>(threadIdx.x) / kLanes;
  const int first = static_cast<int>(blockIdx.x) * kQueries + warp * kOwn;
  load_rows(a, head, 0, static_cast<int>(blockIdx.x) * kQueries, kQueries, width, width, queries);

  float m[kOwn], z[kOwn] = {}, sum[kOwn][kColumns] = {}, mean[kColumns] = {};
  for (int r = 0; r < kOwn; ++r) m[r] = kLowest;
  for (int begin = 0; begin < head.tokens; begin += kLanes) {
    load_rows(a, head, 1, begin, kLanes, width, pitch, keys);
    load_rows(a, head, 2, begin, kLanes, width, pitch, values);
    sync_block();  // queries and the tile are there before anyone reads them

    float p[kOwn] = {};
    for (int d = 0; d < width; d += 4) {
      const float4 key = load16(keys + lane * pitch + d);
      for (int r = 0; r < kOwn; ++r) {
        const float4 query = load16(queries + (warp * kOwn + r) * width + d);
        p[r] += query.x * key.x + query.y * key.y + query.z * key.z + query.w * key.w;
      }
    }
    const int j = begin + lane;
    const bool there = j < head.tokens;
    const float keep = there && a.keep ? a.keep[head.first + j] : 1.0f;
    float shrink[kOwn];
    for (int r = 0; r < kOwn; ++r) {
      const float score = there ? a.scale * p[r] : kLowest, higher = fmaxf(m[r], warp_max(score));
      shrink[r] = expf(m[r] - higher);
      p[r] =
          there ? (first + r == j ? 1.0f : keep) * expf(score - higher) : 0.0f;  // a token always sees itself
      z[r] = z[r] * shrink[r] + warp_sum(p[r]);
      m[r] = higher;
    }
    for (int c = 0; c < kColumns; ++c)
      for (int r = 0; r < kOwn; ++r) sum[r][c] *= shrink[r];
    for (int k = 0; k < kLanes; ++k) {
      float weight[kOwn];
      for (int r = 0; r < kOwn; ++r) weight[r] = shuffle(p[r], k);
      for (int c = 0; c < kColumns; ++c) {
        if (lane + kLanes * c >= head.D) continue;
        const float value = values[k * pitch + lane + kLanes * c];
        mean[c] += value;
        for (int r = 0; r < kOwn; ++r) sum[r][c] += weight[r] * value;
      }
    }
    sync_block();  // everyone has read before the next tile is written
  }

  for (int r = 0; r < kOwn; ++r) {
    const int i = first + r;
    if (i >= head.tokens) continue;
    const float whole = z[r] + a.smoothing, share = a.smoothing / static_cast<float>(head.tokens);
    for (int c = 0; c < kColumns; ++c) {
      const int d = lane + kLanes * c;
      if (d < head.D) a.out.f32()[head.out(i) + d] = (sum[r][c] + share * mean[c]) / whole;
    }
    if (lane == 0 && a.lse) a.lse[head.row(i)] = m[r] + logf(whole);
    if (lane == 0 && a.inverse_z) a.inverse_z[head.row(i)] = 1.0f / whole;
  }
}

}  // namespace

void attention_4_registers(const AttentionForward& a) {
  const std::size_t width = static_cast<std::size_t>(a.D + 3) / 4 * 4;
  const std::size_t bytes = sizeof(float) * (kQueries * width + 2 * kLanes * (width + 4));
  const dim3 grid(static_cast<unsigned>((a.N + kQueries - 1) / kQueries), static_cast<unsigned>(a.B * a.H));
  launch("attention_4_registers", attention_4_kernel, grid, dim3(kThreads), bytes, a);
}

}  // namespace stp::STP_ROOM::ladder

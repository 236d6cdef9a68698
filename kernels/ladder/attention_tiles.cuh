// What the second and third rung share: a block's queries beside a tile of keys and values in shared memory.
#pragma once

#include "kernels/cuda/attention_head.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kQueries = 64;  // of a block, a thread each
constexpr int kKeys = 32;     // of a tile
constexpr float kLowest = -3.0e38f;

// keys (kKeys, D), values (kKeys, D), sums (kQueries, D + 1): the odd pitch gives every thread a bank of its
// own.
struct Shared {
  float *keys, *values, *sums;
};
__device__ __forceinline__ Shared shared_of(float* memory, int D) {
  return {memory, memory + kKeys * D, memory + 2 * kKeys * D};
}
inline std::size_t shared_bytes(int D) {
  return sizeof(float) * static_cast<std::size_t>(2 * kKeys * D + kQueries * (D + 1));
}

// The keys and values from `begin` on, by the whole block; as many as there are.
__device__ __forceinline__ int load_tile(const AttentionForward& a, const Head& head, int begin,
                                         const Shared& s) {
  const int count = head.tokens - begin < kKeys ? head.tokens - begin : kKeys;
  for (int e = static_cast<int>(threadIdx.x); e < count * head.D; e += kQueries) {
    const int j = begin + e / head.D, d = e % head.D;
    s.keys[e] = a.qkv.f32()[head.qkv(j, 1) + d];
    s.values[e] = a.qkv.f32()[head.qkv(j, 2) + d];
  }
  return count;
}

// The score of query i and key k of the tile.
__device__ __forceinline__ float score_of(const AttentionForward& a, const Head& head, int i, const float* keys,
                                          int k) {
  float sum = 0;
  for (int d = 0; d < head.D; ++d) sum += a.qkv.f32()[head.qkv(i, 0) + d] * keys[k * head.D + d];
  return a.scale * sum;
}

__device__ __forceinline__ float weight_of(const AttentionForward& a, const Head& head, int i, int j) {
  return i == j || !a.keep ? 1.0f : a.keep[head.first + j];  // a token always sees itself
}

__device__ __forceinline__ void finish(const AttentionForward& a, const Head& head, int i, const float* sums,
                                       float m, float z) {
  for (int d = 0; d < head.D; ++d) a.out.f32()[head.out(i) + d] = sums[d] / z;
  if (a.lse) a.lse[head.row(i)] = m + logf(z);
  if (a.inverse_z) a.inverse_z[head.row(i)] = 1.0f / z;
}

inline dim3 grid_of(const AttentionForward& a) {
  return dim3(static_cast<unsigned>((a.N + kQueries - 1) / kQueries), static_cast<unsigned>(a.B * a.H));
}

}  // namespace
}  // namespace stp::STP_ROOM::ladder

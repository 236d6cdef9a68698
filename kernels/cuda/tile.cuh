// What kernel files share: elements in f32 or bf16, contributions to gradients, sums over a warp and a block.
#pragma once

#include "kernels/element.h"
#include "kernels/simt/simt.h"

namespace stp::STP_ROOM {

constexpr int kLanes = 32;

// A bf16 value as it is stored.
struct Bf16 {
  std::uint16_t bits;
};

__device__ __forceinline__ float load(const float* p) { return *p; }
__device__ __forceinline__ float load(const Bf16* p) {
  return as_float(static_cast<std::uint32_t>(p->bits) << 16);
}
__device__ __forceinline__ void store(float* p, float value) { *p = value; }
__device__ __forceinline__ void store(Bf16* p, float value) { p->bits = bf16_bits(value); }

// Four neighbours in one access: 16 bytes of f32, 8 of bf16. The address must be a multiple of that.
__device__ __forceinline__ float4 load4(const float* p) { return load16(p); }
__device__ __forceinline__ float4 load4(const Bf16* p) {
  const uint2 pairs = load8(p);
  return make_float4(as_float(pairs.x << 16), as_float(pairs.x & 0xffff0000u), as_float(pairs.y << 16),
                     as_float(pairs.y & 0xffff0000u));
}
__device__ __forceinline__ void store4(float* p, float4 v) { store16(p, v); }
__device__ __forceinline__ void store4(Bf16* p, float4 v) {
  const auto pair = [](float low, float high) {
    return bf16_bits(low) | static_cast<std::uint32_t>(bf16_bits(high)) << 16;
  };
  store8(p, make_uint2(pair(v.x, v.y), pair(v.z, v.w)));
}
template <class T>
__device__ __forceinline__ void contribute4(T* p, bool add, float4 v) {
  if (add) {
    const float4 before = load4(p);
    v = make_float4(before.x + v.x, before.y + v.y, before.z + v.z, before.w + v.w);
  }
  store4(p, v);
}

// A share of a gradient, element by element: added, or written where nothing is yet.
template <class T>
__device__ __forceinline__ void contribute(T* p, bool add, float value) {
  store(p, add ? load(p) + value : value);
}

// The sum of a value over the warp, in every lane: a fixed tree, the same bits each time.
__device__ __forceinline__ float warp_sum(float value) {
  for (int step = kLanes / 2; step > 0; step /= 2) value += shuffle_xor(value, step);
  return value;
}
__device__ __forceinline__ float warp_max(float value) {
  for (int step = kLanes / 2; step > 0; step /= 2) value = fmaxf(value, shuffle_xor(value, step));
  return value;
}

// The sum over a block of at most 1024 threads, in every thread. May be called again at once.
template <class T>
__device__ __forceinline__ T block_sum(T value) {
  SHARED_ARRAY(T, warps, kLanes);
  const int lane = static_cast<int>(threadIdx.x) % kLanes, warp = static_cast<int>(threadIdx.x) / kLanes;
  for (int step = kLanes / 2; step > 0; step /= 2) value += shuffle_xor(value, step);
  if (lane == 0) warps[warp] = value;
  sync_block();  // the warps' sums are written before anyone reads them
  T sum = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / kLanes; ++w) sum += warps[w];
  sync_block();  // everyone has read before the next call writes
  return sum;
}

// This thread's first element, and how far apart its elements are, when a grid walks over an array.
__device__ __forceinline__ std::int64_t grid_first() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ std::int64_t grid_stride() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

// Blocks for `count` pieces of work, `each` a block; at most so many that the rest is done by striding.
constexpr unsigned kMostBlocks = 4096;
inline unsigned blocks_for(std::int64_t count, std::int64_t each) {
  const std::int64_t blocks = (count + each - 1) / each;
  return static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
}

// Calls body(T{}) with the C++ type of an element type.
template <class Body>
void by_type(Element type, const Body& body) {
  if (type == Element::f32) return body(float{});
  body(Bf16{});
}

// A contract's untyped pointer.
template <class T>
__device__ __forceinline__ const T* typed(const In& in) {
  return static_cast<const T*>(in.data);
}
template <class T>
__device__ __forceinline__ T* typed(const Out& out) {
  return static_cast<T*>(out.data);
}
template <class T>
__device__ __forceinline__ T* typed(const Grad& grad) {
  return static_cast<T*>(grad.data);
}

}  // namespace stp::STP_ROOM

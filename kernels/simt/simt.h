// The vocabulary of kernel files, with two bodies: CUDA's own under nvcc, the executor's under the host
// compiler. A kernel file defines STP_ROOM's version of every kernel of one contract header:
//
//   namespace stp::STP_ROOM {
//   namespace {
//   __global__ void __launch_bounds__(128) halve(Halve a) { ... threadIdx.x ... sync_block(); ... }
//   }
//   void halve_forward(const Halve& a) { launch("halve", halve, dim3(blocks), dim3(128), 0, a); }
//   }
//
// Rules: block sizes are multiples of 32; no thread leaves before the last barrier or warp function of its
// kernel; blocks do not talk to each other; shared arrays only by SHARED_ARRAY and DYNAMIC_SHARED; warp
// functions take the whole warp.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "kernels/element.h"

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#define STP_ROOM cuda
#define STP_UNROLL _Pragma("unroll")       // before a loop whose arrays must lie in registers
#define STP_NO_UNROLL _Pragma("unroll 1")  // before a loop that would need too many registers at once

#define SHARED_ARRAY(type, name, count) __shared__ __align__(16) type name[count]
#define DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char dynamic_bytes_[]; \
  type* const name = reinterpret_cast<type*>(dynamic_bytes_)

namespace stp::cuda {

// The stream of the device, and what follows a launch; cuda/library/device.cu.
cudaStream_t stream();
void allow_shared_memory(const char* name, const void* kernel, std::size_t bytes);
void check_launch(const char* name);

template <class Args>
void launch(const char* name, void (*kernel)(Args), dim3 grid, dim3 block, std::size_t shared_bytes,
            const std::type_identity_t<Args>& args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  // Beyond 48 KiB a kernel has to ask, and its own arrays, of less than 16 KiB, count too.
  if (shared_bytes > 32 * 1024) allow_shared_memory(name, reinterpret_cast<const void*>(kernel), shared_bytes);
  kernel<<<grid, block, shared_bytes, stream()>>>(args);
  check_launch(name);
}

__device__ __forceinline__ void sync_block() { __syncthreads(); }
__device__ __forceinline__ void sync_warp() { __syncwarp(); }
template <class T>
__device__ __forceinline__ T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}
template <class T>
__device__ __forceinline__ T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
__device__ __forceinline__ std::uint32_t ballot(bool predicate) {
  return __ballot_sync(0xffffffffu, predicate);
}
__device__ __forceinline__ int bit_count(std::uint32_t bits) { return __popc(bits); }

// Sixteen or eight bytes in one access; the address must be a multiple of the size.
__device__ __forceinline__ float4 load16(const void* p) { return *static_cast<const float4*>(p); }
__device__ __forceinline__ void store16(void* p, float4 v) { *static_cast<float4*>(p) = v; }
__device__ __forceinline__ uint2 load8(const void* p) { return *static_cast<const uint2*>(p); }
__device__ __forceinline__ void store8(void* p, uint2 v) { *static_cast<uint2*>(p) = v; }

__device__ __forceinline__ float as_float(std::uint32_t bits) { return __uint_as_float(bits); }
__device__ __forceinline__ std::uint32_t as_bits(float value) { return __float_as_uint(value); }
// The nearest bf16, ties to even; as its 16 bits.
__device__ __forceinline__ std::uint16_t bf16_bits(float value) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

}  // namespace stp::cuda

#else  // the host compiler

#include <bit>
#include <cstring>

#include "kernels/simt/executor.h"

#define STP_ROOM simt
#define STP_UNROLL
#define STP_NO_UNROLL

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict

#define threadIdx (::stp::simt::position().fiber->index)
#define blockIdx (::stp::simt::position().block)
#define blockDim (::stp::simt::position().block_size)
#define gridDim (::stp::simt::position().grid_size)

// One key for each place in the source; a template's arrays are those of its instance.
#define SHARED_ARRAY(type, name, count)  \
  static const char name##_key_ = 0;     \
  type* const name = static_cast<type*>( \
      ::stp::simt::shared_array(&name##_key_, sizeof(type) * static_cast<std::size_t>(count), 16))
#define DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(::stp::simt::dynamic_shared())

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
};
struct alignas(8) uint2 {
  std::uint32_t x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(std::uint32_t x, std::uint32_t y) { return {x, y}; }

namespace stp::simt {

// The argument struct is passed by value, as on the device: every thread has its own.
template <class Args>
void launch(const char* name, void (*kernel)(Args), dim3 grid, dim3 block, std::size_t shared_bytes,
            const std::type_identity_t<Args>& args) {
  struct Call {
    void (*kernel)(Args);
    Args args;
  };
  const Call call = {kernel, args};
  const Body body = [](const void* p) {
    const Call* c = static_cast<const Call*>(p);
    c->kernel(c->args);
  };
  run({name, reinterpret_cast<const void*>(kernel)}, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z},
      shared_bytes, body, &call, sizeof call);
}

inline void sync_warp(Site here = Site::current()) {
  collective([](void* const*) {}, nullptr, true, here);
}

template <class T>
struct Shuffle {
  T value, result;
  int from;
};
template <class T>
void shuffle_lanes(void* const* payloads) {
  for (int lane = 0; lane < kWarp; ++lane) {
    auto* mine = static_cast<Shuffle<T>*>(payloads[lane]);
    mine->result = static_cast<const Shuffle<T>*>(payloads[mine->from & (kWarp - 1)])->value;
  }
}
template <class T>
T shuffle(T value, int lane, Site here = Site::current()) {
  Shuffle<T> payload = {value, value, lane};
  collective(shuffle_lanes<T>, &payload, false, here);
  return payload.result;
}
template <class T>
T shuffle_xor(T value, int mask, Site here = Site::current()) {
  return shuffle(value, (position().fiber->linear & (kWarp - 1)) ^ mask, here);
}

struct Ballot {
  bool predicate;
  std::uint32_t result;
};
inline void ballot_lanes(void* const* payloads) {
  std::uint32_t bits = 0;
  for (int lane = 0; lane < kWarp; ++lane)
    bits |= static_cast<std::uint32_t>(static_cast<const Ballot*>(payloads[lane])->predicate) << lane;
  for (int lane = 0; lane < kWarp; ++lane) static_cast<Ballot*>(payloads[lane])->result = bits;
}
inline std::uint32_t ballot(bool predicate, Site here = Site::current()) {
  Ballot payload = {predicate, 0};
  collective(ballot_lanes, &payload, false, here);
  return payload.result;
}
inline int bit_count(std::uint32_t bits) { return std::popcount(bits); }

// The instrumented build would show a wide access in pieces: touch shows it whole, and the access itself is
// made where the instrumentation does not see it.
void copy_bytes(void* to, const void* from, std::size_t bytes);
template <class T>
T load_whole(const void* p, Site here) {
  touch(p, sizeof(T), false, here);
  T value;
  copy_bytes(&value, p, sizeof(T));
  return value;
}
template <class T>
void store_whole(void* p, const T& value, Site here) {
  touch(p, sizeof(T), true, here);
  copy_bytes(p, &value, sizeof(T));
}
inline float4 load16(const void* p, Site here = Site::current()) { return load_whole<float4>(p, here); }
inline void store16(void* p, float4 v, Site here = Site::current()) { store_whole(p, v, here); }
inline uint2 load8(const void* p, Site here = Site::current()) { return load_whole<uint2>(p, here); }
inline void store8(void* p, uint2 v, Site here = Site::current()) { store_whole(p, v, here); }

inline float as_float(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline std::uint32_t as_bits(float value) { return std::bit_cast<std::uint32_t>(value); }
inline std::uint16_t bf16_bits(float value) { return to_bf16(value); }

}  // namespace stp::simt

// CUDA's single-precision names that <cmath> lacks.
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

#endif

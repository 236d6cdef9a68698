// The instructions that CUDA C++ has no name for, and their host twins with the lane layouts of the PTX manual
// (parallel thread execution ISA, sections "mma", "ldmatrix", "cp.async"). Warp-wide ones take the whole warp.
//
// Fragments of a warp, g = lane / 4, c = lane % 4:
//   mma_bf16   D (16 x 8, f32)   += A (16 x 16, bf16) B (16 x 8, bf16)
//     a[0] (g, 2c) a[1] (g + 8, 2c) a[2] (g, 2c + 8) a[3] (g + 8, 2c + 8), each two neighbours in a row
//     b[0] (2c, g) b[1] (2c + 8, g), each two neighbours in a column
//     d[0] (g, 2c) d[1] (g, 2c + 1) d[2] (g + 8, 2c) d[3] (g + 8, 2c + 1)
//   mma_tf32   D (16 x 8, f32)   += A (16 x 8, tf32) B (8 x 8, tf32)
//     a[0] (g, c) a[1] (g + 8, c) a[2] (g, c + 4) a[3] (g + 8, c + 4)      b[0] (c, g) b[1] (c + 4, g)
#pragma once

#include "kernels/simt/simt.h"

namespace stp::STP_ROOM {

#ifdef __CUDACC__

__device__ __forceinline__ void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Four 8 x 8 matrices of 16-bit elements; lane 8 m + r gives the address of row r of matrix m (16 bytes,
// aligned).
__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}
// Sixteen bytes from device to shared memory, both aligned; of `bytes` less than 16 the rest becomes zero. Seen
// by this thread after wait_copies, by others after a barrier behind that.
__device__ __forceinline__ void copy16(void* to, const void* from, int bytes = 16) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes));
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;"); }
template <int StillOpen>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(StillOpen));
}
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
__device__ __forceinline__ std::uint32_t to_tf32(float x) {
  std::uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}
// 2^x, to 2 units in the last place.
__device__ __forceinline__ float exp2_fast(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

#else

struct Mma {
  float* d;
  const std::uint32_t *a, *b;
};
void mma_bf16_lanes(void* const* payloads);
void mma_tf32_lanes(void* const* payloads);
struct MatrixRow {
  const void* row;
  std::uint32_t* out;
};
void load_matrices_lanes(void* const* payloads);
void load_matrices_transposed_lanes(void* const* payloads);

inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     Site here = Site::current()) {
  Mma payload = {d, a, b};
  collective(mma_bf16_lanes, &payload, false, here);
}
inline void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     Site here = Site::current()) {
  Mma payload = {d, a, b};
  collective(mma_tf32_lanes, &payload, false, here);
}
inline void load_matrices(std::uint32_t (&r)[4], const void* row, Site here = Site::current()) {
  touch(row, 16, false, here);
  MatrixRow payload = {row, r};
  collective(load_matrices_lanes, &payload, false, here);
}
inline void load_matrices_transposed(std::uint32_t (&r)[4], const void* row, Site here = Site::current()) {
  touch(row, 16, false, here);
  MatrixRow payload = {row, r};
  collective(load_matrices_transposed_lanes, &payload, false, here);
}
inline void copy16(void* to, const void* from, int bytes = 16, Site here = Site::current()) {
  copy_async(to, from, bytes, here);
}
template <int StillOpen>
void wait_copies() {
  wait_copies(StillOpen);
}
inline std::uint32_t pack_bf16(float low, float high) {
  return bf16_bits(low) | static_cast<std::uint32_t>(bf16_bits(high)) << 16;
}
// To the nearest, ties away from zero; the low 13 bits are cleared.
inline std::uint32_t to_tf32(float x) { return (as_bits(x) + 0x1000) & ~0x1fffu; }
inline float exp2_fast(float x) { return std::exp2(x); }

#endif

}  // namespace stp::STP_ROOM

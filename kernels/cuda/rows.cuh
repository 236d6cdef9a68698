// What the kernels on rows of numbers share: runs of neighbours in one access, one warp for each row, and a
// block that adds many rows up.
//
// A run is V neighbours: 4 (16 bytes of f32, 8 of bf16) where rows begin at multiples of that, else 1; bf16
// knows 8 too, which are 16 bytes again. Kernels are written once, with V a template parameter.
#pragma once

#include <type_traits>

#include "kernels/cuda/tile.cuh"

namespace stp::STP_ROOM {

template <int V>
struct Run {
  float at[V];
};

template <int V, class T>
__device__ __forceinline__ Run<V> load_run(const T* p) {
  if constexpr (V == 4) {
    const float4 v = load4(p);
    return {{v.x, v.y, v.z, v.w}};
  } else if constexpr (V == 8 && std::is_same_v<T, float>) {
    const float4 v = load4(p), w = load4(p + 4);
    return {{v.x, v.y, v.z, v.w, w.x, w.y, w.z, w.w}};
  } else if constexpr (V == 8) {
    const float4 pairs = load16(p);
    const std::uint32_t bits[4] = {as_bits(pairs.x), as_bits(pairs.y), as_bits(pairs.z), as_bits(pairs.w)};
    Run<V> run;
    for (int k = 0; k < 4; ++k) {
      run.at[2 * k] = as_float(bits[k] << 16);
      run.at[2 * k + 1] = as_float(bits[k] & 0xffff0000u);
    }
    return run;
  } else {
    static_assert(V == 1);
    return {{load(p)}};
  }
}
template <int V, class T>
__device__ __forceinline__ void store_run(T* p, const Run<V>& run) {
  if constexpr (V == 4) {
    store4(p, make_float4(run.at[0], run.at[1], run.at[2], run.at[3]));
  } else if constexpr (V == 8) {
    store4(p, make_float4(run.at[0], run.at[1], run.at[2], run.at[3]));
    store4(p + 4, make_float4(run.at[4], run.at[5], run.at[6], run.at[7]));
  } else {
    store(p, run.at[0]);
  }
}
template <int V, class T>
__device__ __forceinline__ void contribute_run(T* p, bool add, Run<V> run) {
  if (add) {
    const Run<V> before = load_run<V>(p);
    for (int k = 0; k < V; ++k) run.at[k] += before.at[k];
  }
  store_run<V>(p, run);
}

// Whether four elements from here on can be one access. Null is not accessed.
inline bool fits_four(const void* p, Element type) {
  return reinterpret_cast<std::uintptr_t>(p) % (4 * bytes_of(type)) == 0;
}
inline bool fits_four(const float* p) { return fits_four(p, Element::f32); }
inline bool fits_four(const In& in) { return fits_four(in.data, in.type); }
inline bool fits_four(const Out& out) { return fits_four(out.data, out.type); }
inline bool fits_four(const Grad& grad) { return fits_four(grad.data, grad.type); }

// Whether 16 bytes from here on can be one access.
inline bool fits_sixteen(const In& in) { return reinterpret_cast<std::uintptr_t>(in.data) % 16 == 0; }

// Whether all these arrays, of rows of this width, can be walked four by four.
template <class... Arrays>
bool in_fours(std::int64_t width, const Arrays&... arrays) {
  return width % 4 == 0 && (fits_four(arrays) && ...);
}

// Calls body with the run length as a type: std::integral_constant<int, 4 or 1>.
template <class Body>
void by_run(bool fours, const Body& body) {
  if (fours) return body(std::integral_constant<int, 4>{});
  body(std::integral_constant<int, 1>{});
}

// body(i) for every run of an array; V divides the count.
template <int V, class Body>
__device__ __forceinline__ void for_runs(std::int64_t count, const Body& body) {
  for (std::int64_t i = V * grid_first(); i < count; i += V * grid_stride()) body(i);
}

// --- One warp for each row.

constexpr int kWarps = 8;  // of a block whose warps own rows
constexpr int kRowThreads = kWarps * kLanes;

__device__ __forceinline__ int lane_of_warp() { return static_cast<int>(threadIdx.x) % kLanes; }

// body(r) for every row of this warp, with the whole warp. Blocks are of kRowThreads.
template <class Body>
__device__ __forceinline__ void for_rows_of_warp(std::int64_t rows, const Body& body) {
  const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * kWarps;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kLanes;
  STP_NO_UNROLL
  for (std::int64_t r = first; r < rows; r += warps) body(r);
}
inline dim3 grid_of_rows(std::int64_t rows) { return dim3(blocks_for(rows, kWarps)); }

// body(e) for every run of this lane in a row.
template <int V, class Body>
__device__ __forceinline__ void for_runs_of_lane(int width, const Body& body) {
  STP_NO_UNROLL
  for (int e = V * lane_of_warp(); e < width; e += V * kLanes) body(e);
}

// --- A block that adds rows up: kColumnLanes threads side by side own a run of columns each, and kRowLanes of
// them share the rows.

constexpr int kColumnLanes = 16, kRowLanes = 32;
constexpr int kColumnThreads = kColumnLanes * kRowLanes;

__device__ __forceinline__ int column_lane() { return static_cast<int>(threadIdx.x) % kColumnLanes; }
__device__ __forceinline__ int row_lane() { return static_cast<int>(threadIdx.x) / kColumnLanes; }

// How many such blocks lie side by side over rows of this width.
inline int column_tiles(int width, int run) { return (width + kColumnLanes * run - 1) / (kColumnLanes * run); }

// What the row lanes of each column have, added in their order: in the threads of row lane 0, zero elsewhere.
// The whole block calls; may be called again at once.
template <int V>
__device__ __forceinline__ Run<V> add_row_lanes(const Run<V>& mine) {
  constexpr int kCount = V * kColumnThreads;
  SHARED_ARRAY(float, shares, kCount);
  store_run<V>(shares + V * threadIdx.x, mine);
  sync_block();  // every share is written before row lane 0 reads it
  Run<V> sum = {};
  for (int row = 0; row_lane() == 0 && row < kRowLanes; ++row) {
    const Run<V> share = load_run<V>(shares + V * (row * kColumnLanes + column_lane()));
    for (int k = 0; k < V; ++k) sum.at[k] += share.at[k];
  }
  sync_block();  // row lane 0 has read before the next call writes
  return sum;
}

}  // namespace stp::STP_ROOM

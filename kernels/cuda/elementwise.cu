// Element by element: contributions, constants, the exact GELU, the exponential.
//
// Plan: a thread owns runs of four neighbours, 16 bytes in one access, and strides over the array by the whole
// grid; the last count % 4 elements go one by one to the first threads. Nothing is shared.
#include "kernels/elementwise.h"

#include "kernels/cuda/tile.cuh"

namespace stp::STP_ROOM {
namespace {

constexpr int kThreads = 256;

// four(i) for every aligned run of four, one(i) for what is left.
template <class Four, class One>
__device__ __forceinline__ void for_each4(std::int64_t count, const Four& four, const One& one) {
  const std::int64_t runs = count / 4;
  for (std::int64_t run = grid_first(); run < runs; run += grid_stride()) four(4 * run);
  for (std::int64_t i = 4 * runs + grid_first(); i < count; i += grid_stride()) one(i);
}

dim3 grid_for(std::int64_t count) { return dim3(blocks_for((count + 3) / 4, kThreads)); }

template <class From, class To>
__global__ void __launch_bounds__(kThreads) accumulate_kernel(Accumulate a) {
  const From* from = typed<From>(a.from);
  To* to = typed<To>(a.to);
  for_each4(
      a.count, [&](std::int64_t i) { contribute4(to + i, a.to.add, load4(from + i)); },
      [&](std::int64_t i) { contribute(to + i, a.to.add, load(from + i)); });
}

__global__ void __launch_bounds__(kThreads) fill_kernel(Fill a) {
  for_each4(
      a.count, [&](std::int64_t i) { store4(a.to + i, make_float4(a.value, a.value, a.value, a.value)); },
      [&](std::int64_t i) { a.to[i] = a.value; });
}

// Phi(x), the normal distribution function.
__device__ __forceinline__ float normal_cdf(float x) { return 0.5f * (1.0f + erff(x * 0.70710678f)); }
__device__ __forceinline__ float gelu(float x) { return x * normal_cdf(x); }
// The derivative of x Phi(x): Phi(x) + x phi(x).
__device__ __forceinline__ float gelu_slope(float x) {
  return normal_cdf(x) + x * 0.39894228f * expf(-0.5f * x * x);
}

template <class T>
__global__ void __launch_bounds__(kThreads) gelu_forward_kernel(GeluForward a) {
  const T* x = typed<T>(a.x);
  T* out = typed<T>(a.out);
  for_each4(
      a.count,
      [&](std::int64_t i) {
        const float4 v = load4(x + i);
        store4(out + i, make_float4(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w)));
      },
      [&](std::int64_t i) { store(out + i, gelu(load(x + i))); });
}

// forward: out = x Phi(x), so dx += dout (Phi(x) + x phi(x)). dx may be dout itself: each element is read
// first.
template <class T>
__global__ void __launch_bounds__(kThreads) gelu_backward_kernel(GeluBackward a) {
  const T *x = typed<T>(a.x), *dout = typed<T>(a.dout);
  T *dx = typed<T>(a.dx), *out = typed<T>(a.out);
  for_each4(
      a.count,
      [&](std::int64_t i) {
        const float4 v = load4(x + i), d = load4(dout + i);
        if (out) store4(out + i, make_float4(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w)));
        if (dx)
          contribute4(dx + i, a.dx.add,
                      make_float4(d.x * gelu_slope(v.x), d.y * gelu_slope(v.y), d.z * gelu_slope(v.z),
                                  d.w * gelu_slope(v.w)));
      },
      [&](std::int64_t i) {
        const float v = load(x + i), d = load(dout + i);
        if (out) store(out + i, gelu(v));
        if (dx) contribute(dx + i, a.dx.add, d * gelu_slope(v));
      });
}

__global__ void __launch_bounds__(kThreads) exp_forward_kernel(ExpForward a) {
  for_each4(
      a.count,
      [&](std::int64_t i) {
        const float4 v = load4(a.x + i);
        store4(a.out + i, make_float4(expf(v.x), expf(v.y), expf(v.z), expf(v.w)));
      },
      [&](std::int64_t i) { a.out[i] = expf(a.x[i]); });
}

// forward: out = e^x, so dx += dout out.
__global__ void __launch_bounds__(kThreads) exp_backward_kernel(ExpBackward a) {
  float* dx = a.dx.f32();
  for_each4(
      a.count,
      [&](std::int64_t i) {
        const float4 e = load4(a.out + i), d = load4(a.dout + i);
        contribute4(dx + i, a.dx.add, make_float4(d.x * e.x, d.y * e.y, d.z * e.z, d.w * e.w));
      },
      [&](std::int64_t i) { contribute(dx + i, a.dx.add, a.dout[i] * a.out[i]); });
}

}  // namespace

void accumulate(const Accumulate& a) {
  by_type(a.from.type, [&](auto from) {
    by_type(a.to.type, [&](auto to) {
      launch("accumulate", accumulate_kernel<decltype(from), decltype(to)>, grid_for(a.count), dim3(kThreads),
             0, a);
    });
  });
}

void fill(const Fill& a) { launch("fill", fill_kernel, grid_for(a.count), dim3(kThreads), 0, a); }

void gelu_forward(const GeluForward& a) {
  by_type(a.x.type, [&](auto type) {
    launch("gelu_forward", gelu_forward_kernel<decltype(type)>, grid_for(a.count), dim3(kThreads), 0, a);
  });
}

void gelu_backward(const GeluBackward& a) {
  by_type(a.x.type, [&](auto type) {
    launch("gelu_backward", gelu_backward_kernel<decltype(type)>, grid_for(a.count), dim3(kThreads), 0, a);
  });
}

void exp_forward(const ExpForward& a) {
  launch("exp_forward", exp_forward_kernel, grid_for(a.count), dim3(kThreads), 0, a);
}

void exp_backward(const ExpBackward& a) {
  if (!a.dx) return;
  launch("exp_backward", exp_backward_kernel, grid_for(a.count), dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM

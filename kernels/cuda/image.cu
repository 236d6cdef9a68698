// What convolutional networks need besides convolution.
//
// Plan: element by element and row by row, a thread owns runs of four neighbours where rows allow it. Pooling
// and up-sampling give each thread single outputs and, backwards, single positions of the image, which gather
// what reads them: no thread adds to another's sum. Neighbouring threads have neighbouring columns.
#include "kernels/image.h"

#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

constexpr int kThreads = 256;

// body(i) for single elements; a grid of grid_for(count).
template <class Body>
__device__ __forceinline__ void for_each(std::int64_t count, const Body& body) {
  for (std::int64_t i = grid_first(); i < count; i += grid_stride()) body(i);
}
dim3 grid_for(std::int64_t count) { return dim3(blocks_for(count, kThreads)); }

// --- Element by element.

// NaN stays NaN, which fmaxf does not promise.
__device__ __forceinline__ float relu(float x) { return x < 0 ? 0.0f : x; }

template <int V>
__global__ void __launch_bounds__(kThreads) relu_forward_kernel(ReluForward a) {
  for_runs<V>(a.count, [&](std::int64_t i) {
    Run<V> x = load_run<V>(a.x + i);
    for (int k = 0; k < V; ++k) x.at[k] = relu(x.at[k]);
    store_run<V>(a.out + i, x);
  });
}

template <int V>
__global__ void __launch_bounds__(kThreads) relu_backward_kernel(ReluBackward a) {
  for_runs<V>(a.count, [&](std::int64_t i) {
    const Run<V> out = load_run<V>(a.out + i);
    Run<V> d = load_run<V>(a.dout + i);
    for (int k = 0; k < V; ++k) d.at[k] = out.at[k] <= 0 ? 0.0f : d.at[k];
    contribute_run<V>(a.dx.f32() + i, a.dx.add, d);
  });
}

// e^-|z| cannot overflow.
__device__ __forceinline__ float sigmoid(float z) {
  const float e = expf(-fabsf(z));
  return (z < 0 ? e : 1.0f) / (1.0f + e);
}

template <int V>
__global__ void __launch_bounds__(kThreads) sigmoid_forward_kernel(SigmoidForward a) {
  for_runs<V>(a.count, [&](std::int64_t i) {
    Run<V> x = load_run<V>(a.x + i);
    for (int k = 0; k < V; ++k) x.at[k] = sigmoid(a.slope * x.at[k]);
    store_run<V>(a.out + i, x);
  });
}

template <int V>
__global__ void __launch_bounds__(kThreads) sigmoid_backward_kernel(SigmoidBackward a) {
  for_runs<V>(a.count, [&](std::int64_t i) {
    const Run<V> out = load_run<V>(a.out + i);
    Run<V> d = load_run<V>(a.dout + i);
    for (int k = 0; k < V; ++k) d.at[k] *= a.slope * out.at[k] * (1.0f - out.at[k]);
    contribute_run<V>(a.dx.f32() + i, a.dx.add, d);
  });
}

// --- Channels and rows.

template <int V>
__global__ void __launch_bounds__(kThreads) shift_channels_kernel(ShiftChannels a) {
  for_runs<V>(static_cast<std::int64_t>(a.B) * a.C * a.n, [&](std::int64_t i) {
    const float shift = a.shift[i / a.n % a.C];
    Run<V> x = load_run<V>(a.x + i);
    for (int k = 0; k < V; ++k) x.at[k] += shift;
    store_run<V>(a.x + i, x);
  });
}

// A block for each plane, then a thread for each channel.
__global__ void __launch_bounds__(kThreads) sum_planes_kernel(SumChannels a) {
  const float* plane = a.x + static_cast<std::int64_t>(blockIdx.x) * a.n;
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < a.n; i += kThreads) sum += plane[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) sum_channels_kernel(SumChannels a) {
  for_each(a.C, [&](std::int64_t c) {
    float sum = 0;
    for (int b = 0; b < a.B; ++b) sum += a.partial[static_cast<std::int64_t>(b) * a.C + c];
    contribute(a.sum.f32() + c, a.sum.add, sum);
  });
}

template <int V>
__global__ void __launch_bounds__(kThreads) copy_rows_kernel(CopyRows a) {
  for_runs<V>(a.rows * a.width, [&](std::int64_t i) {
    const std::int64_t row = i / a.width, e = i - row * a.width;
    contribute_run<V>(a.to.f32() + row * a.to_pitch + e, a.to.add,
                      load_run<V>(a.from + row * a.from_pitch + e));
  });
}

template <int V>
__global__ void __launch_bounds__(kThreads) swap_axes_kernel(SwapAxes a) {
  for_runs<V>(static_cast<std::int64_t>(a.A) * a.P * a.Q * a.n, [&](std::int64_t i) {
    const std::int64_t row = i / a.n, e = i - row * a.n;
    const std::int64_t p = row % a.P, q = row / a.P % a.Q, outer = row / a.P / a.Q;
    contribute_run<V>(a.out.f32() + i, a.out.add, load_run<V>(a.x + ((outer * a.P + p) * a.Q + q) * a.n + e));
  });
}

// --- Pooling.

// A pooling and what its threads need to find their place.
template <class Pool>
struct Pooling {
  Pool a;
  int out_Y, out_X;
};
template <class Pool>
Pooling<Pool> with_places(const Pool& a) {
  return {a, a.window.places_Y(a.Y), a.window.places_X(a.X)};
}
template <class Pool>
constexpr std::int64_t outputs_of(const Pooling<Pool>& p) {
  return static_cast<std::int64_t>(p.a.B) * p.a.C * p.out_Y * p.out_X;
}
template <class Pool>
constexpr std::int64_t inputs_of(const Pool& a) {
  return static_cast<std::int64_t>(a.B) * a.C * a.Y * a.X;
}

// body(value, y X + x) for what output `out` has in its window, row by row.
template <class Pool, class Body>
__device__ __forceinline__ void for_window(const Pooling<Pool>& p, std::int64_t out, const Body& body) {
  const Window& w = p.a.window;
  const std::int64_t row = out / p.out_X, plane = row / p.out_Y;
  const int top = static_cast<int>(row - plane * p.out_Y) * w.stride - w.padding;
  const int left = static_cast<int>(out - row * p.out_X) * w.stride - w.padding;
  const float* image = p.a.x + plane * p.a.Y * p.a.X;
  const int y_end = top + w.rows < p.a.Y ? top + w.rows : p.a.Y;
  const int x_end = left + w.columns < p.a.X ? left + w.columns : p.a.X;
  for (int y = top < 0 ? 0 : top; y < y_end; ++y)
    for (int x = left < 0 ? 0 : left; x < x_end; ++x) body(image[y * p.a.X + x], y * p.a.X + x);
}

// body(out) for the outputs whose windows hold element i of the image; returns its position in its plane.
template <class Pool, class Body>
__device__ __forceinline__ void for_windows_of(const Pooling<Pool>& p, std::int64_t i, const Body& body) {
  const Window& w = p.a.window;
  const std::int64_t row = i / p.a.X, plane = row / p.a.Y;
  const int y = static_cast<int>(row - plane * p.a.Y), x = static_cast<int>(i - row * p.a.X);
  const Places rows = places_of(y, w.rows, w.stride, w.padding, p.out_Y);
  const Places columns = places_of(x, w.columns, w.stride, w.padding, p.out_X);
  for (int r = rows.first; r < rows.last; ++r)
    for (int c = columns.first; c < columns.last; ++c) body((plane * p.out_Y + r) * p.out_X + c, y * p.a.X + x);
}

__global__ void __launch_bounds__(kThreads) max_pool_forward_kernel(Pooling<MaxPoolForward> p) {
  for_each(outputs_of(p), [&](std::int64_t out) {
    float highest = -INFINITY;
    int position = -1;
    for_window(p, out, [&](float value, int at) {
      if (position >= 0 && !(value > highest || value != value)) return;
      highest = value;
      position = at;
    });
    p.a.out[out] = highest;
    if (p.a.position) p.a.position[out] = position;
  });
}

__global__ void __launch_bounds__(kThreads) max_pool_backward_kernel(Pooling<MaxPoolBackward> p) {
  for_each(inputs_of(p.a), [&](std::int64_t i) {
    float sum = 0;
    for_windows_of(p, i, [&](std::int64_t out, int at) {
      if (p.a.position[out] == at) sum += p.a.dout[out];
    });
    contribute(p.a.dx.f32() + i, p.a.dx.add, sum);
  });
}

__global__ void __launch_bounds__(kThreads) average_pool_forward_kernel(Pooling<AveragePoolForward> p) {
  const float share = 1.0f / static_cast<float>(p.a.window.size());
  for_each(outputs_of(p), [&](std::int64_t out) {
    float sum = 0;
    for_window(p, out, [&](float value, int) { sum += value; });
    p.a.out[out] = sum * share;
  });
}

__global__ void __launch_bounds__(kThreads) average_pool_backward_kernel(Pooling<AveragePoolBackward> p) {
  const float share = 1.0f / static_cast<float>(p.a.window.size());
  for_each(inputs_of(p.a), [&](std::int64_t i) {
    float sum = 0;
    for_windows_of(p, i, [&](std::int64_t out, int) { sum += p.a.dout[out] * share; });
    contribute(p.a.dx.f32() + i, p.a.dx.add, sum);
  });
}

// --- Up-sampling.

__global__ void __launch_bounds__(kThreads) upsample_forward_kernel(UpsampleForward a) {
  const int out_Y = a.rows.outputs, out_X = a.columns.outputs, X = a.columns.inputs;
  for_each(a.planes * out_Y * out_X, [&](std::int64_t out) {
    const std::int64_t row = out / out_X, plane = row / out_Y;
    const Tap y = a.rows.tap(static_cast<int>(row - plane * out_Y));
    const Tap x = a.columns.tap(static_cast<int>(out - row * out_X));
    const float* image = a.x + plane * a.rows.inputs * X;
    const float *above = image + y.first * X, *below = image + y.second * X;
    const float first = above[x.first] + y.share * (below[x.first] - above[x.first]);
    const float second = above[x.second] + y.share * (below[x.second] - above[x.second]);
    a.out[out] = first + x.share * (second - first);
  });
}

__global__ void __launch_bounds__(kThreads) upsample_backward_kernel(UpsampleBackward a) {
  const int Y = a.rows.inputs, X = a.columns.inputs, out_X = a.columns.outputs;
  for_each(a.planes * Y * X, [&](std::int64_t i) {
    const std::int64_t row = i / X, plane = row / Y;
    const int y = static_cast<int>(row - plane * Y), x = static_cast<int>(i - row * X);
    const Places rows = a.rows.readers(y), columns = a.columns.readers(x);
    float sum = 0;
    for (int r = rows.first; r < rows.last; ++r) {
      const float* dout = a.dout + (plane * a.rows.outputs + r) * out_X;
      float row_sum = 0;
      for (int c = columns.first; c < columns.last; ++c) row_sum += a.columns.share(c, x) * dout[c];
      sum += a.rows.share(r, y) * row_sum;
    }
    contribute(a.dx.f32() + i, a.dx.add, sum);
  });
}

// Launches kernel<4> or kernel<1> over `count` elements.
dim3 grid_of_runs(std::int64_t count, int run) { return grid_for((count + run - 1) / run); }

}  // namespace

void relu_forward(const ReluForward& a) {
  by_run(in_fours(a.count, a.x, a.out), [&](auto run) {
    launch("relu_forward", relu_forward_kernel<run()>, grid_of_runs(a.count, run()), dim3(kThreads), 0, a);
  });
}

void relu_backward(const ReluBackward& a) {
  if (!a.dx) return;
  by_run(in_fours(a.count, a.out, a.dout, a.dx), [&](auto run) {
    launch("relu_backward", relu_backward_kernel<run()>, grid_of_runs(a.count, run()), dim3(kThreads), 0, a);
  });
}

void sigmoid_forward(const SigmoidForward& a) {
  by_run(in_fours(a.count, a.x, a.out), [&](auto run) {
    launch("sigmoid_forward", sigmoid_forward_kernel<run()>, grid_of_runs(a.count, run()), dim3(kThreads), 0,
           a);
  });
}

void sigmoid_backward(const SigmoidBackward& a) {
  if (!a.dx) return;
  by_run(in_fours(a.count, a.out, a.dout, a.dx), [&](auto run) {
    launch("sigmoid_backward", sigmoid_backward_kernel<run()>, grid_of_runs(a.count, run()), dim3(kThreads), 0,
           a);
  });
}

void shift_channels(const ShiftChannels& a) {
  const std::int64_t count = static_cast<std::int64_t>(a.B) * a.C * a.n;
  by_run(in_fours(a.n, a.x), [&](auto run) {
    launch("shift_channels", shift_channels_kernel<run()>, grid_of_runs(count, run()), dim3(kThreads), 0, a);
  });
}

void sum_channels(const SumChannels& a) {
  launch("sum_planes", sum_planes_kernel, dim3(static_cast<unsigned>(a.B * a.C)), dim3(kThreads), 0, a);
  launch("sum_channels", sum_channels_kernel, grid_for(a.C), dim3(kThreads), 0, a);
}

void copy_rows(const CopyRows& a) {
  const bool fours =
      in_fours(a.width, a.from, a.to) && in_fours(a.from_pitch, a.from) && in_fours(a.to_pitch, a.to);
  by_run(fours, [&](auto run) {
    launch("copy_rows", copy_rows_kernel<run()>, grid_of_runs(a.rows * a.width, run()), dim3(kThreads), 0, a);
  });
}

void swap_axes(const SwapAxes& a) {
  const std::int64_t count = static_cast<std::int64_t>(a.A) * a.P * a.Q * a.n;
  by_run(in_fours(a.n, a.x, a.out), [&](auto run) {
    launch("swap_axes", swap_axes_kernel<run()>, grid_of_runs(count, run()), dim3(kThreads), 0, a);
  });
}

void max_pool_forward(const MaxPoolForward& a) {
  const auto p = with_places(a);
  launch("max_pool_forward", max_pool_forward_kernel, grid_for(outputs_of(p)), dim3(kThreads), 0, p);
}

void max_pool_backward(const MaxPoolBackward& a) {
  if (!a.dx) return;
  launch("max_pool_backward", max_pool_backward_kernel, grid_for(inputs_of(a)), dim3(kThreads), 0,
         with_places(a));
}

void average_pool_forward(const AveragePoolForward& a) {
  const auto p = with_places(a);
  launch("average_pool_forward", average_pool_forward_kernel, grid_for(outputs_of(p)), dim3(kThreads), 0, p);
}

void average_pool_backward(const AveragePoolBackward& a) {
  if (!a.dx) return;
  launch("average_pool_backward", average_pool_backward_kernel, grid_for(inputs_of(a)), dim3(kThreads), 0,
         with_places(a));
}

void upsample_forward(const UpsampleForward& a) {
  launch("upsample_forward", upsample_forward_kernel, grid_for(a.planes * a.rows.outputs * a.columns.outputs),
         dim3(kThreads), 0, a);
}

void upsample_backward(const UpsampleBackward& a) {
  if (!a.dx) return;
  launch("upsample_backward", upsample_backward_kernel, grid_for(a.planes * a.rows.inputs * a.columns.inputs),
         dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM

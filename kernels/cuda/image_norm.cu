// Batch norm and instance norm: N = (x - mean) rstd, out = N weight_c + bias_c, over the planes of an image.
//
// Plan: a block for each plane, and every sum in one fixed order. First kernel: each plane's mean and the
// squared deviations about it (sums of squares would cancel where the mean is large). Second: a thread for each
// group of planes joins them in order by Chan's formula. Third: the planes are written. Backward goes the same
// way with the sums of dout and dout N. A plane is read again from L2.
#include "kernels/image_norm.h"

#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

constexpr int kThreads = 256;

// body(i) for this thread's runs of a plane.
template <int V, class Body>
__device__ __forceinline__ void for_plane(int n, const Body& body) {
  for (int i = V * static_cast<int>(threadIdx.x); i < n; i += V * kThreads) body(i);
}

template <int V>
__global__ void __launch_bounds__(kThreads) measure_planes_kernel(ImageNormForward a) {
  const float* plane = a.x + static_cast<std::int64_t>(blockIdx.x) * a.n;
  const float share = 1.0f / static_cast<float>(a.n);
  float sum = 0, squares = 0;
  for_plane<V>(a.n, [&](int i) {
    const Run<V> x = load_run<V>(plane + i);
    for (int k = 0; k < V; ++k) sum += x.at[k];
  });
  const float mean = block_sum(sum) * share;
  for_plane<V>(a.n, [&](int i) {
    const Run<V> x = load_run<V>(plane + i);
    for (int k = 0; k < V; ++k) squares += (x.at[k] - mean) * (x.at[k] - mean);
  });
  squares = block_sum(squares);
  if (threadIdx.x == 0) {
    a.partial[2 * blockIdx.x] = mean;
    a.partial[2 * blockIdx.x + 1] = squares;
  }
}

// Plane b of a group, of which there are planes_of_group.
template <class Args>
__device__ __forceinline__ const float* partial_of(const Args& a, std::int64_t group, int b) {
  return a.partial + 2 * (group + static_cast<std::int64_t>(b) * a.C);
}
template <class Args>
__device__ __forceinline__ int planes_of_group(const Args& a) {
  return a.instance ? 1 : a.B;
}
template <class Args>
__device__ __forceinline__ std::int64_t group_of_block(const Args& a) {
  return a.instance ? blockIdx.x : blockIdx.x % a.C;
}
template <class Args>
std::int64_t groups_of(const Args& a) {
  return a.instance ? static_cast<std::int64_t>(a.B) * a.C : a.C;
}

// running += momentum (batch - running)
__device__ __forceinline__ void move(float* running, float momentum, float batch) {
  *running += momentum * (batch - *running);
}

struct Joining {
  ImageNormForward a;
  std::int64_t groups;
};
__global__ void __launch_bounds__(kThreads) join_planes_kernel(Joining j) {
  const ImageNormForward& a = j.a;
  const float n = static_cast<float>(a.n);
  for (std::int64_t group = grid_first(); group < j.groups; group += grid_stride()) {
    float mean = 0, squares = 0, seen = 0;
    for (int b = 0; b < planes_of_group(a); ++b) {
      const float* plane = partial_of(a, group, b);
      const float way = plane[0] - mean, total = seen + n;
      mean += way * (n / total);
      squares += plane[1] + way * way * (seen * n / total);
      seen = total;
    }
    a.mean[group] = mean;
    a.rstd[group] = 1.0f / sqrtf(squares / seen + a.epsilon);
    if (!a.running_mean) continue;
    move(a.running_mean + group, a.momentum, mean);
    move(a.running_variance + group, a.momentum, squares / (seen > 1 ? seen - 1 : 1.0f));
  }
}

__global__ void __launch_bounds__(kThreads) fixed_statistics_kernel(ImageNormForward a) {
  for (std::int64_t c = grid_first(); c < a.C; c += grid_stride()) {
    a.mean[c] = a.running_mean[c];
    a.rstd[c] = 1.0f / sqrtf(a.running_variance[c] + a.epsilon);
  }
}

template <int V>
__global__ void __launch_bounds__(kThreads) write_planes_kernel(ImageNormForward a) {
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * a.n, group = group_of_block(a);
  const int c = static_cast<int>(blockIdx.x) % a.C;
  const float mean = a.mean[group], scale = a.rstd[group] * a.weight[c], shift = a.bias[c];
  for_plane<V>(a.n, [&](int i) {
    Run<V> x = load_run<V>(a.x + begin + i);
    for (int k = 0; k < V; ++k) x.at[k] = (x.at[k] - mean) * scale + shift;
    store_run<V>(a.out + begin + i, x);
  });
}

// The sums of dout and of dout N over each plane.
template <int V>
__global__ void __launch_bounds__(kThreads) slope_planes_kernel(ImageNormBackward a) {
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * a.n, group = group_of_block(a);
  const float mean = a.mean[group];
  float sum = 0, sum_n = 0;
  for_plane<V>(a.n, [&](int i) {
    const Run<V> x = load_run<V>(a.x + begin + i), d = load_run<V>(a.dout + begin + i);
    for (int k = 0; k < V; ++k) {
      sum += d.at[k];
      sum_n += d.at[k] * (x.at[k] - mean);
    }
  });
  sum = block_sum(sum);
  sum_n = block_sum(sum_n) * a.rstd[group];
  if (threadIdx.x == 0) {
    a.partial[2 * blockIdx.x] = sum;
    a.partial[2 * blockIdx.x + 1] = sum_n;
  }
}

struct Sums {
  float dout, dout_n;
};
__device__ __forceinline__ Sums sum_of_planes(const ImageNormBackward& a, std::int64_t first, int count) {
  Sums sum = {0, 0};
  for (int b = 0; b < count; ++b) {
    const float* plane = partial_of(a, first, b);
    sum.dout += plane[0];
    sum.dout_n += plane[1];
  }
  return sum;
}

// forward: out = N weight + bias, so dweight += sum of dout N and dbias += sum of dout.
__global__ void __launch_bounds__(kThreads) parameter_gradients_kernel(ImageNormBackward a) {
  for (std::int64_t c = grid_first(); c < a.C; c += grid_stride()) {
    const Sums sum = sum_of_planes(a, c, a.B);
    if (a.dbias) contribute(a.dbias.f32() + c, a.dbias.add, sum.dout);
    if (a.dweight) contribute(a.dweight.f32() + c, a.dweight.add, sum.dout_n);
  }
}

// forward: N = (x - mean) rstd, where mean and rstd depend on every x of the group, so with g = dout weight
// dx += rstd (g - mean(g) - N mean(g N)).
template <int V>
__global__ void __launch_bounds__(kThreads) input_gradient_kernel(ImageNormBackward a) {
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * a.n, group = group_of_block(a);
  const float mean = a.mean[group], rstd = a.rstd[group];
  const float scale = rstd * a.weight[static_cast<int>(blockIdx.x) % a.C];
  Sums sum = {0, 0};
  if (!a.fixed) sum = sum_of_planes(a, group, planes_of_group(a));
  const float share = 1.0f / (static_cast<float>(planes_of_group(a)) * static_cast<float>(a.n));
  const float mean_g = sum.dout * share, slope = sum.dout_n * share * rstd;
  for_plane<V>(a.n, [&](int i) {
    const Run<V> x = load_run<V>(a.x + begin + i);
    Run<V> d = load_run<V>(a.dout + begin + i);
    for (int k = 0; k < V; ++k) d.at[k] = scale * (d.at[k] - mean_g - (x.at[k] - mean) * slope);
    contribute_run<V>(a.dx.f32() + begin + i, a.dx.add, d);
  });
}

template <class Args>
dim3 grid_of_planes(const Args& a) {
  return dim3(static_cast<unsigned>(a.B) * static_cast<unsigned>(a.C));
}

void statistics(const ImageNormForward& a) {
  if (a.fixed) {
    launch("fixed_statistics", fixed_statistics_kernel, dim3(blocks_for(a.C, kThreads)), dim3(kThreads), 0, a);
    return;
  }
  by_run(in_fours(a.n, a.x), [&](auto run) {
    launch("measure_planes", measure_planes_kernel<run()>, grid_of_planes(a), dim3(kThreads), 0, a);
  });
  const std::int64_t groups = groups_of(a);
  launch("join_planes", join_planes_kernel, dim3(blocks_for(groups, kThreads)), dim3(kThreads), 0, {a, groups});
}

}  // namespace

void image_norm_forward(const ImageNormForward& a) {
  statistics(a);
  by_run(in_fours(a.n, a.x, a.out), [&](auto run) {
    launch("image_norm_forward", write_planes_kernel<run()>, grid_of_planes(a), dim3(kThreads), 0, a);
  });
}

void image_norm_backward(const ImageNormBackward& a) {
  const bool learns = a.dweight || a.dbias;
  const bool fours = in_fours(a.n, a.x, a.dout);
  if (learns || (a.dx && !a.fixed)) {
    by_run(fours, [&](auto run) {
      launch("slope_planes", slope_planes_kernel<run()>, grid_of_planes(a), dim3(kThreads), 0, a);
    });
  }
  if (learns) {
    launch("image_norm_parameters", parameter_gradients_kernel, dim3(blocks_for(a.C, kThreads)), dim3(kThreads),
           0, a);
  }
  if (!a.dx) return;
  by_run(fours && fits_four(a.dx), [&](auto run) {
    launch("image_norm_backward", input_gradient_kernel<run()>, grid_of_planes(a), dim3(kThreads), 0, a);
  });
}

}  // namespace stp::STP_ROOM

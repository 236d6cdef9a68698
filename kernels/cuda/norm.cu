// LayerNorm: n = (x - mean) rstd, out = n weight + bias, over the last dimension.
//
// Plan: a warp owns a row. Rows of up to 1024 elements stay in the lanes' registers (R runs of four each), so
// that the mean, the variance about that mean (sums of squares would cancel where the mean is large) and the
// result cost one read; other rows are read again, from L1. The parameters' gradients are sums over rows:
// blocks of 16 columns runs by 32 row lanes form one sum for each of kParts row ranges, a second kernel adds
// the parts in order.
#include "kernels/norm.h"

#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

// A lane's share of a row. R runs are held in registers; R = 0: each is read when asked for.
template <class T, int V, int R>
class Row {
 public:
  __device__ __forceinline__ Row(const T* row, int E) : row_(row) {
    for (int r = 0; r < R; ++r) {
      const int e = V * (lane_of_warp() + kLanes * r);
      if (e < E) held_[r] = load_run<V>(row + e);
    }
  }
  __device__ __forceinline__ Run<V> at(int e, int r) const {
    if constexpr (R > 0) {
      return held_[r];
    } else {
      return load_run<V>(row_ + e);
    }
  }

 private:
  const T* row_;
  Run<V> held_[R > 0 ? R : 1] = {};
};

// body(e, r) for the lane's runs: elements from e on, the r-th that it holds.
template <int V, int R, class Body>
__device__ __forceinline__ void for_held(int E, const Body& body) {
  if constexpr (R > 0) {
    for (int r = 0; r < R; ++r) {
      const int e = V * (lane_of_warp() + kLanes * r);
      if (e < E) body(e, r);
    }
  } else {
    for_runs_of_lane<V>(E, [&](int e) { body(e, 0); });
  }
}

// Left alone, ptxas spills a word of R = 4 to fit six blocks on a multiprocessor; 0 leaves it alone.
constexpr int kRowBlocks = 5;

template <class T, int V, int R>
__global__ void __launch_bounds__(kRowThreads, R == 4 ? kRowBlocks : 0)
    layer_norm_forward_kernel(LayerNormForward a) {
  const float share = 1.0f / static_cast<float>(a.E);
  for_rows_of_warp(a.rows, [&](std::int64_t row) {
    const Row<T, V, R> x(typed<T>(a.x) + row * a.E, a.E);
    float sum = 0, squares = 0;
    for_held<V, R>(a.E, [&](int e, int r) {
      const Run<V> v = x.at(e, r);
      for (int k = 0; k < V; ++k) sum += v.at[k];
    });
    const float mean = warp_sum(sum) * share;
    for_held<V, R>(a.E, [&](int e, int r) {
      const Run<V> v = x.at(e, r);
      for (int k = 0; k < V; ++k) squares += (v.at[k] - mean) * (v.at[k] - mean);
    });
    const float rstd = rsqrtf(warp_sum(squares) * share + a.epsilon);
    T* out = typed<T>(a.out) + row * a.E;
    for_held<V, R>(a.E, [&](int e, int r) {
      const Run<V> weight = load_run<V>(a.weight + e), bias = load_run<V>(a.bias + e);
      Run<V> v = x.at(e, r);
      for (int k = 0; k < V; ++k) v.at[k] = (v.at[k] - mean) * rstd * weight.at[k] + bias.at[k];
      store_run<V>(out + e, v);
    });
    if (lane_of_warp() == 0) {
      if (a.mean) a.mean[row] = mean;
      if (a.rstd) a.rstd[row] = rstd;
    }
  });
}

// forward: n = (x - mean) rstd, where mean and rstd depend on every x of the row, so with g = dout weight
// dx += rstd (g - mean(g) - n mean(g n)).
template <class T, int V, int R>
__global__ void __launch_bounds__(kRowThreads) layer_norm_backward_kernel(LayerNormBackward a) {
  const float share = 1.0f / static_cast<float>(a.E);
  for_rows_of_warp(a.rows, [&](std::int64_t row) {
    const Row<T, V, R> x(typed<T>(a.x) + row * a.E, a.E), dout(typed<T>(a.dout) + row * a.E, a.E);
    T* dx = typed<T>(a.dx) + row * a.E;
    const float mean = a.mean[row], rstd = a.rstd[row];
    float sum_g = 0, sum_gn = 0;
    for_held<V, R>(a.E, [&](int e, int r) {
      const Run<V> weight = load_run<V>(a.weight + e), v = x.at(e, r), d = dout.at(e, r);
      for (int k = 0; k < V; ++k) {
        const float g = d.at[k] * weight.at[k];
        sum_g += g;
        sum_gn += g * (v.at[k] - mean) * rstd;
      }
    });
    const float mean_g = warp_sum(sum_g) * share, mean_gn = warp_sum(sum_gn) * share;
    for_held<V, R>(a.E, [&](int e, int r) {
      const Run<V> weight = load_run<V>(a.weight + e), v = x.at(e, r);
      Run<V> d = dout.at(e, r);
      for (int k = 0; k < V; ++k) {
        const float n = (v.at[k] - mean) * rstd;
        d.at[k] = rstd * (d.at[k] * weight.at[k] - mean_g - n * mean_gn);
      }
      contribute_run<V>(dx + e, a.dx.add, d);
    });
  });
}

struct Partials {
  LayerNormBackward a;
  int tiles;  // blocks side by side
};

// forward: out = n weight + bias, so dweight += dout n and dbias += dout: the sums over one range of rows.
template <class T, int V>
__global__ void __launch_bounds__(kColumnThreads) layer_norm_partials_kernel(Partials p) {
  const LayerNormBackward& a = p.a;
  const int tile = static_cast<int>(blockIdx.x) % p.tiles, part = static_cast<int>(blockIdx.x) / p.tiles;
  const int e = V * (tile * kColumnLanes + column_lane());
  const std::int64_t share = (a.rows + LayerNormBackward::kParts - 1) / LayerNormBackward::kParts;
  const std::int64_t begin = part * share, end = begin + share < a.rows ? begin + share : a.rows;
  Run<V> dweight = {}, dbias = {};
  for (std::int64_t row = begin + row_lane(); e < a.E && row < end; row += kRowLanes) {
    const Run<V> x = load_run<V>(typed<T>(a.x) + row * a.E + e);
    const Run<V> dout = load_run<V>(typed<T>(a.dout) + row * a.E + e);
    const float mean = a.mean[row], rstd = a.rstd[row];
    for (int k = 0; k < V; ++k) {
      dweight.at[k] += dout.at[k] * (x.at[k] - mean) * rstd;
      dbias.at[k] += dout.at[k];
    }
  }
  dweight = add_row_lanes<V>(dweight);
  dbias = add_row_lanes<V>(dbias);
  if (row_lane() == 0 && e < a.E) {
    float* partial = a.partial + static_cast<std::int64_t>(part) * 2 * a.E + e;
    store_run<V>(partial, dweight);
    store_run<V>(partial + a.E, dbias);
  }
}

__global__ void __launch_bounds__(kRowThreads) layer_norm_parameters_kernel(LayerNormBackward a) {
  const std::int64_t width = 2 * static_cast<std::int64_t>(a.E);
  for_runs<1>(width, [&](std::int64_t e) {
    float sum = 0;
    for (int part = 0; part < LayerNormBackward::kParts; ++part) sum += a.partial[part * width + e];
    if (e < a.E && a.dweight) contribute(a.dweight.f32() + e, a.dweight.add, sum);
    if (e >= a.E && a.dbias) contribute(a.dbias.f32() + (e - a.E), a.dbias.add, sum);
  });
}

// Calls body(V, R) as types: how long a run is, and how many of them a lane holds.
template <class Body>
void by_width(bool fours, int E, const Body& body) {
  using std::integral_constant;
  const integral_constant<int, 4> four;
  if (!fours) return body(integral_constant<int, 1>{}, integral_constant<int, 0>{});
  if (E <= 128) return body(four, integral_constant<int, 1>{});
  if (E <= 256) return body(four, integral_constant<int, 2>{});
  if (E <= 384) return body(four, integral_constant<int, 3>{});
  if (E <= 512) return body(four, integral_constant<int, 4>{});
  if (E <= 768) return body(four, integral_constant<int, 6>{});
  if (E <= 1024) return body(four, integral_constant<int, 8>{});
  body(four, integral_constant<int, 0>{});
}

void input_gradient(const LayerNormBackward& a) {
  const bool fours = in_fours(a.E, a.x, a.dout, a.dx, a.weight);
  by_type(a.x.type, [&](auto type) {
    by_width(fours, a.E, [&](auto run, auto held) {
      launch("layer_norm_backward", layer_norm_backward_kernel<decltype(type), run(), held()>,
             grid_of_rows(a.rows), dim3(kRowThreads), 0, a);
    });
  });
}

void parameter_gradients(const LayerNormBackward& a) {
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(a.E, a.x, a.dout, a.partial), [&](auto run) {
      const Partials p = {a, column_tiles(a.E, run())};
      launch("layer_norm_partials", layer_norm_partials_kernel<decltype(type), run()>,
             dim3(static_cast<unsigned>(p.tiles * LayerNormBackward::kParts)), dim3(kColumnThreads), 0, p);
    });
  });
  launch("layer_norm_parameters", layer_norm_parameters_kernel, dim3(blocks_for(2 * a.E, kRowThreads)),
         dim3(kRowThreads), 0, a);
}

}  // namespace

void layer_norm_forward(const LayerNormForward& a) {
  const bool fours = in_fours(a.E, a.x, a.out, a.weight, a.bias);
  by_type(a.x.type, [&](auto type) {
    by_width(fours, a.E, [&](auto run, auto held) {
      launch("layer_norm_forward", layer_norm_forward_kernel<decltype(type), run(), held()>,
             grid_of_rows(a.rows), dim3(kRowThreads), 0, a);
    });
  });
}

void layer_norm_backward(const LayerNormBackward& a) {
  if (a.dx) input_gradient(a);
  if (a.dweight || a.dbias) parameter_gradients(a);
}

}  // namespace stp::STP_ROOM

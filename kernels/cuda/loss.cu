// Losses and the log-softmax.
//
//   log-softmax          out = x - log sum e^x, dx = dout - e^out sum dout
//   cross-entropy        mean of log sum e^x - x_label, dlogits = dloss / B (p - onehot)
//   binary               mean of min(limit, log(1 + e^x) - t x), dlogits = dloss / (B A) (sigmoid(x) - t)
//   ratio                mean of (mean of the slot's keep - ratio)^2
//   squared error        mean of (x - target)^2
//
// Plan: everything but the squared error is a few hundred numbers. A loss over them is one block, a warp for
// each row, with sums over rows in double; gradients have a warp for each row. The squared error of whole clips
// is summed by kParts blocks, whose sums a second kernel adds in order.
#include "kernels/loss.h"

#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

constexpr int kThreads = 256;
constexpr int kLossThreads = 1024;  // of the one block that forms a loss
constexpr int kLossWarps = kLossThreads / kLanes;

// --- Log-softmax. The scorers have rows of two, so the lanes of a row are 1 or the whole warp.

template <int Lanes>
__device__ __forceinline__ float sum_of_row(float value) {
  return Lanes == 1 ? value : warp_sum(value);
}
template <int Lanes>
__device__ __forceinline__ float max_of_row(float value) {
  return Lanes == 1 ? value : warp_max(value);
}

// body(row, first element of this lane) for the rows of this thread; a row's lanes call together.
template <int Lanes, class Body>
__device__ __forceinline__ void for_narrow_rows(std::int64_t rows, const Body& body) {
  const int lane = static_cast<int>(threadIdx.x) % Lanes;
  for (std::int64_t row = grid_first() / Lanes; row < rows; row += grid_stride() / Lanes) body(row, lane);
}

template <int Lanes>
__global__ void __launch_bounds__(kThreads) log_softmax_forward_kernel(LogSoftmaxForward a) {
  for_narrow_rows<Lanes>(a.rows, [&](std::int64_t row, int first) {
    const float* x = a.x + row * a.A;
    float* out = a.out + row * a.A;
    float highest = -INFINITY, sum = 0;
    for (int i = first; i < a.A; i += Lanes) highest = fmaxf(highest, x[i]);
    highest = max_of_row<Lanes>(highest);
    for (int i = first; i < a.A; i += Lanes) sum += expf(x[i] - highest);
    const float log_sum = logf(sum_of_row<Lanes>(sum));
    for (int i = first; i < a.A; i += Lanes) out[i] = x[i] - highest - log_sum;
  });
}

// forward: out_i = x_i - log sum_k e^(x_k), so dx_i += dout_i - e^(out_i) sum dout.
template <int Lanes>
__global__ void __launch_bounds__(kThreads) log_softmax_backward_kernel(LogSoftmaxBackward a) {
  for_narrow_rows<Lanes>(a.rows, [&](std::int64_t row, int first) {
    const float *out = a.out + row * a.A, *dout = a.dout + row * a.A;
    float* dx = a.dx.f32() + row * a.A;
    float sum = 0;
    for (int i = first; i < a.A; i += Lanes) sum += dout[i];
    sum = sum_of_row<Lanes>(sum);
    for (int i = first; i < a.A; i += Lanes) contribute(dx + i, a.dx.add, dout[i] - expf(out[i]) * sum);
  });
}

// Calls body with the lanes of a row as a type.
template <class Body>
void by_lanes(int A, const Body& body) {
  constexpr int kNarrow = 8;
  if (A <= kNarrow) return body(std::integral_constant<int, 1>{});
  body(std::integral_constant<int, kLanes>{});
}
dim3 grid_of_narrow_rows(std::int64_t rows, int lanes) { return dim3(blocks_for(rows, kThreads / lanes)); }

// --- Cross-entropy.

__global__ void __launch_bounds__(kLossThreads) cross_entropy_forward_kernel(CrossEntropyForward a) {
  const int lane = lane_of_warp();
  double loss = 0;  // of this warp's clips, in lane 0
  for (std::int64_t b = threadIdx.x / kLanes; b < a.B; b += kLossWarps) {
    const float* x = a.logits + b * a.A;
    float highest = -INFINITY, sum = 0;
    for_runs_of_lane<1>(a.A, [&](int i) { highest = fmaxf(highest, x[i]); });
    highest = warp_max(highest);
    for_runs_of_lane<1>(a.A, [&](int i) { sum += expf(x[i] - highest); });
    sum = warp_sum(sum);
    if (lane == 0) loss += static_cast<double>(highest - x[a.labels[b]] + logf(sum));
    if (!a.probabilities) continue;
    for_runs_of_lane<1>(a.A, [&](int i) { a.probabilities[b * a.A + i] = expf(x[i] - highest) / sum; });
  }
  loss = block_sum(loss);
  if (threadIdx.x == 0) a.loss[0] = static_cast<float>(loss / a.B);
}

// forward: loss = mean of -log p_label, so dlogits += dloss / B (p - onehot).
__global__ void __launch_bounds__(kRowThreads) cross_entropy_backward_kernel(CrossEntropyBackward a) {
  const float share = a.dloss[0] / static_cast<float>(a.B);
  for_rows_of_warp(a.B, [&](std::int64_t b) {
    const int label = a.labels[b];
    for_runs_of_lane<1>(a.A, [&](int i) {
      const float target = i == label ? 1.0f : 0.0f;
      contribute(a.dlogits.f32() + b * a.A + i, a.dlogits.add, share * (a.probabilities[b * a.A + i] - target));
    });
  });
}

// --- Binary cross-entropy.

// log(1 + e^x) - t x, without overflow.
__device__ __forceinline__ float cross_entropy_of_logit(float x, float t) {
  return fmaxf(x, 0.0f) - t * x + log1pf(expf(-fabsf(x)));
}

__global__ void __launch_bounds__(kLossThreads)
    binary_cross_entropy_forward_kernel(BinaryCrossEntropyForward a) {
  const std::int64_t count = static_cast<std::int64_t>(a.B) * a.A;
  double loss = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kLossThreads) {
    const float term = cross_entropy_of_logit(a.logits[i], a.targets[i]);
    loss += static_cast<double>(term > a.limit ? a.limit : term);
  }
  loss = block_sum(loss);
  if (threadIdx.x == 0) a.loss[0] = static_cast<float>(loss / static_cast<double>(count));
}

// forward: mean of min(limit, log(1 + e^x) - t x), so dlogits += dloss / (B A) (sigmoid(x) - t) below the
// limit.
__global__ void __launch_bounds__(kThreads) binary_cross_entropy_backward_kernel(BinaryCrossEntropyBackward a) {
  const std::int64_t count = static_cast<std::int64_t>(a.B) * a.A;
  const float share = a.dloss[0] / static_cast<float>(count);
  for_runs<1>(count, [&](std::int64_t i) {
    const float x = a.logits[i], t = a.targets[i];
    const bool bounded = cross_entropy_of_logit(x, t) > a.limit;
    const float slope = bounded ? 0.0f : share * (1.0f / (1.0f + expf(-x)) - t);
    contribute(a.dlogits.f32() + i, a.dlogits.add, slope);
  });
}

// --- Ratio loss.

__global__ void __launch_bounds__(kLossThreads) ratio_loss_forward_kernel(RatioLossForward a) {
  const int lane = lane_of_warp();
  double loss = 0;  // of this warp's slots, in lane 0
  for (std::int64_t s = threadIdx.x / kLanes; s < a.segments; s += kLossWarps) {
    float sum = 0;
    for_runs_of_lane<1>(a.P, [&](int p) { sum += a.keep[s * a.P + p]; });
    const double mean = static_cast<double>(warp_sum(sum)) / a.P, excess = mean - a.ratio;
    if (lane != 0) continue;
    a.means[s] = static_cast<float>(mean);
    loss += excess * excess;
  }
  loss = block_sum(loss);
  if (threadIdx.x == 0) a.loss[0] = static_cast<float>(loss / a.segments);
}

// forward: loss = mean of (mean keep - ratio)^2, so dkeep += dloss 2 (mean - ratio) / (segments P).
__global__ void __launch_bounds__(kRowThreads) ratio_loss_backward_kernel(RatioLossBackward a) {
  const float share = 2.0f * a.dloss[0] / (static_cast<float>(a.segments) * static_cast<float>(a.P));
  for_rows_of_warp(a.segments, [&](std::int64_t s) {
    const float slope = share * (a.means[s] - a.ratio);
    for_runs_of_lane<1>(a.P, [&](int p) { contribute(a.dkeep.f32() + s * a.P + p, a.dkeep.add, slope); });
  });
}

// --- Squared error.

template <class T, int V>
__global__ void __launch_bounds__(kLossThreads) squared_error_partials_kernel(SquaredErrorForward a) {
  // Ranges of whole runs.
  const std::int64_t runs = (a.count / V + SquaredErrorForward::kParts - 1) / SquaredErrorForward::kParts;
  const std::int64_t begin = V * runs * blockIdx.x, bound = begin + V * runs,
                     end = bound < a.count ? bound : a.count;
  double sum = 0;
  for (std::int64_t i = begin + V * threadIdx.x; i < end; i += V * kLossThreads) {
    const Run<V> x = load_run<V>(typed<T>(a.x) + i), target = load_run<V>(a.target + i);
    for (int k = 0; k < V; ++k) {
      const double difference = static_cast<double>(x.at[k] - target.at[k]);
      sum += difference * difference;
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kLanes) squared_error_finish_kernel(SquaredErrorForward a) {
  if (threadIdx.x != 0) return;
  double sum = 0;
  for (int part = 0; part < SquaredErrorForward::kParts; ++part) sum += a.partial[part];
  a.loss[0] = static_cast<float>(sum / static_cast<double>(a.count));
}

// forward: loss = mean (x - target)^2, so dx += dloss 2 (x - target) / count.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) squared_error_backward_kernel(SquaredErrorBackward a) {
  const float share = 2.0f * a.dloss[0] / static_cast<float>(a.count);
  for_runs<V>(a.count, [&](std::int64_t i) {
    Run<V> x = load_run<V>(typed<T>(a.x) + i);
    const Run<V> target = load_run<V>(a.target + i);
    for (int k = 0; k < V; ++k) x.at[k] = share * (x.at[k] - target.at[k]);
    contribute_run<V>(typed<T>(a.dx) + i, a.dx.add, x);
  });
}

}  // namespace

void log_softmax_forward(const LogSoftmaxForward& a) {
  by_lanes(a.A, [&](auto lanes) {
    launch("log_softmax_forward", log_softmax_forward_kernel<lanes()>, grid_of_narrow_rows(a.rows, lanes()),
           dim3(kThreads), 0, a);
  });
}

void log_softmax_backward(const LogSoftmaxBackward& a) {
  if (!a.dx) return;
  by_lanes(a.A, [&](auto lanes) {
    launch("log_softmax_backward", log_softmax_backward_kernel<lanes()>, grid_of_narrow_rows(a.rows, lanes()),
           dim3(kThreads), 0, a);
  });
}

void cross_entropy_forward(const CrossEntropyForward& a) {
  launch("cross_entropy_forward", cross_entropy_forward_kernel, dim3(1), dim3(kLossThreads), 0, a);
}

void cross_entropy_backward(const CrossEntropyBackward& a) {
  if (!a.dlogits) return;
  launch("cross_entropy_backward", cross_entropy_backward_kernel, grid_of_rows(a.B), dim3(kRowThreads), 0, a);
}

void binary_cross_entropy_forward(const BinaryCrossEntropyForward& a) {
  launch("binary_cross_entropy_forward", binary_cross_entropy_forward_kernel, dim3(1), dim3(kLossThreads), 0,
         a);
}

void binary_cross_entropy_backward(const BinaryCrossEntropyBackward& a) {
  if (!a.dlogits) return;
  const dim3 grid(blocks_for(static_cast<std::int64_t>(a.B) * a.A, kThreads));
  launch("binary_cross_entropy_backward", binary_cross_entropy_backward_kernel, grid, dim3(kThreads), 0, a);
}

void ratio_loss_forward(const RatioLossForward& a) {
  launch("ratio_loss_forward", ratio_loss_forward_kernel, dim3(1), dim3(kLossThreads), 0, a);
}

void ratio_loss_backward(const RatioLossBackward& a) {
  if (!a.dkeep) return;
  launch("ratio_loss_backward", ratio_loss_backward_kernel, grid_of_rows(a.segments), dim3(kRowThreads), 0, a);
}

void squared_error_forward(const SquaredErrorForward& a) {
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(a.count, a.x, a.target), [&](auto run) {
      launch("squared_error_partials", squared_error_partials_kernel<decltype(type), run()>,
             dim3(SquaredErrorForward::kParts), dim3(kLossThreads), 0, a);
    });
  });
  launch("squared_error_finish", squared_error_finish_kernel, dim3(1), dim3(kLanes), 0, a);
}

void squared_error_backward(const SquaredErrorBackward& a) {
  if (!a.dx) return;
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(a.count, a.x, a.target, a.dx), [&](auto run) {
      launch("squared_error_backward", squared_error_backward_kernel<decltype(type), run()>,
             dim3(blocks_for((a.count + run() - 1) / run(), kThreads)), dim3(kThreads), 0, a);
    });
  });
}

}  // namespace stp::STP_ROOM

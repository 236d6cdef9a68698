// AdamW in one pass over memory, and the norm of all gradients.
//
//   m <- b1 m + (1 - b1) g      v <- b2 v + (1 - b2) g^2      g = gradient_scale times the gradient
//   p <- p (1 - rate decay) - rate / (1 - b1^k) m / (sqrt(v / (1 - b2^k)) + epsilon)
//
// Plan: a block owns kBlockRuns runs of four elements of one segment; runs are aligned in the buffer, so a
// segment that begins or ends within one takes its elements one by one. What depends on the segment alone is
// computed on the host and travels, for up to kMostSegments of them, in the kernel's argument. The norm is
// kParts sums of squares, one block each, which a second kernel adds in order.
#include "kernels/optimizer.h"

#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

// --- AdamW.

constexpr int kThreads = 256;
constexpr int kBlockRuns = 4 * kThreads;
constexpr int kMostSegments = 64;

struct SegmentStep {
  std::int64_t begin, end;  // elements
  float rate;               // over 1 - b1^k; 0: nothing but the gradients changes
  float decay;              // 1 - rate decay
  unsigned first_block;     // of the grid
};

struct AdamWStep {
  AdamW a;             // its segments are host memory: not for the device
  float inverse_root;  // 1 / sqrt(1 - b2^k)
  bool fours;          // whether aligned runs are one access
  int count;
  SegmentStep segments[kMostSegments];
};

// V elements from `at` on.
template <int V>
__device__ __forceinline__ void step_run(const AdamWStep& s, float rate, float decay, float scale,
                                         std::int64_t at) {
  const AdamW& a = s.a;
  if (rate != 0) {
    Run<V> p = load_run<V>(a.parameters + at), g = load_run<V>(a.gradients + at);
    Run<V> m = load_run<V>(a.first + at), v = load_run<V>(a.second + at);
    for (int k = 0; k < V; ++k) {
      g.at[k] *= scale;
      m.at[k] = a.beta1 * m.at[k] + (1.0f - a.beta1) * g.at[k];
      v.at[k] = a.beta2 * v.at[k] + (1.0f - a.beta2) * g.at[k] * g.at[k];
      p.at[k] = p.at[k] * decay - rate * m.at[k] / (sqrtf(v.at[k]) * s.inverse_root + a.epsilon);
    }
    store_run<V>(a.parameters + at, p);
    if (a.rounded) store_run<V>(typed<Bf16>(a.rounded) + at, p);
    store_run<V>(a.first + at, m);
    store_run<V>(a.second + at, v);
  }
  store_run<V>(a.gradients + at, Run<V>{});
}

__global__ void __launch_bounds__(kThreads) adamw_kernel(AdamWStep s) {
  int i = 0;
  while (i + 1 < s.count && blockIdx.x >= s.segments[i + 1].first_block) ++i;
  const std::int64_t begin = s.segments[i].begin, end = s.segments[i].end;
  const float rate = s.segments[i].rate, decay = s.segments[i].decay;
  const float scale = s.a.gradient_scale ? *s.a.gradient_scale : 1.0f;
  if (scale != scale) return;  // NaN: the norm is not finite
  const std::int64_t first =
      begin / 4 + static_cast<std::int64_t>(blockIdx.x - s.segments[i].first_block) * kBlockRuns;
  for (int run = static_cast<int>(threadIdx.x); run < kBlockRuns; run += kThreads) {
    const std::int64_t at = 4 * (first + run);
    if (s.fours && at >= begin && at + 4 <= end) {
      step_run<4>(s, rate, decay, scale, at);
    } else {
      for (std::int64_t e = at < begin ? begin : at; e < at + 4 && e < end; ++e)
        step_run<1>(s, rate, decay, scale, e);
    }
  }
}

// Blocks that cover a segment, whose first and last run need not be whole.
unsigned blocks_of(const AdamWSegment& segment) {
  if (segment.end <= segment.begin) return 0;
  const std::int64_t runs = (segment.end + 3) / 4 - segment.begin / 4;
  return static_cast<unsigned>((runs + kBlockRuns - 1) / kBlockRuns);
}

// --- The norm.

constexpr int kNormThreads = 1024;

template <int V>
__global__ void __launch_bounds__(kNormThreads) clip_norm_partials_kernel(ClipNorm a) {
  // Ranges of whole runs.
  const std::int64_t runs = (a.count / V + ClipNorm::kParts - 1) / ClipNorm::kParts;
  const std::int64_t begin = V * runs * blockIdx.x, bound = begin + V * runs,
                     end = bound < a.count ? bound : a.count;
  Run<V> squares = {};
  for (std::int64_t i = begin + V * threadIdx.x; i < end; i += V * kNormThreads) {
    const Run<V> g = load_run<V>(a.gradients + i);
    for (int k = 0; k < V; ++k) squares.at[k] += g.at[k] * g.at[k];
  }
  float sum = 0;
  for (int k = 0; k < V; ++k) sum += squares.at[k];
  sum = block_sum(sum);
  if (threadIdx.x == 0) a.partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kLanes) clip_norm_finish_kernel(ClipNorm a) {
  if (threadIdx.x != 0) return;
  double sum = 0;
  for (int part = 0; part < ClipNorm::kParts; ++part) sum += static_cast<double>(a.partial[part]);
  const double norm = sqrt(sum), limit = static_cast<double>(a.limit);
  a.norm[0] = static_cast<float>(norm);
  const float scale = norm > limit ? static_cast<float>(limit / norm) : 1.0f;
  const float nothing = a.norm[0] - a.norm[0];  // NaN where the norm is not finite
  a.scale[0] = scale + nothing;
}

}  // namespace

void adamw(const AdamW& a) {
  const double k = static_cast<double>(a.step);
  const double correction1 = 1 - std::pow(static_cast<double>(a.beta1), k);
  const double correction2 = 1 - std::pow(static_cast<double>(a.beta2), k);
  for (int first = 0; first < a.segment_count; first += kMostSegments) {
    AdamWStep step = {};
    step.a = a;
    step.inverse_root = static_cast<float>(1 / std::sqrt(correction2));
    step.fours = in_fours(0, a.parameters, a.gradients, a.first, a.second, a.rounded);
    unsigned blocks = 0;
    for (int s = first; s < a.segment_count && step.count < kMostSegments; ++s) {
      const AdamWSegment& segment = a.segments[s];
      const float rate = static_cast<float>(segment.rate / correction1);
      step.segments[step.count++] = {segment.begin, segment.end, rate, 1.0f - segment.rate * segment.decay,
                                     blocks};
      blocks += blocks_of(segment);
    }
    launch("adamw", adamw_kernel, dim3(blocks), dim3(kThreads), 0, step);
  }
}

void clip_norm(const ClipNorm& a) {
  by_run(in_fours(a.count, a.gradients), [&](auto run) {
    launch("clip_norm_partials", clip_norm_partials_kernel<run()>, dim3(ClipNorm::kParts), dim3(kNormThreads),
           0, a);
  });
  launch("clip_norm_finish", clip_norm_finish_kernel, dim3(1), dim3(kLanes), 0, a);
}

}  // namespace stp::STP_ROOM

// Means over kept tokens, the scorer's aggregation, sums over clips.
//
//   mean of a group = sum keep_n x_n / sum keep_n over its tokens (a clip, or a time slot of one); zero if
//   empty dx_n = keep_n / total G      dkeep_n = (x_n - mean) . G / total, G the gradient of the mean
//
// Plan: sums over tokens belong to blocks of 16 column runs by 32 row lanes, one block for each group and tile
// of columns; what every token receives is written by a warp for each token. Arrays of whole clips (add_row,
// sum_rows, scale_clips) are walked by threads that own a run of columns and go from clip to clip.
#include "kernels/reduce.h"

#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

__device__ __forceinline__ float kept(const float* keep, std::int64_t token) {
  return keep ? keep[token] : 1.0f;
}
__device__ __forceinline__ float inverse_or_zero(float total) { return total > 0 ? 1.0f / total : 0.0f; }

// Tokens begin .. end - 1; where `slots` is given, only those in `slot`.
struct Group {
  std::int64_t begin, end;
  const int* slots;
  int slot;
};

// Sums of a group over the row lanes of a block; valid in row lane 0.
template <int V>
struct GroupSum {
  Run<V> x;     // sum of keep x, of the run of columns whose first token's address was given
  float total;  // sum of keep
};

// The whole block calls. `x`: the thread's first column of token 0, rows `width` apart; null: it has no column.
template <int V, class T>
__device__ __forceinline__ GroupSum<V> sum_group(const Group& group, const T* x, std::int64_t width,
                                                 const float* keep) {
  Run<V> sum = {};
  Run<1> total = {};
  for (std::int64_t n = group.begin + row_lane(); n < group.end; n += kRowLanes) {
    if (group.slots && group.slots[n] != group.slot) continue;
    const float w = kept(keep, n);
    total.at[0] += w;
    if (!x) continue;
    const Run<V> values = load_run<V>(x + n * width);
    for (int k = 0; k < V; ++k) sum.at[k] += w * values.at[k];
  }
  return {add_row_lanes<V>(sum), add_row_lanes<1>(total).at[0]};
}

template <class Args>
__device__ __forceinline__ Group clip_of(const Args& a, std::int64_t b) {
  if (a.offsets) return {a.offsets[b], a.offsets[b + 1], nullptr, 0};
  return {b * a.N, (b + 1) * a.N, nullptr, 0};
}

// --- The mean over a clip.

struct MaskedMean {
  MaskedMeanForward a;
  int tiles;  // blocks side by side
};

template <class T, int V>
__global__ void __launch_bounds__(kColumnThreads) masked_mean_forward_kernel(MaskedMean p) {
  const MaskedMeanForward& a = p.a;
  const int tile = static_cast<int>(blockIdx.x) % p.tiles;
  const std::int64_t b = static_cast<int>(blockIdx.x) / p.tiles;
  const int e = V * (tile * kColumnLanes + column_lane());
  const T* x = e < a.E ? typed<T>(a.x) + e : nullptr;
  GroupSum<V> sum = sum_group<V>(clip_of(a, b), x, a.E, a.keep);
  if (row_lane() == 0 && e < a.E) {
    const float inverse = inverse_or_zero(sum.total);
    for (int k = 0; k < V; ++k) sum.x.at[k] *= inverse;
    store_run<V>(a.out + b * a.E + e, sum.x);
    if (e == 0) a.total[b] = sum.total;
  }
}

struct MaskedMeanSlopes {
  MaskedMeanBackward a;
  int blocks;  // of a clip
};

// forward: out = sum keep x / sum keep, so dx += keep / total dout and dkeep += (x - out) . dout / total.
template <class T, int V>
__global__ void __launch_bounds__(kRowThreads) masked_mean_backward_kernel(MaskedMeanSlopes p) {
  const MaskedMeanBackward& a = p.a;
  const int block = static_cast<int>(blockIdx.x) % p.blocks;
  const std::int64_t b = static_cast<int>(blockIdx.x) / p.blocks;
  const Group clip = clip_of(a, b);
  const float inverse = inverse_or_zero(a.total[b]);
  const float *dout = a.dout + b * a.E, *out = a.out + b * a.E;
  const std::int64_t first = clip.begin + block * kWarps + threadIdx.x / kLanes;
  for (std::int64_t n = first; n < clip.end; n += p.blocks * kWarps) {
    const float share = kept(a.keep, n) * inverse;
    float slope = 0;
    for_runs_of_lane<V>(a.E, [&](int e) {
      Run<V> d = load_run<V>(dout + e);
      if (a.dkeep) {
        const Run<V> x = load_run<V>(typed<T>(a.x) + n * a.E + e), mean = load_run<V>(out + e);
        for (int k = 0; k < V; ++k) slope += (x.at[k] - mean.at[k]) * d.at[k];
      }
      if (!a.dx) return;
      for (int k = 0; k < V; ++k) d.at[k] *= share;
      contribute_run<V>(typed<T>(a.dx) + n * a.E + e, a.dx.add, d);
    });
    if (!a.dkeep) continue;
    slope = warp_sum(slope);
    if (lane_of_warp() == 0) contribute(a.dkeep.f32() + n, a.dkeep.add, slope * inverse);
  }
}

// --- Aggregation. The groups of a clip are its S slots and then the clip itself.

struct GroupSums {
  const float* x;     // (B, N, E)
  const float* keep;  // (B, N); null: all ones
  const int* slots;   // as in the contract
  float* sums;        // (B, S + 1, E / 3)
  float* totals;      // (B, S + 1), and `sums` become means; null: sums they stay
  int N, S, E;
  bool spatial, temporal;
  int tiles;  // blocks side by side
};

// The tokens of group g of clip b; none where the level is off.
__device__ __forceinline__ Group group_of(const GroupSums& a, std::int64_t b, int g) {
  const std::int64_t first = b * a.N;
  if (g == a.S) return {first, a.temporal ? first + a.N : first, nullptr, 0};
  if (!a.spatial) return {first, first, nullptr, 0};
  if (a.slots) return {first, first + a.N, a.slots, g};
  const std::int64_t P = a.N / a.S;
  return {first + g * P, first + (g + 1) * P, nullptr, 0};
}

template <int V>
__global__ void __launch_bounds__(kColumnThreads) group_sums_kernel(GroupSums a) {
  const int third = a.E / 3, tile = static_cast<int>(blockIdx.x) % a.tiles;
  const std::int64_t row = static_cast<int>(blockIdx.x) / a.tiles, b = row / (a.S + 1);
  const int g = static_cast<int>(row - b * (a.S + 1)), e = V * (tile * kColumnLanes + column_lane());
  const float* x = e < third ? a.x + (g == a.S ? 2 : 1) * third + e : nullptr;
  GroupSum<V> sum = sum_group<V>(group_of(a, b, g), x, a.E, a.keep);
  if (row_lane() == 0 && e < third) {
    const float factor = a.totals ? inverse_or_zero(sum.total) : 1.0f;
    for (int k = 0; k < V; ++k) sum.x.at[k] *= factor;
    store_run<V>(a.sums + row * third + e, sum.x);
    if (e == 0 && a.totals) a.totals[row] = sum.total;
  }
}

// The rows of a token's slot and of its clip among the groups of all clips.
struct GroupsOfToken {
  std::int64_t slot, clip;
};
template <class Args>
__device__ __forceinline__ GroupsOfToken groups_of(const Args& a, std::int64_t token) {
  const int b = static_cast<int>(token) / a.N, n = static_cast<int>(token) - b * a.N;
  const std::int64_t first = static_cast<std::int64_t>(b) * (a.S + 1);
  return {first + (a.slots ? a.slots[token] : n / (a.N / a.S)), first + a.S};
}

// Which third of the channels a run lies in, if that third holds means: 1 the slot's, 2 the clip's; 0: local.
template <class Args>
__device__ __forceinline__ int level_at(const Args& a, int third, int e) {
  if (e < third) return 0;
  return e < 2 * third ? (a.spatial ? 1 : 0) : (a.temporal ? 2 : 0);
}

template <int V>
__global__ void __launch_bounds__(kRowThreads) aggregate_forward_kernel(AggregateForward a) {
  const int third = a.E / 3;
  for_rows_of_warp(static_cast<std::int64_t>(a.B) * a.N, [&](std::int64_t token) {
    const GroupsOfToken groups = groups_of(a, token);
    for_runs_of_lane<V>(a.E, [&](int e) {
      const int level = level_at(a, third, e);
      const float* from = a.x + token * a.E + e;
      if (level) from = a.means + (level == 1 ? groups.slot : groups.clip) * third + (e - level * third);
      store_run<V>(a.out + token * a.E + e, load_run<V>(from));
    });
  });
}

// forward: local channels stay, the others receive mean = sum keep x / sum keep of their group; so dx += dout,
// or keep / total G, and dkeep += (x - mean) . G / total of both levels, with G the sum of dout over the group.
template <int V>
__global__ void __launch_bounds__(kRowThreads) aggregate_backward_kernel(AggregateBackward a) {
  const int third = a.E / 3;
  for_rows_of_warp(static_cast<std::int64_t>(a.B) * a.N, [&](std::int64_t token) {
    const GroupsOfToken groups = groups_of(a, token);
    const float slot_inverse = inverse_or_zero(a.totals[groups.slot]);
    const float clip_inverse = inverse_or_zero(a.totals[groups.clip]), keep = kept(a.keep, token);
    float slope = 0;
    for_runs_of_lane<V>(a.E, [&](int e) {
      const int level = level_at(a, third, e);
      Run<V> d;
      if (level) {
        const std::int64_t at = (level == 1 ? groups.slot : groups.clip) * third + (e - level * third);
        const float inverse = level == 1 ? slot_inverse : clip_inverse;
        d = load_run<V>(a.sums + at);
        if (a.dkeep) {
          const Run<V> x = load_run<V>(a.x + token * a.E + e), mean = load_run<V>(a.means + at);
          for (int k = 0; k < V; ++k) slope += (x.at[k] - mean.at[k]) * d.at[k] * inverse;
        }
        for (int k = 0; k < V; ++k) d.at[k] *= keep * inverse;
      } else {
        d = load_run<V>(a.dout + token * a.E + e);
      }
      if (a.dx) contribute_run<V>(a.dx.f32() + token * a.E + e, a.dx.add, d);
    });
    if (!a.dkeep) return;
    slope = warp_sum(slope);
    if (lane_of_warp() == 0) contribute(a.dkeep.f32() + token, a.dkeep.add, slope);
  });
}

template <class Args>
GroupSums group_sums_of(const Args& a) {
  GroupSums sums = {};
  sums.slots = a.slots;
  sums.N = a.N;
  sums.S = a.S;
  sums.E = a.E;
  sums.spatial = a.spatial;
  sums.temporal = a.temporal;
  return sums;
}

void sum_groups(const char* name, GroupSums a, int B) {
  const int third = a.E / 3;
  by_run(in_fours(third, a.x, a.sums), [&](auto run) {
    a.tiles = column_tiles(third, run());
    const auto blocks = static_cast<unsigned>(static_cast<std::int64_t>(B) * (a.S + 1) * a.tiles);
    launch(name, group_sums_kernel<run()>, dim3(blocks), dim3(kColumnThreads), 0, a);
  });
}

// --- Whole clips, (B, n): a thread owns a run of columns; the grid's y takes clips in turn where each stands
// alone.

constexpr int kThreads = 256;
constexpr std::int64_t kMostClipBlocks = 64;

dim3 grid_of_clips(std::int64_t B, std::int64_t n, int run) {
  const std::int64_t y = B < kMostClipBlocks ? B : kMostClipBlocks;
  return dim3(blocks_for((n + run - 1) / run, kThreads), static_cast<unsigned>(y));
}

// `out` may be `x`: each element is read before it is written, by the same thread.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) add_row_forward_kernel(AddRowForward a) {
  for_runs<V>(a.n, [&](std::int64_t i) {
    const Run<V> row = load_run<V>(a.row + i);
    for (std::int64_t b = blockIdx.y; b < a.B; b += gridDim.y) {
      Run<V> x = load_run<V>(typed<T>(a.x) + b * a.n + i);
      for (int k = 0; k < V; ++k) x.at[k] += row.at[k];
      store_run<V>(typed<T>(a.out) + b * a.n + i, x);
    }
  });
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads) sum_rows_kernel(SumRows a) {
  for_runs<V>(a.n, [&](std::int64_t i) {
    Run<V> sum = {};
    for (std::int64_t b = 0; b < a.B; ++b) {
      const Run<V> x = load_run<V>(typed<T>(a.x) + b * a.n + i);
      for (int k = 0; k < V; ++k) sum.at[k] += x.at[k];
    }
    contribute_run<V>(a.sum.f32() + i, a.sum.add, sum);
  });
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads) scale_clips_kernel(ScaleClips a) {
  for_runs<V>(a.n, [&](std::int64_t i) {
    for (std::int64_t b = blockIdx.y; b < a.B; b += gridDim.y) {
      const float factor = a.factor[b];
      Run<V> x = load_run<V>(typed<T>(a.x) + b * a.n + i);
      for (int k = 0; k < V; ++k) x.at[k] *= factor;
      contribute_run<V>(typed<T>(a.out) + b * a.n + i, a.out.add, x);
    }
  });
}

}  // namespace

void masked_mean_forward(const MaskedMeanForward& a) {
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(a.E, a.x, a.out), [&](auto run) {
      const MaskedMean p = {a, column_tiles(a.E, run())};
      const auto blocks = static_cast<unsigned>(static_cast<std::int64_t>(a.B) * p.tiles);
      launch("masked_mean_forward", masked_mean_forward_kernel<decltype(type), run()>, dim3(blocks),
             dim3(kColumnThreads), 0, p);
    });
  });
}

void masked_mean_backward(const MaskedMeanBackward& a) {
  if (!a.dx && !a.dkeep) return;
  // N need not bound the clips where offsets are given: their blocks stride over what there is.
  const MaskedMeanSlopes p = {a, static_cast<int>(blocks_for(a.N > 0 ? a.N : 1, kWarps))};
  const auto blocks = static_cast<unsigned>(static_cast<std::int64_t>(a.B) * p.blocks);
  const bool fours = in_fours(a.E, a.x, a.out, a.dout, a.dx);
  by_type(a.dx ? a.dx.type : a.x.type, [&](auto type) {
    by_run(fours, [&](auto run) {
      launch("masked_mean_backward", masked_mean_backward_kernel<decltype(type), run()>, dim3(blocks),
             dim3(kRowThreads), 0, p);
    });
  });
}

void aggregate_forward(const AggregateForward& a) {
  GroupSums sums = group_sums_of(a);
  sums.x = a.x;
  sums.keep = a.keep;
  sums.sums = a.means;
  sums.totals = a.totals;
  sum_groups("aggregate_means", sums, a.B);
  by_run(in_fours(a.E / 3, a.x, a.out, a.means), [&](auto run) {
    launch("aggregate_forward", aggregate_forward_kernel<run()>,
           grid_of_rows(static_cast<std::int64_t>(a.B) * a.N), dim3(kRowThreads), 0, a);
  });
}

void aggregate_backward(const AggregateBackward& a) {
  if (!a.dx && !a.dkeep) return;
  GroupSums sums = group_sums_of(a);
  sums.x = a.dout;
  sums.sums = a.sums;
  sum_groups("aggregate_sums", sums, a.B);
  const bool fours = in_fours(a.E / 3, a.x, a.dout, a.means, a.sums, a.dx);
  by_run(fours, [&](auto run) {
    launch("aggregate_backward", aggregate_backward_kernel<run()>,
           grid_of_rows(static_cast<std::int64_t>(a.B) * a.N), dim3(kRowThreads), 0, a);
  });
}

void add_row_forward(const AddRowForward& a) {
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(a.n, a.x, a.row, a.out), [&](auto run) {
      launch("add_row_forward", add_row_forward_kernel<decltype(type), run()>, grid_of_clips(a.B, a.n, run()),
             dim3(kThreads), 0, a);
    });
  });
}

void sum_rows(const SumRows& a) {
  if (!a.sum) return;
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(a.n, a.x, a.sum), [&](auto run) {
      launch("sum_rows", sum_rows_kernel<decltype(type), run()>, grid_of_clips(1, a.n, run()), dim3(kThreads),
             0, a);
    });
  });
}

void scale_clips(const ScaleClips& a) {
  if (!a.out) return;
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(a.n, a.x, a.out), [&](auto run) {
      launch("scale_clips", scale_clips_kernel<decltype(type), run()>, grid_of_clips(a.B, a.n, run()),
             dim3(kThreads), 0, a);
    });
  });
}

}  // namespace stp::STP_ROOM

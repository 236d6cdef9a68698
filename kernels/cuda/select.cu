// Which tokens stay: noise, decision, selection, compaction, gathering.
//
//   noise    g = -log(-log u)
//   decide   y_0 = sigmoid(((l_0 + g_0) - (l_1 + g_1)) / temperature)
//            keep = previous y_0, or hard: previous where y_0 > y_1
//   top_k    a score's rank is how many scores of its segment come before it; the K first are chosen
//   compact  the kept tokens in order: a token's place is how many kept ones come before it
//
// Plan: noise and decision have a thread for each token. top_k is a block for each segment, which counts ranks
// over scores in shared memory, all threads reading the same four at a time; places come from ballots and sums
// over warps. compact counts for each clip, sums over clips in one warp, then writes. Rows are copied by a warp
// each.
#include "kernels/select.h"

#include "kernels/cuda/rank.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/philox.h"

namespace stp::STP_ROOM {
namespace {

constexpr int kThreads = 256;

// --- Noise and decision.

// A thread owns one block of the generator: four elements.
__global__ void __launch_bounds__(kThreads) gumbel_noise_kernel(GumbelNoise a) {
  const std::int64_t blocks = (a.count + 3) / 4;
  for (std::int64_t block = grid_first(); block < blocks; block += grid_stride()) {
    const Philox4 random = philox(a.seed, a.stream, static_cast<std::uint64_t>(block));
    for (int k = 0; k < 4; ++k) {
      if (4 * block + k < a.count) a.out[4 * block + k] = -logf(-logf(unit_float(random.word[k])));
    }
  }
}

__global__ void __launch_bounds__(kThreads) decide_forward_kernel(DecideForward a) {
  for_runs<1>(a.tokens, [&](std::int64_t i) {
    const float keep = a.logprob[2 * i] + a.noise[2 * i], drop = a.logprob[2 * i + 1] + a.noise[2 * i + 1];
    const float soft = 1.0f / (1.0f + expf((drop - keep) / a.temperature));
    const float decision = a.hard ? (keep > drop ? 1.0f : 0.0f) : soft;
    a.keep[i] = a.previous ? decision * a.previous[i] : decision;
    if (a.soft) a.soft[i] = soft;
  });
}

// forward: keep = previous y_0 with y_0 = sigmoid((l_0 - l_1) / temperature), the hard decision passing its
// gradient straight through; so dl_0 = -dl_1 += dkeep previous y_0 (1 - y_0) / temperature, dprevious += dkeep
// decision.
__global__ void __launch_bounds__(kThreads) decide_backward_kernel(DecideBackward a) {
  for_runs<1>(a.tokens, [&](std::int64_t i) {
    const float soft = a.soft[i], dkeep = a.dkeep[i];
    if (a.dlogprob) {
      const float slope = (a.previous ? dkeep * a.previous[i] : dkeep) * soft * (1.0f - soft) / a.temperature;
      contribute(a.dlogprob.f32() + 2 * i, a.dlogprob.add, slope);
      contribute(a.dlogprob.f32() + 2 * i + 1, a.dlogprob.add, -slope);
    }
    if (a.dprevious) {  // soft > 1/2 exactly where the hard decision keeps
      const float decision = a.hard ? (soft > 0.5f ? 1.0f : 0.0f) : soft;
      contribute(a.dprevious.f32() + i, a.dprevious.add, dkeep * decision);
    }
  });
}

// --- Places: how many threads of the block before this one have a flag, and how many have it in all.

struct Count {
  int before, all;
};

// The whole block calls; may be called again at once.
__device__ __forceinline__ Count count_in_block(bool flag) {
  SHARED_ARRAY(int, warps, kLanes);
  const int lane = lane_of_warp(), warp = static_cast<int>(threadIdx.x) / kLanes;
  const std::uint32_t bits = ballot(flag);
  if (lane == 0) warps[warp] = bit_count(bits);
  sync_block();  // the warps' counts are written before anyone reads them
  Count count = {bit_count(bits & ((1u << lane) - 1u)), 0};
  for (int w = 0; w < static_cast<int>(blockDim.x) / kLanes; ++w) {
    if (w < warp) count.before += warps[w];
    count.all += warps[w];
  }
  sync_block();  // everyone has read before the next call writes
  return count;
}

// --- The K highest.

constexpr int kMostStaged = 4096;  // scores of a segment in shared memory, 16 KiB

// Staged: the scores lie in shared memory, else they are read again for every rank.
template <bool Staged>
__global__ void __launch_bounds__(kThreads) top_k_kernel(TopK a) {
  DYNAMIC_SHARED(float, scores);
  const std::int64_t segment = blockIdx.x;
  const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  const int padded = (a.P + 3) / 4 * 4;
  if constexpr (Staged) {
    // What fills the last four is behind every score, also behind one that is minus infinity.
    for (int i = thread; i < padded; i += threads) scores[i] = i < a.P ? score_of(a, segment, i) : -INFINITY;
    sync_block();  // every score is written before ranks are counted
  }
  int placed = 0;
  for (int base = 0; base < a.P; base += threads) {
    const int i = base + thread;
    int rank = a.K;  // threads without a score choose nothing
    if (i < a.P) {
      rank = 0;
      if constexpr (Staged) {
        const float mine = scores[i];
        for (int j = 0; j < padded; j += 4) {
          const Run<4> others = load_run<4>(scores + j);
          for (int k = 0; k < 4; ++k) rank += comes_before(others.at[k], j + k, mine, i);
        }
      } else {
        const float mine = score_of(a, segment, i);
        for (int j = 0; j < a.P; ++j) rank += comes_before(score_of(a, segment, j), j, mine, i);
      }
    }
    int place = rank;
    if (!a.by_score) {
      const Count chosen = count_in_block(rank < a.K);
      place = placed + chosen.before;
      placed += chosen.all;
    }
    if (rank < a.K) a.chosen[segment * a.K + place] = static_cast<int>(segment * a.P + i);
  }
}

// --- Compaction.

__device__ __forceinline__ bool is_kept(const Compact& a, std::int64_t b, int n) {
  return n < a.N && a.keep[b * a.N + n] > 0.5f;
}

// offsets[b + 1] = how many tokens clip b keeps.
__global__ void __launch_bounds__(kThreads) compact_count_kernel(Compact a) {
  const std::int64_t b = blockIdx.x;
  int count = 0;
  for (int n = static_cast<int>(threadIdx.x); n < a.N; n += kThreads) count += is_kept(a, b, n) ? 1 : 0;
  count = block_sum(count);
  if (threadIdx.x == 0) a.offsets[b + 1] = count;
}

// One warp: counts become offsets, in place.
__global__ void __launch_bounds__(kLanes) compact_offsets_kernel(Compact a) {
  const int lane = lane_of_warp();
  if (lane == 0) a.offsets[0] = 0;
  int before = 0;
  for (int base = 0; base < a.B; base += kLanes) {
    int sum = base + lane < a.B ? a.offsets[base + lane + 1] : 0;
    for (int step = 1; step < kLanes; step *= 2) {  // sum of the 2 step lanes up to this one
      const int lower = shuffle(sum, lane - step);
      if (lane >= step) sum += lower;
    }
    if (base + lane < a.B) a.offsets[base + lane + 1] = before + sum;
    before += shuffle(sum, kLanes - 1);
  }
}

__global__ void __launch_bounds__(kThreads) compact_rows_kernel(Compact a) {
  const std::int64_t b = blockIdx.x;
  int placed = a.offsets[b];
  for (int base = 0; base < a.N; base += kThreads) {
    const int n = base + static_cast<int>(threadIdx.x);
    const bool kept = is_kept(a, b, n);
    const Count count = count_in_block(kept);
    if (kept) a.rows[placed + count.before] = static_cast<int>(b * a.N + n);
    placed += count.all;
  }
}

// --- Rows.

__global__ void __launch_bounds__(kThreads) clear_inverse_kernel(InvertRows a) {
  for_runs<1>(a.total, [&](std::int64_t t) { a.inverse[t] = -1; });
}
__global__ void __launch_bounds__(kThreads) invert_rows_kernel(InvertRows a) {
  for_runs<1>(a.count, [&](std::int64_t i) { a.inverse[a.rows[i]] = static_cast<int>(i); });
}

constexpr int kRowBlocks = 8;  // of a multiprocessor: 32 registers, as many warps as it holds

template <class T, int V>
__global__ void __launch_bounds__(kRowThreads, kRowBlocks) gather_rows_kernel(GatherRows a) {
  for_rows_of_warp(a.count, [&](std::int64_t i) {
    std::int64_t row = a.rows[i];
    if (row >= a.total) row %= a.total;
    const T* from = typed<T>(a.from) + row * a.width;
    T* to = typed<T>(a.to) + i * a.width;
    for_runs_of_lane<V>(a.width, [&](int x) { contribute_run<V>(to + x, a.to.add, load_run<V>(from + x)); });
  });
}

template <class T, int V>
__global__ void __launch_bounds__(kRowThreads, kRowBlocks) scatter_rows_kernel(ScatterRows a) {
  for_rows_of_warp(a.total, [&](std::int64_t t) {
    const std::int64_t i = a.inverse[t];
    const T* from = typed<T>(a.from) + i * a.width;
    T* to = typed<T>(a.to) + t * a.width;
    for_runs_of_lane<V>(a.width, [&](int x) {
      if (i >= 0) {
        contribute_run<V>(to + x, a.to.add, load_run<V>(from + x));
      } else if (!a.to.add) {
        store_run<V>(to + x, Run<V>{});
      }
    });
  });
}

// A plain copy of bf16 rows is one of words of two, which makes the accesses 16 bytes wide.
template <class Args>
Args in_words(Args a) {
  if (a.to.type == Element::bf16 && !a.to.add && a.width % 8 == 0) {
    Args words = a;
    words.from.type = words.to.type = Element::f32;
    words.width /= 2;
    if (fits_four(words.from) && fits_four(words.to)) return words;
  }
  return a;
}

}  // namespace

void gumbel_noise(const GumbelNoise& a) {
  launch("gumbel_noise", gumbel_noise_kernel, dim3(blocks_for((a.count + 3) / 4, kThreads)), dim3(kThreads), 0,
         a);
}

void decide_forward(const DecideForward& a) {
  launch("decide_forward", decide_forward_kernel, dim3(blocks_for(a.tokens, kThreads)), dim3(kThreads), 0, a);
}

void decide_backward(const DecideBackward& a) {
  if (!a.dlogprob && !a.dprevious) return;
  launch("decide_backward", decide_backward_kernel, dim3(blocks_for(a.tokens, kThreads)), dim3(kThreads), 0, a);
}

void top_k(const TopK& a) {
  if (a.K == 0) return;
  const int threads = a.P < kThreads ? (a.P + kLanes - 1) / kLanes * kLanes : kThreads;
  const dim3 grid(static_cast<unsigned>(a.segments)), block(static_cast<unsigned>(threads));
  if (a.P <= kMostStaged) {
    const std::size_t bytes = static_cast<std::size_t>(a.P + 3) / 4 * 4 * sizeof(float);
    launch("top_k", top_k_kernel<true>, grid, block, bytes, a);
  } else {
    launch("top_k", top_k_kernel<false>, grid, block, 0, a);
  }
}

void compact(const Compact& a) {
  const dim3 grid(static_cast<unsigned>(a.B));
  launch("compact_count", compact_count_kernel, grid, dim3(kThreads), 0, a);
  launch("compact_offsets", compact_offsets_kernel, dim3(1), dim3(kLanes), 0, a);
  launch("compact_rows", compact_rows_kernel, grid, dim3(kThreads), 0, a);
}

void invert_rows(const InvertRows& a) {
  launch("clear_inverse", clear_inverse_kernel, dim3(blocks_for(a.total, kThreads)), dim3(kThreads), 0, a);
  launch("invert_rows", invert_rows_kernel, dim3(blocks_for(a.count, kThreads)), dim3(kThreads), 0, a);
}

void gather_rows(const GatherRows& contract) {
  if (!contract.to) return;
  const GatherRows a = in_words(contract);
  by_type(a.to.type, [&](auto type) {
    by_run(in_fours(a.width, a.from, a.to), [&](auto run) {
      launch("gather_rows", gather_rows_kernel<decltype(type), run()>, grid_of_rows(a.count), dim3(kRowThreads),
             0, a);
    });
  });
}

void scatter_rows(const ScatterRows& contract) {
  if (!contract.to) return;
  const ScatterRows a = in_words(contract);
  by_type(a.to.type, [&](auto type) {
    by_run(in_fours(a.width, a.from, a.to), [&](auto run) {
      launch("scatter_rows", scatter_rows_kernel<decltype(type), run()>, grid_of_rows(a.total),
             dim3(kRowThreads), 0, a);
    });
  });
}

}  // namespace stp::STP_ROOM

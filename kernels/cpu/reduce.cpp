// Means over kept tokens and sums over clips: a thread owns a clip (or a range of columns) and adds in token
// order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/reduce.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <array>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/reduce.h"
#include "kernels/reduce.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

// Calls body(i, count) over begin .. end - 1 of a row of numbers.
template <class Body>
HWY_INLINE void for_range(std::int64_t begin, std::int64_t end, const Body& body) {
  const std::size_t first = static_cast<std::size_t>(begin);
  for_vectors(static_cast<std::size_t>(end - begin), [&](std::size_t i, std::size_t n) { body(first + i, n); });
}

void masked_mean_clip(const MaskedMeanForward& a, std::int64_t b) {
  const Floats d;
  const std::size_t E = static_cast<std::size_t>(a.E);
  const Span tokens = tokens_of(a, b);
  float* const out = a.out + static_cast<std::size_t>(b) * E;
  std::fill(out, out + E, 0.0f);
  float total = 0;
  for (std::int64_t token = tokens.begin; token < tokens.end; ++token) {
    const float keep = kept(a.keep, token);
    const Vector w = hn::Set(d, keep);
    const std::size_t row = static_cast<std::size_t>(token) * E;
    total += keep;
    for_vectors(E, [&](std::size_t e, std::size_t n) {
      store(hn::MulAdd(w, load(a.x, row + e, n), load(out + e, n)), out + e, n);
    });
  }
  a.total[b] = total;
  const float inverse = inverse_or_zero(total);
  for (std::size_t e = 0; e < E; ++e) out[e] *= inverse;
}

// forward: out = sum keep x / sum keep
void masked_mean_clip_backward(const MaskedMeanBackward& a, std::int64_t b) {
  const Floats d;
  const std::size_t E = static_cast<std::size_t>(a.E);
  const Span tokens = tokens_of(a, b);
  const float inverse = inverse_or_zero(a.total[b]);
  const float *const dout = a.dout + static_cast<std::size_t>(b) * E, *const out =
                                                                          a.out +
                                                                          static_cast<std::size_t>(b) * E;
  for (std::int64_t token = tokens.begin; token < tokens.end; ++token) {
    const Vector share = hn::Set(d, kept(a.keep, token) * inverse);
    const std::size_t row = static_cast<std::size_t>(token) * E;
    if (a.dx) {
      for_vectors(
          E, [&](std::size_t e, std::size_t n) { store(hn::Mul(share, load(dout + e, n)), a.dx, row + e, n); });
    }
    if (a.dkeep) {
      const float slope = sum_vectors(E, [&](std::size_t e, std::size_t n) {
        return hn::Mul(hn::Sub(load(a.x, row + e, n), load(out + e, n)), load(dout + e, n));
      });
      contribute(a.dkeep, token, slope * inverse);
    }
  }
}

void add_row_range(const AddRowForward& a, std::int64_t begin, std::int64_t end) {
  for (std::int64_t b = 0; b < a.B; ++b) {
    const std::size_t clip = static_cast<std::size_t>(b * a.n);
    for_range(begin, end, [&](std::size_t i, std::size_t n) {
      store(hn::Add(load(a.x, clip + i, n), load(a.row + i, n)), a.out, clip + i, n);
    });
  }
}

void sum_rows_range(const SumRows& a, std::int64_t begin, std::int64_t end) {
  float* const sum = a.sum.f32();
  if (!a.sum.add) std::fill(sum + begin, sum + end, 0.0f);  // also where there is nothing to add
  for (std::int64_t b = 0; b < a.B; ++b) {
    const std::size_t clip = static_cast<std::size_t>(b * a.n);
    for_range(begin, end, [&](std::size_t i, std::size_t n) {
      store(hn::Add(load(sum + i, n), load(a.x, clip + i, n)), sum + i, n);
    });
  }
}

void scale_clips_range(const ScaleClips& a, std::int64_t b, std::int64_t begin, std::int64_t end) {
  const Vector factor = hn::Set(Floats(), a.factor[b]);
  for_range(b * a.n + begin, b * a.n + end,
            [&](std::size_t i, std::size_t n) { store(hn::Mul(factor, load(a.x, i, n)), a.out, i, n); });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(masked_mean_clip);
HWY_EXPORT(masked_mean_clip_backward);
HWY_EXPORT(add_row_range);
HWY_EXPORT(sum_rows_range);
HWY_EXPORT(scale_clips_range);

namespace {

constexpr std::int64_t kGrain = 16384;  // elements a thread takes at a time: 64 KiB, one or two L1 caches

// One level of the aggregation: which third of the channels, and which group of means a token belongs to. The
// clip is the group after its S slots.
struct Level {
  bool on;
  int third;
  bool whole_clip;
};

template <class Args>
std::array<Level, 2> levels(const Args& a) {
  return {Level{a.spatial, 1, false}, Level{a.temporal, 2, true}};
}

template <class Args>
std::int64_t group_of(const Args& a, const Level& level, std::int64_t b, std::int64_t n) {
  if (level.whole_clip) return b * (a.S + 1) + a.S;
  const std::int64_t slot = a.slots ? a.slots[b * a.N + n] : n / (a.N / a.S);
  return b * (a.S + 1) + slot;
}

}  // namespace

void masked_mean_forward(const MaskedMeanForward& a) {
  parallel_for(a.B, [&](std::int64_t b) { HWY_DYNAMIC_DISPATCH(masked_mean_clip)(a, b); });
}

void masked_mean_backward(const MaskedMeanBackward& a) {
  parallel_for(a.B, [&](std::int64_t b) { HWY_DYNAMIC_DISPATCH(masked_mean_clip_backward)(a, b); });
}

void aggregate_forward(const AggregateForward& a) {
  const std::int64_t E = a.E, third = E / 3;
  std::copy(a.x, a.x + static_cast<std::int64_t>(a.B) * a.N * E, a.out);
  parallel_for(a.B, [&](std::int64_t b) {
    const std::int64_t first_group = b * (a.S + 1), groups = a.S + 1;
    std::fill(a.means + first_group * third, a.means + (first_group + groups) * third, 0.0f);
    std::fill(a.totals + first_group, a.totals + first_group + groups, 0.0f);
    for (const Level& level : levels(a)) {
      if (!level.on) continue;
      for (std::int64_t n = 0; n < a.N; ++n) {
        const std::int64_t group = group_of(a, level, b, n);
        const float w = kept(a.keep, b * a.N + n);
        const float* const x = a.x + (b * a.N + n) * E + level.third * third;
        float* const mean = a.means + group * third;
        a.totals[group] += w;
        for (std::int64_t e = 0; e < third; ++e) mean[e] += w * x[e];
      }
    }
    for (std::int64_t group = first_group; group < first_group + groups; ++group) {
      const float inverse = inverse_or_zero(a.totals[group]);
      for (std::int64_t e = 0; e < third; ++e) a.means[group * third + e] *= inverse;
    }
    for (const Level& level : levels(a)) {
      if (!level.on) continue;
      for (std::int64_t n = 0; n < a.N; ++n) {
        const float* const mean = a.means + group_of(a, level, b, n) * third;
        std::copy(mean, mean + third, a.out + (b * a.N + n) * E + level.third * third);
      }
    }
  });
}

void aggregate_backward(const AggregateBackward& a) {
  const std::int64_t E = a.E, third = E / 3;
  parallel_for(a.B, [&](std::int64_t b) {
    const std::int64_t first_group = b * (a.S + 1);
    std::fill(a.sums + first_group * third, a.sums + (first_group + a.S + 1) * third, 0.0f);
    for (const Level& level : levels(a)) {
      if (!level.on) continue;
      for (std::int64_t n = 0; n < a.N; ++n) {
        float* const sum = a.sums + group_of(a, level, b, n) * third;
        const float* const dout = a.dout + (b * a.N + n) * E + level.third * third;
        for (std::int64_t e = 0; e < third; ++e) sum[e] += dout[e];
      }
    }
    for (std::int64_t n = 0; n < a.N; ++n) {
      const std::int64_t token = b * a.N + n;
      float dkeep = 0;
      // forward: the first third, and every level that is off, stays as it is
      const auto pass = [&](int part) {
        if (!a.dx) return;
        for (std::int64_t e = part * third; e < (part + 1) * third; ++e)
          contribute(a.dx, token * E + e, a.dout[token * E + e]);
      };
      pass(0);
      for (const Level& level : levels(a)) {
        if (!level.on) {
          pass(level.third);
          continue;
        }
        // forward: every token of the group receives mean = sum keep x / sum keep
        const std::int64_t group = group_of(a, level, b, n);
        const float inverse = inverse_or_zero(a.totals[group]), share = kept(a.keep, token) * inverse;
        const float *const sum = a.sums + group * third, *const mean = a.means + group * third;
        const std::int64_t first = token * E + level.third * third;
        float slope = 0;
        for (std::int64_t e = 0; e < third; ++e) {
          if (a.dx) contribute(a.dx, first + e, share * sum[e]);
          slope += (a.x[first + e] - mean[e]) * sum[e];
        }
        dkeep += slope * inverse;
      }
      if (a.dkeep) contribute(a.dkeep, token, dkeep);
    }
  });
}

void add_row_forward(const AddRowForward& a) {
  parallel_ranges(a.n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_row_range)(a, begin, end);
  });
}

void sum_rows(const SumRows& a) {
  constexpr std::int64_t kColumns = 4096;  // their sums stay in L1 while the clips pass
  parallel_ranges(a.n, kColumns, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sum_rows_range)(a, begin, end);
  });
}

void scale_clips(const ScaleClips& a) {
  const std::int64_t ranges = (a.n + kGrain - 1) / kGrain;
  parallel_for(a.B * ranges, [&](std::int64_t part) {
    const std::int64_t begin = part % ranges * kGrain;
    HWY_DYNAMIC_DISPATCH(scale_clips_range)(a, part / ranges, begin, std::min(a.n, begin + kGrain));
  });
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

// Means over kept tokens and sums over clips: a thread owns a clip (or a range of columns) and adds in token
// order.
#include "kernels/reduce.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/table.h"

namespace stp::cpu {

namespace {

// The tokens of clip b: first and one past the last.
struct Span {
  std::int64_t begin, end;
};
template <class Args>
Span tokens_of(const Args& a, std::int64_t b) {
  if (a.offsets) return {a.offsets[b], a.offsets[b + 1]};
  return {b * a.N, (b + 1) * a.N};
}

float kept(const float* keep, std::int64_t token) { return keep ? keep[token] : 1.0f; }
float inverse_or_zero(float total) { return total > 0 ? 1.0f / total : 0.0f; }

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
  assert(a.x.type == Element::f32);
  const std::int64_t E = a.E;
  parallel_for(a.B, [&](std::int64_t b) {
    const Span tokens = tokens_of(a, b);
    float* const out = a.out + b * E;
    std::fill(out, out + E, 0.0f);
    float total = 0;
    for (std::int64_t n = tokens.begin; n < tokens.end; ++n) {
      const float w = kept(a.keep, n);
      const float* const x = a.x.f32() + n * E;
      total += w;
      for (std::int64_t e = 0; e < E; ++e) out[e] += w * x[e];
    }
    a.total[b] = total;
    const float inverse = inverse_or_zero(total);
    for (std::int64_t e = 0; e < E; ++e) out[e] *= inverse;
  });
}

void masked_mean_backward(const MaskedMeanBackward& a) {
  const std::int64_t E = a.E;
  parallel_for(a.B, [&](std::int64_t b) {
    const Span tokens = tokens_of(a, b);
    const float inverse = inverse_or_zero(a.total[b]);
    const float *const dout = a.dout + b * E, *const out = a.out + b * E;
    for (std::int64_t n = tokens.begin; n < tokens.end; ++n) {
      // forward: out = sum keep x / sum keep
      const float share = kept(a.keep, n) * inverse;
      if (a.dx) {
        for (std::int64_t e = 0; e < E; ++e) contribute(a.dx, n * E + e, share * dout[e]);
      }
      if (a.dkeep) {
        const float* const x = a.x.f32() + n * E;
        float sum = 0;
        for (std::int64_t e = 0; e < E; ++e) sum += (x[e] - out[e]) * dout[e];
        contribute(a.dkeep, n, sum * inverse);
      }
    }
  });
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
  assert(a.x.type == Element::f32);
  constexpr std::int64_t kGrain = 16384;
  parallel_ranges(a.n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = 0; b < a.B; ++b) {
      for (std::int64_t i = begin; i < end; ++i) a.out.f32()[b * a.n + i] = a.x.f32()[b * a.n + i] + a.row[i];
    }
  });
}

void sum_rows(const SumRows& a) {
  assert(a.x.type == Element::f32);
  constexpr std::int64_t kGrain = 4096;
  parallel_ranges(a.n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    float* const sum = a.sum.f32();
    if (!a.sum.add) std::fill(sum + begin, sum + end, 0.0f);  // also where there is nothing to add
    for (std::int64_t b = 0; b < a.B; ++b) {
      const float* const x = a.x.f32() + b * a.n;
      for (std::int64_t i = begin; i < end; ++i) sum[i] += x[i];
    }
  });
}

void scale_clips(const ScaleClips& a) {
  assert(a.x.type == Element::f32);
  parallel_for(a.B, [&](std::int64_t b) {
    for (std::int64_t i = b * a.n; i < (b + 1) * a.n; ++i) contribute(a.out, i, a.factor[b] * a.x.f32()[i]);
  });
}

}  // namespace stp::cpu

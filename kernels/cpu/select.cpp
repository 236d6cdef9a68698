// Which tokens stay. All of it is small beside the blocks: plain loops over tokens, in parallel over clips or
// rows.
#include "kernels/select.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/philox.h"
#include "kernels/table.h"

namespace stp::cpu {

namespace {

constexpr std::int64_t kGrain = 4096;  // tokens a thread takes at a time
constexpr std::int64_t kRows = 64;     // rows a thread copies at a time

void add_row(const float* from, float* to, int width) {
  for (int x = 0; x < width; ++x) to[x] += from[x];
}
void add_row(const std::uint16_t* from, std::uint16_t* to, int width) {
  for (int x = 0; x < width; ++x) to[x] = to_bf16(from_bf16(to[x]) + from_bf16(from[x]));
}

// to = row, or to += row; null: zeros.
void put_row(const void* row, const Grad& to, std::int64_t at, int width) {
  const std::size_t bytes = static_cast<std::size_t>(width) * bytes_of(to.type);
  char* const place = static_cast<char*>(to.data) + static_cast<std::size_t>(at) * bytes;
  if (to.add) {
    if (!row) return;
    if (to.type == Element::f32) {
      add_row(static_cast<const float*>(row), reinterpret_cast<float*>(place), width);
    } else {
      add_row(static_cast<const std::uint16_t*>(row), reinterpret_cast<std::uint16_t*>(place), width);
    }
  } else if (row) {
    std::memcpy(place, row, bytes);
  } else {
    std::memset(place, 0, bytes);
  }
}

const void* row_of(const In& from, std::int64_t row, int width) {
  return static_cast<const char*>(from.data) + static_cast<std::size_t>(row * width) * bytes_of(from.type);
}

}  // namespace

void gumbel_noise(const GumbelNoise& a) {
  parallel_ranges(a.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float u = philox_uniform(a.seed, a.stream, static_cast<std::uint64_t>(i));
      a.out[i] = -std::log(-std::log(u));
    }
  });
}

void decide_forward(const DecideForward& a) {
  parallel_ranges(a.tokens, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float keep = a.logprob[2 * i] + a.noise[2 * i], drop = a.logprob[2 * i + 1] + a.noise[2 * i + 1];
      const float soft = 1.0f / (1.0f + std::exp((drop - keep) / a.temperature));
      const float decision = a.hard ? (keep > drop ? 1.0f : 0.0f) : soft;
      a.keep[i] = a.previous ? decision * a.previous[i] : decision;
      if (a.soft) a.soft[i] = soft;
    }
  });
}

void decide_backward(const DecideBackward& a) {
  parallel_ranges(a.tokens, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float soft = a.soft[i], dkeep = a.dkeep[i];
      if (a.dlogprob) {  // forward: keep = previous y_0, y_0 = sigmoid((l_0 - l_1) / temperature)
        const float slope = (a.previous ? dkeep * a.previous[i] : dkeep) * soft * (1.0f - soft) / a.temperature;
        contribute(a.dlogprob, 2 * i, slope);
        contribute(a.dlogprob, 2 * i + 1, -slope);
      }
      if (a.dprevious) {  // soft > 1/2 exactly where the hard decision keeps
        contribute(a.dprevious, i, dkeep * (a.hard ? (soft > 0.5f ? 1.0f : 0.0f) : soft));
      }
    }
  });
}

void top_k(const TopK& a) {
  parallel_for(a.segments, [&](std::int64_t segment) {
    const std::int64_t first = segment * a.P;
    int* const order = reinterpret_cast<int*>(thread_scratch(static_cast<std::size_t>(a.P)));
    const auto score = [&](int i) {
      const float s = a.scores[(first + i) * a.stride];
      return std::isnan(s) ? -INFINITY : s;
    };
    const auto before = [&](int i, int j) { return score(i) > score(j) || (score(i) == score(j) && i < j); };
    for (int i = 0; i < a.P; ++i) order[i] = i;
    std::partial_sort(order, order + a.K, order + a.P, before);
    if (!a.by_score) std::sort(order, order + a.K);
    for (int k = 0; k < a.K; ++k) a.chosen[segment * a.K + k] = static_cast<int>(first) + order[k];
  });
}

void compact(const Compact& a) {
  int kept = 0;
  for (int b = 0; b < a.B; ++b) {
    a.offsets[b] = kept;
    for (int n = 0; n < a.N; ++n) {
      if (a.keep[b * a.N + n] > 0.5f) a.rows[kept++] = b * a.N + n;
    }
  }
  a.offsets[a.B] = kept;
}

void invert_rows(const InvertRows& a) {
  std::fill(a.inverse, a.inverse + a.total, -1);
  for (std::int64_t i = 0; i < a.count; ++i) a.inverse[a.rows[i]] = static_cast<int>(i);
}

void gather_rows(const GatherRows& a) {
  parallel_ranges(a.count, kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      put_row(row_of(a.from, a.rows[i] % a.total, a.width), a.to, i, a.width);
  });
}

void scatter_rows(const ScatterRows& a) {
  parallel_ranges(a.total, kRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      put_row(a.inverse[t] < 0 ? nullptr : row_of(a.from, a.inverse[t], a.width), a.to, t, a.width);
    }
  });
}

}  // namespace stp::cpu

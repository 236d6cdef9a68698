// Means over kept tokens and the scorer's aggregation.
#include "tests/op_case.h"

namespace stp::test {

namespace {

// The mean over tokens begin .. end - 1 of `width` channels from `first` on, weighted by keep; zero if nothing
// is kept.
Doubles mean_of(const Doubles& x, const Doubles* keep, const std::vector<std::size_t>& tokens, std::size_t E,
                std::size_t first, std::size_t width) {
  Doubles sum(width, 0.0);
  double total = 0;
  for (std::size_t n : tokens) {
    const double w = keep ? (*keep)[n] : 1;
    total += w;
    for (std::size_t e = 0; e < width; ++e) sum[e] += w * x[n * E + first + e];
  }
  for (double& s : sum) s = total > 0 ? s / total : 0;
  return sum;
}

std::vector<std::size_t> range(std::size_t begin, std::size_t end) {
  std::vector<std::size_t> tokens;
  for (std::size_t n = begin; n < end; ++n) tokens.push_back(n);
  return tokens;
}

OpCase mean_case(std::int64_t B, std::int64_t N, std::int64_t E, std::vector<float> keep,
                 const std::string& note) {
  OpCase c;
  c.name = fmt::format("masked_mean B {} N {} E {}{}", B, N, E, note);
  c.inputs = {activation("x", {B, N, E}, normal_values(c.name, {B, N, E}))};
  const bool masked = !keep.empty();
  if (masked) c.inputs.push_back(input("keep", {B, N}, std::move(keep)));
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    const std::size_t n = static_cast<std::size_t>(N), e = static_cast<std::size_t>(E);
    for (std::size_t b = 0; b < static_cast<std::size_t>(B); ++b) {
      const Doubles mean = mean_of(in[0], masked ? &in[1] : nullptr, range(b * n, (b + 1) * n), e, 0, e);
      out.insert(out.end(), mean.begin(), mean.end());
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{masked_mean(tape, in[0], masked ? in[1] : Tensor())};
  };
  return c;
}

OpCase packed_mean_case() {
  OpCase c;
  c.name = "masked_mean packed";
  const std::vector<int> offsets = {0, 4, 4, 11};
  c.inputs = {input("x", {11, 5}, normal_values(c.name, {11, 5}))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    for (std::size_t b = 0; b < 3; ++b) {
      const auto tokens = range(static_cast<std::size_t>(offsets[b]), static_cast<std::size_t>(offsets[b + 1]));
      const Doubles mean = mean_of(in[0], nullptr, tokens, 5, 0, 5);
      out.insert(out.end(), mean.begin(), mean.end());
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    const Packing packing = {Indices::from(in[0].backend(), {4}, offsets), 3, 7};
    return std::vector<Tensor>{masked_mean(tape, in[0], {}, packing)};
  };
  return c;
}

struct ReduceSizes {
  std::int64_t B, S, P, E;
};

// `slots` empty: P tokens a slot, in order.
OpCase aggregate_case(const ReduceSizes& s, std::vector<float> keep, std::vector<int> slots,
                      AggregationLevels levels, const std::string& note) {
  OpCase c;
  c.name = fmt::format("aggregate B {} S {} P {} E {}{}", s.B, s.S, s.P, s.E, note);
  const std::int64_t N = s.S * s.P;
  const Shape shape = {s.B, N, s.E};
  c.inputs = {input("x", shape, normal_values(c.name, shape))};
  const bool masked = !keep.empty();
  if (masked) c.inputs.push_back(input("keep", {s.B, N}, std::move(keep)));
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out = in[0];
    const std::size_t E = static_cast<std::size_t>(s.E), third = E / 3, n = static_cast<std::size_t>(N);
    const Doubles* policy = masked ? &in[1] : nullptr;
    const auto put = [&](const std::vector<std::size_t>& tokens, std::size_t first) {
      const Doubles mean = mean_of(in[0], policy, tokens, E, first, third);
      for (std::size_t token : tokens)
        std::copy(mean.begin(), mean.end(), out.begin() + static_cast<std::ptrdiff_t>(token * E + first));
    };
    for (std::size_t b = 0; b < static_cast<std::size_t>(s.B); ++b) {
      for (std::int64_t slot = 0; levels.spatial && slot < s.S; ++slot) {
        std::vector<std::size_t> tokens;
        for (std::size_t i = 0; i < n; ++i) {
          const std::int64_t of = slots.empty() ? static_cast<std::int64_t>(i) / s.P : slots[b * n + i];
          if (of == slot) tokens.push_back(b * n + i);
        }
        put(tokens, third);
      }
      if (levels.temporal) put(range(b * n, (b + 1) * n), 2 * third);
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    const Indices slot_of = slots.empty() ? Indices() : Indices::from(in[0].backend(), {s.B, N}, slots);
    return std::vector<Tensor>{aggregate(tape, in[0], masked ? in[1] : Tensor(), s.S, slot_of, levels)};
  };
  return c;
}

std::vector<OpCase> reduce_cases(Scale scale) {
  if (const std::int64_t B = real_clips(scale)) {
    return {aggregate_case({B, 8, 49, 384}, binary_values("policy", {B, 392}, 0.7), {}, {}, " kept 0.7"),
            mean_case(B, 392, 384, binary_values("policy", {B, 392}, 0.3), " kept 0.3")};
  }
  std::vector<OpCase> cases;
  const auto policy = [](std::int64_t B, std::int64_t N) { return binary_values("policy", {B, N}, 0.6); };
  cases.push_back(mean_case(1, 1, 1, {}, ""));
  cases.push_back(mean_case(3, 7, 5, policy(3, 7), " kept 0.6"));
  cases.push_back(mean_case(2, 17, 9, uniform_values("fractions", {2, 17}, 0.1, 1), " fractions"));
  // An empty clip has mean zero; its policy gets no gradient, unlike that of the other clip. Differences of the
  // definition do not exist there (it jumps), so only the forward is compared.
  OpCase empty = mean_case(1, 4, 3, std::vector<float>(4, 0.0f), " nothing kept");
  empty.inputs[1].differentiable = false;
  cases.push_back(empty);
  cases.push_back(packed_mean_case());
  cases.push_back(mean_case(2, 33, 8, policy(2, 33), " kept 0.6"));
  cases.push_back(mean_case(2, 9, 68, policy(2, 9), " kept 0.6"));

  cases.push_back(aggregate_case({2, 3, 4, 6}, {}, {}, {}, ""));
  cases.push_back(
      aggregate_case({2, 3, 4, 9}, uniform_values("fractions", {2, 12}, 0.2, 1), {}, {}, " fractions"));
  cases.push_back(aggregate_case({2, 2, 5, 12}, uniform_values("fractions", {2, 10}, 0.2, 1), {}, {}, " wide"));
  cases.push_back(aggregate_case({1, 3, 9, 192}, policy(1, 27), {}, {}, " wider"));
  cases.push_back(aggregate_case({1, 2, 3, 6}, {}, {0, 1, 1, 0, 1, 1}, {}, " slots given"));
  cases.push_back(aggregate_case({1, 2, 3, 6}, {}, {}, {false, true}, " temporal only"));
  cases.push_back(aggregate_case({1, 2, 3, 6}, {}, {}, {true, false}, " spatial only"));
  OpCase slot_empty = aggregate_case({1, 2, 3, 6}, {1, 0, 1, 0, 0, 0}, {}, {}, " a slot empty");
  slot_empty.inputs[1].differentiable = false;
  cases.push_back(slot_empty);
  return cases;
}

OP_CASES(reduce_cases);

}  // namespace

}  // namespace stp::test

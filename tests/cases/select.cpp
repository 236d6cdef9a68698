// Decision, selection, compaction, gathering.
#include <algorithm>
#include <numeric>

#include "engine/rng.h"
#include "tests/op_case.h"

namespace stp::test {

namespace {

OpCase noise_case() {
  OpCase c;
  c.name = "gumbel_noise";
  c.inputs = {constant("none", {1}, {0})};
  c.reference = [](const std::vector<Doubles>&) {
    Doubles out;
    for (std::uint64_t i = 0; i < 37; ++i) {
      out.push_back(-std::log(-std::log(static_cast<double>(philox_uniform(7, 11, i)))));
    }
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape*, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{gumbel_noise(in[0].backend(), {37}, 7, 11)};
  };
  c.tolerance.absolute = 1e-5;
  c.tolerance.reason = "u near 1 is known to 6e-8, and -log(-log u) turns that into 1e-6 and more";
  return c;
}

OpCase decide_case(std::int64_t B, std::int64_t N, double temperature, bool hard, bool previous) {
  OpCase c;
  c.name = fmt::format("decide B {} N {} temperature {}{}{}", B, N, temperature, hard ? " hard" : "",
                       previous ? " previous" : "");
  const Shape pair = {B, N, 2}, one = {B, N};
  c.inputs = {input("logprob", pair, normal_values(c.name, pair)),
              constant("noise", pair, normal_values(c.name + "n", pair))};
  if (previous) c.inputs.push_back(input("previous", one, binary_values(c.name, one, 0.7)));
  const auto soft = [=](const std::vector<Doubles>& in, std::size_t i) {
    const double keep = in[0][2 * i] + in[1][2 * i], drop = in[0][2 * i + 1] + in[1][2 * i + 1];
    return 1 / (1 + std::exp((drop - keep) / temperature));
  };
  const std::size_t count = static_cast<std::size_t>(B * N);
  const std::vector<Doubles> at = [&] {
    std::vector<Doubles> values;
    for (const CaseInput& i : c.inputs) values.emplace_back(i.values.begin(), i.values.end());
    return values;
  }();
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    for (std::size_t i = 0; i < count; ++i) {
      const double decision = hard ? (soft(in, i) > 0.5 ? 1 : 0) : soft(in, i);
      out.push_back(decision * (previous ? in[2][i] : 1));
    }
    return std::vector<Doubles>{out};
  };
  // Straight-through: to logprob the decision moves as the soft one, to previous it is a constant.
  c.differentiated = [=](const std::vector<Doubles>& in) {
    Doubles out;
    for (std::size_t i = 0; i < count; ++i) {
      const double decision = hard ? (soft(at, i) > 0.5 ? 1 : 0) - soft(at, i) + soft(in, i) : soft(in, i);
      out.push_back(decision * (previous ? in[2][i] : 1));
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{
        decide(tape, in[0], in[1], previous ? in[2] : Tensor(), static_cast<float>(temperature), hard)};
  };
  return c;
}

std::vector<float> as_floats(const std::vector<int>& values) { return {values.begin(), values.end()}; }

// Positions come back as a tensor so that the harness can compare them.
OpCase top_k_case(std::int64_t segments, std::int64_t P, std::int64_t K, bool by_score,
                  std::vector<float> scores, const std::string& note) {
  OpCase c;
  c.name = fmt::format("top_k segments {} P {} K {}{}{}", segments, P, K, by_score ? " by score" : "", note);
  c.inputs = {constant("scores", {segments * P, 2}, std::move(scores))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    for (std::int64_t s = 0; s < segments; ++s) {
      std::vector<std::int64_t> order(static_cast<std::size_t>(P));
      std::iota(order.begin(), order.end(), s * P);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t j) {
        return in[0][static_cast<std::size_t>(2 * i)] > in[0][static_cast<std::size_t>(2 * j)];
      });
      order.resize(static_cast<std::size_t>(K));
      if (!by_score) std::sort(order.begin(), order.end());
      out.insert(out.end(), order.begin(), order.end());
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape*, const std::vector<Tensor>& in) {
    const std::vector<int> chosen = top_k(in[0], segments, K, by_score).values();
    return std::vector<Tensor>{Tensor::from(in[0].backend(), {segments, K}, as_floats(chosen))};
  };
  return c;
}

OpCase compact_case(std::int64_t B, std::int64_t N, double kept) {
  OpCase c;
  c.name = fmt::format("compact B {} N {} kept {}", B, N, kept);
  c.inputs = {constant("keep", {B, N}, binary_values(c.name, {B, N}, kept))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles rows, offsets = {0};
    for (std::int64_t i = 0; i < B * N; ++i) {
      if (in[0][static_cast<std::size_t>(i)] > 0.5) rows.push_back(static_cast<double>(i));
      if (i % N == N - 1) offsets.push_back(static_cast<double>(rows.size()));
    }
    return std::vector<Doubles>{rows, offsets};
  };
  c.call = [=](Tape*, const std::vector<Tensor>& in) {
    const Kept result = compact(in[0]);
    const std::vector<float> rows = as_floats(result.rows.values()),
                             offsets = as_floats(result.packing.offsets.values());
    const Backend& backend = in[0].backend();
    return std::vector<Tensor>{Tensor::from(backend, {static_cast<std::int64_t>(rows.size())}, rows),
                               Tensor::from(backend, {B + 1}, offsets)};
  };
  return c;
}

// `count` different rows of `total`, in no order.
std::vector<int> some_rows(std::int64_t total, std::int64_t count) {
  std::vector<int> rows(static_cast<std::size_t>(total));
  std::iota(rows.begin(), rows.end(), 0);
  Random random(5, stream_id("rows"));
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.below(i)]);
  rows.resize(static_cast<std::size_t>(count));
  return rows;
}

OpCase gather_case(std::int64_t total, std::int64_t count, std::int64_t width) {
  OpCase c;
  c.name = fmt::format("gather {} of {} width {}", count, total, width);
  const std::vector<int> rows = some_rows(total, count);
  c.inputs = {activation("x", {total, width}, normal_values(c.name, {total, width}))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    for (int row : rows) {
      for (std::int64_t x = 0; x < width; ++x) out.push_back(in[0][static_cast<std::size_t>(row * width + x)]);
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{gather(tape, in[0], Indices::from(in[0].backend(), {count}, rows))};
  };
  return c;
}

// Two clips of N tokens read one table.
OpCase gather_shared_case(std::int64_t N, std::int64_t count, std::int64_t width) {
  OpCase c;
  c.name = fmt::format("gather_shared {} of 2 x {} width {}", count, N, width);
  const std::vector<int> rows = some_rows(2 * N, count);
  c.inputs = {input("table", {1, N, width}, normal_values(c.name, {1, N, width}))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    for (int row : rows) {
      for (std::int64_t x = 0; x < width; ++x)
        out.push_back(in[0][static_cast<std::size_t>(row % N * width + x)]);
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{gather_shared(tape, in[0], Indices::from(in[0].backend(), {count}, rows), 2)};
  };
  return c;
}

OpCase scatter_case(std::int64_t total, std::int64_t count, std::int64_t width) {
  OpCase c;
  c.name = fmt::format("scatter {} to {} width {}", count, total, width);
  const std::vector<int> rows = some_rows(total, count);
  c.inputs = {input("x", {count, width}, normal_values(c.name, {count, width}))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out(static_cast<std::size_t>(total * width), 0.0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::int64_t x = 0; x < width; ++x) {
        out[static_cast<std::size_t>(rows[i] * width + x)] =
            in[0][i * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
      }
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{scatter(tape, in[0], Indices::from(in[0].backend(), {count}, rows), total)};
  };
  return c;
}

std::vector<OpCase> select_cases(Scale scale) {
  if (const std::int64_t B = real_clips(scale)) {
    return {top_k_case(8 * B, 49, 34, true, normal_values("scores", {B * 392, 2}), ""),
            gather_case(B * 392, B * 272, 384)};
  }
  std::vector<OpCase> cases = {noise_case()};
  for (const bool hard : {true, false}) {
    cases.push_back(decide_case(2, 9, 1, hard, true));
    cases.push_back(decide_case(1, 5, 0.5, hard, false));
  }
  for (const bool by_score : {true, false}) {
    cases.push_back(top_k_case(1, 1, 1, by_score, {0.5f, 0}, ""));
    cases.push_back(top_k_case(6, 49, 34, by_score, normal_values("scores", {6 * 49, 2}), ""));
    cases.push_back(top_k_case(2, 33, 0, by_score, normal_values("scores", {66, 2}), ""));
    cases.push_back(top_k_case(3, 16, 16, by_score, normal_values("scores", {48, 2}), ""));
    cases.push_back(top_k_case(4, 20, 7, by_score, binary_values("ties", {80, 2}, 0.5), " ties"));
  }
  cases.push_back(top_k_case(1, 4099, 65, true, normal_values("many", {4099, 2}), ""));
  for (const double kept : {0.0, 0.4, 1.0}) cases.push_back(compact_case(3, 17, kept));
  cases.push_back(compact_case(2, 1100, 0.5));
  cases.push_back(gather_case(9, 4, 5));
  cases.push_back(gather_case(70, 70, 3));
  cases.push_back(gather_case(12, 7, 8));
  cases.push_back(gather_case(20, 13, 132));
  cases.push_back(scatter_case(12, 7, 8));
  cases.push_back(gather_shared_case(6, 9, 5));
  cases.push_back(scatter_case(9, 4, 5));
  return cases;
}

OP_CASES(select_cases);

}  // namespace

}  // namespace stp::test

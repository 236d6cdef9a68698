#include <algorithm>
#include <limits>

#include "tests/op_case.h"

namespace stp::test {

namespace {

Doubles log_softmax_rows(const Doubles& x, std::size_t A) {
  Doubles out(x.size());
  for (std::size_t row = 0; row < x.size(); row += A) {
    double sum = 0;
    for (std::size_t i = 0; i < A; ++i) sum += std::exp(x[row + i]);
    for (std::size_t i = 0; i < A; ++i) out[row + i] = x[row + i] - std::log(sum);
  }
  return out;
}

OpCase log_softmax_case(std::int64_t rows, std::int64_t A) {
  OpCase c;
  c.name = fmt::format("log_softmax rows {} A {}", rows, A);
  c.inputs = {input("x", {rows, A}, normal_values(c.name, {rows, A}, 2))};
  c.reference = [=](const std::vector<Doubles>& in) {
    return std::vector<Doubles>{log_softmax_rows(in[0], static_cast<std::size_t>(A))};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{log_softmax(tape, in[0])};
  };
  return c;
}

OpCase cross_entropy_case(std::int64_t B, std::int64_t A) {
  OpCase c;
  c.name = fmt::format("cross_entropy B {} A {}", B, A);
  std::vector<int> labels;
  for (std::int64_t b = 0; b < B; ++b) labels.push_back(static_cast<int>((5 * b + 1) % A));
  c.inputs = {input("logits", {B, A}, normal_values(c.name, {B, A}, 2))};
  c.reference = [=](const std::vector<Doubles>& in) {
    const Doubles logp = log_softmax_rows(in[0], static_cast<std::size_t>(A));
    double loss = 0;
    for (std::size_t b = 0; b < labels.size(); ++b) {
      loss -=
          logp[b * static_cast<std::size_t>(A) + static_cast<std::size_t>(labels[b])] / static_cast<double>(B);
    }
    return std::vector<Doubles>{{loss}};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{cross_entropy(tape, in[0], Indices::from(in[0].backend(), {B}, labels))};
  };
  return c;
}

OpCase binary_case(std::int64_t B, std::int64_t A, double limit, double spread) {
  OpCase c;
  c.name = fmt::format("binary_cross_entropy B {} A {} limit {} spread {}", B, A, limit, spread);
  c.inputs = {input("logits", {B, A}, normal_values(c.name, {B, A}, spread)),
              constant("targets", {B, A}, binary_values(c.name, {B, A}, 0.5))};
  c.reference = [=](const std::vector<Doubles>& in) {
    double loss = 0;
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      const double p = 1 / (1 + std::exp(-in[0][i])), t = in[1][i];
      loss += std::min(limit, -t * std::log(p) - (1 - t) * std::log(1 - p)) / static_cast<double>(in[0].size());
    }
    return std::vector<Doubles>{{loss}};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{binary_cross_entropy(tape, in[0], in[1], static_cast<float>(limit))};
  };
  return c;
}

OpCase squared_error_case(std::int64_t count) {
  OpCase c;
  c.name = fmt::format("squared_error {}", count);
  c.inputs = {input("x", {count}, normal_values(c.name, {count})),
              constant("target", {count}, normal_values(c.name + "t", {count}))};
  c.reference = [](const std::vector<Doubles>& in) {
    double loss = 0;
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      loss += std::pow(in[0][i] - in[1][i], 2) / static_cast<double>(in[0].size());
    }
    return std::vector<Doubles>{{loss}};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{squared_error(tape, in[0], in[1])};
  };
  return c;
}

OpCase ratio_case(std::int64_t segments, std::int64_t P, double ratio) {
  OpCase c;
  c.name = fmt::format("ratio_loss segments {} P {} ratio {}", segments, P, ratio);
  c.inputs = {input("keep", {segments, P}, binary_values(c.name, {segments, P}, 0.5))};
  c.reference = [=](const std::vector<Doubles>& in) {
    double loss = 0;
    for (std::int64_t s = 0; s < segments; ++s) {
      double mean = 0;
      for (std::int64_t p = 0; p < P; ++p)
        mean += in[0][static_cast<std::size_t>(s * P + p)] / static_cast<double>(P);
      loss += std::pow(mean - ratio, 2) / static_cast<double>(segments);
    }
    return std::vector<Doubles>{{loss}};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{ratio_loss(tape, in[0], segments, static_cast<float>(ratio))};
  };
  return c;
}

std::vector<OpCase> loss_cases(Scale scale) {
  if (const std::int64_t B = real_clips(scale)) return {cross_entropy_case(B, 51)};
  const double unbounded = std::numeric_limits<double>::infinity();
  return {log_softmax_case(9, 2),   log_softmax_case(3, 7),          cross_entropy_case(1, 2),
          cross_entropy_case(5, 7), binary_case(3, 5, unbounded, 2), binary_case(4, 5, std::log(2.0), 1),
          squared_error_case(3),    squared_error_case(200),         ratio_case(1, 1, 0.7),
          ratio_case(6, 11, 0.49)};
}

OP_CASES(loss_cases);

}  // namespace

}  // namespace stp::test

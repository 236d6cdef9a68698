// Attention in bf16 on tensor-core tiles: against double on the same rounded inputs, and no worse than twice
// what plain bf16 costs, in which scores, weights and results are rounded to bf16 between the formula's steps.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "tests/op_case.h"

namespace stp::test {
namespace {

double rounded(double value) {
  auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  return static_cast<double>(std::bit_cast<float>(bits));
}
double exactly(double value) { return value; }

struct Problem {
  std::size_t N, D;  // one clip, one head
  double smoothing;
  std::vector<float> qkv, keep, dout;  // (N, 3, D), (N), (N, D)

  double at(std::size_t n, std::size_t part, std::size_t d) const {
    return static_cast<double>(qkv[(n * 3 + part) * D + d]);
  }
  double weight(std::size_t i, std::size_t j) const { return i == j ? 1 : static_cast<double>(keep[j]); }
};

Problem problem(std::int64_t N, std::int64_t D) {
  Problem p = {static_cast<std::size_t>(N), static_cast<std::size_t>(D), 1e-3, {}, {}, {}};
  p.qkv = normal_values("qkv", {N, 3, D}, 1.2);
  p.keep = binary_values("keep", {N}, 0.6);
  p.dout = normal_values("dout", {N, D});
  for (float& x : p.qkv) x = static_cast<float>(rounded(static_cast<double>(x)));
  for (float& x : p.dout) x = static_cast<float>(rounded(static_cast<double>(x)));
  return p;
}

struct Answer {
  Doubles out, dqkv, dkeep;  // like what they are of
};

// The formulas of kernels/attention.h, row by row; `round` is applied between their steps.
Answer attend(const Problem& p, double (*round)(double)) {
  const std::size_t N = p.N, D = p.D;
  const double scale = 1 / std::sqrt(static_cast<double>(D)), n = static_cast<double>(N);
  Answer answer = {Doubles(N * D), Doubles(3 * N * D), Doubles(N)};
  const auto gradient = [&](std::size_t token, std::size_t part, std::size_t d) -> double& {
    return answer.dqkv[(token * 3 + part) * D + d];
  };
  const auto dot = [&](std::size_t i, std::size_t a, std::size_t j, std::size_t b) {
    double sum = 0;
    for (std::size_t d = 0; d < D; ++d) sum += p.at(i, a, d) * p.at(j, b, d);
    return sum;
  };
  Doubles mean(D), s(N), e(N);
  for (std::size_t j = 0; j < N; ++j)
    for (std::size_t d = 0; d < D; ++d) mean[d] += p.at(j, 2, d) / n;
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t j = 0; j < N; ++j) s[j] = round(scale * dot(i, 0, j, 1));
    const auto best = static_cast<std::size_t>(std::max_element(s.begin(), s.end()) - s.begin());
    double z = p.smoothing;
    for (std::size_t j = 0; j < N; ++j) z += (e[j] = round(std::exp(s[j] - s[best]))) * p.weight(i, j);
    double delta = 0, through_mean = 0;
    for (std::size_t d = 0; d < D; ++d) {
      double sum = p.smoothing * mean[d];
      for (std::size_t j = 0; j < N; ++j) sum += e[j] * p.weight(i, j) * p.at(j, 2, d);
      answer.out[i * D + d] = round(sum / z);
      const auto g = static_cast<double>(p.dout[i * D + d]);
      delta += g * answer.out[i * D + d];
      through_mean += g * mean[d];
    }
    const double share = p.smoothing / z * (delta - through_mean);
    for (std::size_t j = 0; j < N; ++j) {
      double g = 0;
      for (std::size_t d = 0; d < D; ++d) g += static_cast<double>(p.dout[i * D + d]) * p.at(j, 2, d);
      const double weight = round(p.weight(i, j) * e[j] / z);
      const double ds = round((round(g) - delta) * weight - (j == best ? share : 0));
      if (i != j) answer.dkeep[j] += (round(g) - delta) * e[j] / z;
      for (std::size_t d = 0; d < D; ++d) {
        gradient(i, 0, d) += scale * ds * p.at(j, 1, d);
        gradient(j, 1, d) += scale * ds * p.at(i, 0, d);
        gradient(j, 2, d) += (weight + p.smoothing / n / z) * static_cast<double>(p.dout[i * D + d]);
      }
    }
  }
  for (double& x : answer.dqkv) x = round(x);
  return answer;
}

Answer run(const Problem& p, Device device) {
  const Backend backend(device, {.guard = true, .poison = true});
  const auto N = static_cast<std::int64_t>(p.N), D = static_cast<std::int64_t>(p.D);
  Tensor qkv(backend, {1, N, 3 * D}, Element::bf16);
  qkv.assign(p.qkv);
  qkv.set_wants_gradient(true);
  const Tensor keep = Tensor::from(backend, {1, N}, p.keep).set_wants_gradient(true);
  Tape tape;
  const Tensor out = attention(&tape, qkv, keep, {.heads = 1, .smoothing = static_cast<float>(p.smoothing)});
  // The gradient that comes back, in the output's own type.
  Tensor up(backend, {1, N, D}, Element::bf16);
  up.assign(p.dout);
  backend.kernels().memory.copy(out.grad().data, up.in().data, p.dout.size() * sizeof(std::uint16_t));
  tape.backward();
  const auto doubles = [](const std::vector<float>& values) { return Doubles(values.begin(), values.end()); };
  Answer answer = {doubles(out.values()), doubles(qkv.gradient_values()), doubles(keep.gradient_values())};
  CHECK(backend.damaged_blocks() == 0);
  return answer;
}

double largest_error(const Doubles& wanted, const Doubles& got) {
  REQUIRE(wanted.size() == got.size());
  double largest = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double error = std::abs(got[i] - wanted[i]);
    if (!(error <= largest)) largest = error;
  }
  return largest;
}

}  // namespace

TEST_CASE("simt: attention in bf16 errs at most twice as much as plain bf16") {
  std::map<std::string, double> worst;  // error over that of plain bf16
  for (const std::int64_t D : {32, 64}) {
    // Around the edges of a tile of 80, and a real clip.
    for (const std::int64_t N : {2, 79, 80, 81, 160, 392}) {
      const Problem p = problem(N, D);
      const Answer exact = attend(p, exactly), plain = attend(p, rounded), ours = run(p, Device::simt);
      CAPTURE(N);
      CAPTURE(D);
      const auto check_error = [&](const char* what, Doubles Answer::*part) {
        const double plainly = largest_error(exact.*part, plain.*part), allowed = 2 * plainly;
        const double error = largest_error(exact.*part, ours.*part);
        worst[what] = std::max(worst[what], error / plainly);
        CHECK_MESSAGE(error <= allowed, what, ": ", error, ", allowed ", allowed);
      };
      check_error("out", &Answer::out);
      check_error("dqkv", &Answer::dqkv);
      check_error("dkeep", &Answer::dkeep);
    }
  }
  for (const auto& [what, ratio] : worst) MESSAGE(what, ": error over that of plain bf16 at most ", ratio);
}

}  // namespace stp::test

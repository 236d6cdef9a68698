// Attention on tensor-core tiles, and on the processor's in bf16, against double on the same inputs: no worse
// than twice what the plain computation of the formula costs in the same precision. In bf16 that rounds scores,
// weights and results between the formula's steps, of inputs that bf16 can hold; in tf32 it rounds both
// operands of every product.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "tests/op_case.h"

namespace stp::test {
namespace {

double exactly(double value) { return value; }

// To the nearest value of a shorter type.
double to_bf16(double value) { return static_cast<double>(from_bf16(stp::to_bf16(static_cast<float>(value)))); }
double to_tf32(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  return static_cast<double>(std::bit_cast<float>((bits + 0x1000u) & ~0x1fffu));
}

// What is rounded in a plain computation: results of the formula's steps, and operands of its products.
struct Rounding {
  double (*result)(double);
  double (*operand)(double);
};

struct Precision {
  const char* name;
  Element storage;
  Math math;
  Rounding plain;
};
constexpr Precision kPrecisions[] = {{"bf16", Element::bf16, Math::exact, {to_bf16, exactly}},
                                     {"tf32", Element::f32, Math::tf32, {exactly, to_tf32}}};

struct Problem {
  std::size_t N, D;  // one clip, one head
  double smoothing;
  std::vector<float> qkv, keep, dout;  // (N, 3, D), (N), (N, D)

  double at(std::size_t n, std::size_t part, std::size_t d) const {
    return static_cast<double>(qkv[(n * 3 + part) * D + d]);
  }
  double gradient(std::size_t n, std::size_t d) const { return static_cast<double>(dout[n * D + d]); }
  double weight(std::size_t i, std::size_t j) const { return i == j ? 1 : static_cast<double>(keep[j]); }
};

Problem problem(const Precision& precision, std::int64_t N, std::int64_t D) {
  Problem p = {static_cast<std::size_t>(N), static_cast<std::size_t>(D), 1e-3, {}, {}, {}};
  p.qkv = normal_values("qkv", {N, 3, D}, 1.2);
  p.keep = binary_values("keep", {N}, 0.6);
  p.dout = normal_values("dout", {N, D});
  if (precision.storage == Element::bf16) {
    round_to_bf16(p.qkv);
    round_to_bf16(p.dout);
  }
  return p;
}

struct Answer {
  Doubles out, dqkv, dkeep;  // like what they are of
};

// The formulas of kernels/attention.h, row by row.
Answer attend(const Problem& p, const Rounding& rounding) {
  const auto [round, operand] = rounding;
  const std::size_t N = p.N, D = p.D;
  const double scale = 1 / std::sqrt(static_cast<double>(D)), n = static_cast<double>(N);
  Answer answer = {Doubles(N * D), Doubles(3 * N * D), Doubles(N)};
  const auto gradient = [&](std::size_t token, std::size_t part, std::size_t d) -> double& {
    return answer.dqkv[(token * 3 + part) * D + d];
  };
  const auto dot = [&](std::size_t i, std::size_t a, std::size_t j, std::size_t b) {
    double sum = 0;
    for (std::size_t d = 0; d < D; ++d) sum += operand(p.at(i, a, d)) * operand(p.at(j, b, d));
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
      for (std::size_t j = 0; j < N; ++j) sum += operand(e[j] * p.weight(i, j)) * operand(p.at(j, 2, d));
      answer.out[i * D + d] = round(sum / z);
      const double g = p.gradient(i, d);
      delta += g * answer.out[i * D + d];
      through_mean += g * mean[d];
    }
    const double share = p.smoothing / z * (delta - through_mean);
    for (std::size_t j = 0; j < N; ++j) {
      double g = 0;
      for (std::size_t d = 0; d < D; ++d) g += operand(p.gradient(i, d)) * operand(p.at(j, 2, d));
      const double weight = round(p.weight(i, j) * e[j] / z);
      const double ds = round((round(g) - delta) * weight - (j == best ? share : 0));
      if (i != j) answer.dkeep[j] += (round(g) - delta) * e[j] / z;
      for (std::size_t d = 0; d < D; ++d) {
        gradient(i, 0, d) += scale * operand(ds) * operand(p.at(j, 1, d));
        gradient(j, 1, d) += scale * operand(ds) * operand(p.at(i, 0, d));
        gradient(j, 2, d) +=
            operand(weight) * operand(p.gradient(i, d)) + p.smoothing / n / z * p.gradient(i, d);
      }
    }
  }
  for (double& x : answer.dqkv) x = round(x);
  return answer;
}

Answer run(Device device, const Problem& p, const Precision& precision) {
  const Backend backend(device, {.guard = true, .poison = true});
  backend.multiply_in(precision.math);
  const auto N = static_cast<std::int64_t>(p.N), D = static_cast<std::int64_t>(p.D);
  Tensor qkv(backend, {1, N, 3 * D}, precision.storage);
  qkv.assign(p.qkv);
  qkv.set_wants_gradient(true);
  const Tensor keep = Tensor::from(backend, {1, N}, p.keep).set_wants_gradient(true);
  Tape tape;
  const Tensor out = attention(&tape, qkv, keep, {.heads = 1, .smoothing = static_cast<float>(p.smoothing)});
  // The gradient that comes back, in the output's own type.
  Tensor up(backend, {1, N, D}, precision.storage);
  up.assign(p.dout);
  backend.kernels().memory.copy(out.grad().data, up.in().data, p.dout.size() * bytes_of(precision.storage));
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

// Prints the largest ratio of the error of `device` to that of the plain computation.
void check_precision(Device device, const Precision& precision) {
  std::map<std::string, double> worst;
  for (const std::int64_t D : {32, 64}) {
    // Around the edges of tiles of 16, 40 and 80 and of blocks of 32, and a real clip.
    for (const std::int64_t N : {2, 17, 33, 39, 40, 41, 79, 80, 81, 160, 392}) {
      const Problem p = problem(precision, N, D);
      const Answer exact = attend(p, {exactly, exactly}), plain = attend(p, precision.plain),
                   ours = run(device, p, precision);
      CAPTURE(precision.name);
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
  for (const auto& [what, ratio] : worst)
    MESSAGE(std::string(name_of(device)), ": ", what, ": error over that of plain ",
            std::string(precision.name), " at most ", ratio);
}

}  // namespace

TEST_CASE("simt: attention on tiles errs at most twice as much as the plain computation in its precision") {
  for (const Precision& precision : kPrecisions) check_precision(Device::simt, precision);
}

TEST_CASE("processor: attention in bf16 errs at most twice as much as the plain computation") {
  check_precision(Device::cpu, kPrecisions[0]);
}

}  // namespace stp::test

// Attention in bf16 on tensor-core tiles: against double on the same rounded inputs, and no worse than twice
// what plain bf16 costs, in which scores and weights are rounded to bf16 between the formula's steps.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "tests/op_case.h"

namespace stp::test {
namespace {

struct Problem {
  std::int64_t B, N, H, D;
  double smoothing;
  std::vector<float> qkv, keep;
};

float rounded(double value) {
  auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  return std::bit_cast<float>(bits);
}

Problem problem(std::int64_t B, std::int64_t N, std::int64_t H, std::int64_t D) {
  Problem p = {B, N, H, D, 1e-6, {}, {}};
  p.qkv = normal_values("qkv", {B, N, 3, H, D}, 1.2);
  for (float& x : p.qkv) x = rounded(x);
  p.keep = binary_values("keep", {B, N}, 0.6);
  return p;
}

// The formula; `round` is applied to every score, weight and result.
template <class Round>
std::vector<double> attend(const Problem& p, const Round& round) {
  std::vector<double> out(static_cast<std::size_t>(p.B * p.N * p.H * p.D));
  const auto at = [&](std::int64_t b, std::int64_t n, std::int64_t part, std::int64_t h, std::int64_t d) {
    return static_cast<double>(
        p.qkv[static_cast<std::size_t>((((b * p.N + n) * 3 + part) * p.H + h) * p.D + d)]);
  };
  std::vector<double> s(static_cast<std::size_t>(p.N));
  for (std::int64_t b = 0; b < p.B; ++b) {
    for (std::int64_t h = 0; h < p.H; ++h) {
      for (std::int64_t i = 0; i < p.N; ++i) {
        double highest = -1e30, z = p.smoothing;
        for (std::int64_t j = 0; j < p.N; ++j) {
          double dot = 0;
          for (std::int64_t d = 0; d < p.D; ++d) dot += at(b, i, 0, h, d) * at(b, j, 1, h, d);
          s[static_cast<std::size_t>(j)] = round(dot / std::sqrt(static_cast<double>(p.D)));
          highest = std::max(highest, s[static_cast<std::size_t>(j)]);
        }
        for (std::int64_t j = 0; j < p.N; ++j) {
          double& w = s[static_cast<std::size_t>(j)];
          w = round(std::exp(w - highest) *
                    (i == j ? 1.0 : static_cast<double>(p.keep[static_cast<std::size_t>(b * p.N + j)])));
          z += w;
        }
        for (std::int64_t d = 0; d < p.D; ++d) {
          double sum = 0;
          for (std::int64_t j = 0; j < p.N; ++j)
            sum +=
                (s[static_cast<std::size_t>(j)] + p.smoothing / static_cast<double>(p.N)) * at(b, j, 2, h, d);
          out[static_cast<std::size_t>(((b * p.N + i) * p.H + h) * p.D + d)] = round(sum / z);
        }
      }
    }
  }
  return out;
}

double largest_error(const std::vector<double>& wanted, const auto& got) {
  double largest = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - wanted[i]);
    if (!(error <= largest)) largest = error;
  }
  return largest;
}

std::vector<float> run(const Problem& p, Device device) {
  const Backend backend(device, {.guard = true, .poison = true});
  Tensor qkv(backend, {p.B, p.N, 3 * p.H * p.D}, Element::bf16);
  qkv.assign(p.qkv);
  const Tensor keep = Tensor::from(backend, {p.B, p.N}, p.keep);
  const Tensor out =
      attention(nullptr, qkv, keep, {.heads = p.H, .smoothing = static_cast<float>(p.smoothing)});
  return out.values();
}

}  // namespace

TEST_CASE("simt: attention in bf16 errs at most twice as much as plain bf16") {
  for (const std::int64_t D : {32, 64}) {
    // One token, around the edges of a tile of 80, and a real clip.
    for (const std::int64_t N : {1, 79, 80, 81, 160, 392}) {
      const Problem p = problem(N < 100 ? 2 : 1, N, 2, D);
      const std::vector<double> exact = attend(p, [](double x) { return x; });
      const double plain = largest_error(exact, attend(p, rounded)),
                   ours = largest_error(exact, run(p, Device::simt));
      CAPTURE(N);
      CAPTURE(D);
      CAPTURE(plain);
      CHECK_MESSAGE(ours <= 2 * plain, ours);
    }
  }
}

}  // namespace stp::test

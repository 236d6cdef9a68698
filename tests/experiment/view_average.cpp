// Probabilities averaged over views, and the attacker who knows only them.
#include "tools/experiment/view_average.h"

#include <doctest/doctest.h>

#include "tools/experiment/watchers.h"

using namespace stp;

TEST_CASE("views of the same are averaged as probabilities, not as logits") {
  const Backend cpu(Device::cpu);
  const double a = 1 / (1 + std::exp(-2.0)), b = 1 / (1 + std::exp(1.0));
  ViewAverage sigmoids(2), softmax(2);
  const std::vector<std::uint32_t> what = {1, 0, 1};
  const Tensor logits = Tensor::from(cpu, {3, 2}, std::vector<float>{2, -1, 0, 0, -1, 2});
  sigmoids.add(logits, what, false);
  softmax.add(logits, what, true);
  const std::vector<double> s = sigmoids.mean(), p = softmax.mean();
  REQUIRE(s.size() == 4);
  CHECK(s[0] == doctest::Approx(0.5));
  CHECK(s[2] == doctest::Approx((a + b) / 2));
  CHECK(s[3] == doctest::Approx((a + b) / 2));
  CHECK(p[0] + p[1] == doctest::Approx(1));
  CHECK(p[2] == doctest::Approx(0.5));
}

TEST_CASE("posterior attacker: of several actions a clip what counts is their share, not their number") {
  LabelTable train = {2, 1, {0, 0, 0, 0}, {1, 1, 0, 0}, {1, 0, 1, 0, 0, 1, 0, 1}};
  const std::vector<double> scores = posterior_scores({0.9, 0.1, 0.9, 0.9, 0.3, 0.1}, train);
  REQUIRE(scores.size() == 3);
  CHECK(scores[0] > scores[2]);  // 9 : 1 beside 3 : 1
  CHECK(scores[2] > scores[1]);  // beside 1 : 1, though both are likely there
}

// The metrics against scikit-learn on a thousand cases with ties, constant scores, and attributes that all
// clips have or none; then what scikit-learn does not have: intervals, and leakage above chance.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "data/text_file.h"
#include "tests/temporary.h"
#include "tools/experiment/metrics.h"

namespace stp {
namespace {

// SplitMix64 (Steele, Lea, Flood, 2014), as in metrics_sklearn.py.
class Draws {
 public:
  explicit Draws(std::uint64_t state) : state_(state) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

double score(Draws& draws, std::uint64_t kind) {
  if (kind == 0) return static_cast<double>(draws.next() >> 11) * 0x1p-53;
  if (kind == 1) return static_cast<double>(draws.next() % 5) / 4;
  if (kind == 2) return 0.5;
  return static_cast<double>(draws.next() % 2) * 0.75;
}

int truth(Draws& draws, std::uint64_t kind) {
  if (kind < 2) return static_cast<int>(kind);
  return draws.next() % 3 == 0 ? 1 : 0;
}

AttributeScores drawn_case(std::uint64_t number) {
  Draws draws(number);
  const std::uint64_t clips = 1 + draws.next() % 60;
  AttributeScores scores;
  scores.attributes = 1 + draws.next() % 5;
  std::vector<std::uint64_t> kinds(scores.attributes);
  for (std::uint64_t& kind : kinds) kind = draws.next() % 8;
  for (std::uint64_t i = 0; i < clips; ++i) {
    for (std::size_t a = 0; a < scores.attributes; ++a) {
      scores.scores.push_back(score(draws, number % 4));
      scores.positive.push_back(truth(draws, kinds[a]));
    }
  }
  return scores;
}

TEST_CASE("metrics: a thousand cases as scikit-learn has them") {
  const TextFile file(STP_SOURCE_DIR "/tests/experiment/metrics_sklearn.csv", "table of expected values");
  REQUIRE(file.lines().size() == 1001);
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const auto fields = split(file.lines()[number + 1].text, ',');
    REQUIRE(fields.size() == 4);
    const AttributeScores scores = drawn_case(number);
    const std::array<double, 4> values = {scores.cmap() / 100, scores.cmap_of_present() / 100, scores.f1(),
                                          scores.f1(kLogitRule)};
    for (std::size_t i = 0; i < 4; ++i) {
      CAPTURE(number);
      CAPTURE(i);
      // At most some hundred roundings of numbers up to 1 on either side.
      CHECK(!!(std::abs(values[i] - std::strtod(std::string(fields[i]).c_str(), nullptr)) <= 1e-12));
    }
  }
}

TEST_CASE("metrics: a score that is no number is refused") {
  CHECK(error_of([] {
          average_precision(std::vector<double>{0.1, NAN}, std::vector<int>{0, 1});
        }) == "average precision: a score is NaN; look for the step in which the training diverged");
  CHECK(error_of([] {
          f1_score(std::vector<double>{0.1}, std::vector<int>{0, 1}, 0.5);
        }) == "F1: 1 scores for 2 labels");
}

TEST_CASE("metrics: the ends of an interval are percentiles, the same for the same seed") {
  int call = 0;
  const Interval counted = bootstrap_interval(
      3, [&](std::span<const std::size_t>) { return static_cast<double>(call++); }, 1, 1001);
  CHECK(counted.low == doctest::Approx(25));  // 0 .. 1000: 2.5 % and 97.5 %
  CHECK(counted.high == doctest::Approx(975));
  call = 0;
  const Interval between = bootstrap_interval(
      3, [&](std::span<const std::size_t>) { return static_cast<double>(call++); }, 1, 4, 0.5);
  CHECK(between.low == doctest::Approx(0.75));  // of 0 1 2 3, as numpy.percentile(x, 25)
  CHECK(between.high == doctest::Approx(2.25));

  ActionScores scores = {2, {}, {}};
  for (int i = 0; i < 400; ++i) {
    scores.scores.insert(scores.scores.end(), {1.0, 0.0});
    scores.labels.push_back(i % 5 == 0 ? 1 : 0);
  }
  const auto top1 = [&](std::span<const std::size_t> clips) { return scores.rows(clips).top1(); };
  const Interval interval = bootstrap_interval(400, top1, 7);
  // 80 % of 400: deviation sqrt(0.8 0.2 / 400) = 2 points, so 76.08 to 83.92; a thousand draws put each end
  // 0.15 beside it.
  CHECK(!!(std::abs(interval.low - 76.08) <= 0.6));
  CHECK(!!(std::abs(interval.high - 83.92) <= 0.6));
  const Interval again = bootstrap_interval(400, top1, 7), other = bootstrap_interval(400, top1, 8);
  CHECK((again.low == interval.low && again.high == interval.high));
  CHECK((other.low != interval.low || other.high != interval.high));
  CHECK(error_of([&] { bootstrap_interval(0, top1, 1); }) ==
        "bootstrap: 0 clips and 1000 resamples; both must be positive");
}

TEST_CASE("metrics: chosen rows are those rows") {
  const AttributeScores scores = {2, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, {0, 1, 1, 0, 1, 1}};
  const AttributeScores some = scores.rows(std::vector<std::size_t>{2, 0, 2});
  CHECK(some.attributes == 2);
  CHECK(some.scores == std::vector<double>{0.5, 0.6, 0.1, 0.2, 0.5, 0.6});
  CHECK(some.positive == std::vector<int>{1, 1, 0, 1, 1, 1});
}

TEST_CASE("metrics: leakage above chance") {
  // The paper's Table 1 with the constant scorers of the two data sets: 18.5 % and 15.8 %.
  CHECK(leakage_removed(75.58, 72.48, 58.80) == doctest::Approx(0.1847).epsilon(0.001));
  CHECK(leakage_removed(76.62, 73.79, 58.67) == doctest::Approx(0.1577).epsilon(0.001));
  CHECK(leakage_removed(70, 70, 60) == 0);
  CHECK(std::isnan(leakage_removed(60, 55, 60)));
}

}  // namespace
}  // namespace stp

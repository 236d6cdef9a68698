#include "tools/experiment/metrics.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace stp;

TEST_CASE("average precision counts ties together") {
  // Constant scores: the share of positives, exactly.
  CHECK(average_precision(std::vector<double>(10, 0.5), std::vector<int>{1, 0, 0, 1, 0, 0, 0, 1, 0, 0}) ==
        doctest::Approx(0.3));
  // Perfect order, and the worst one.
  CHECK(average_precision(std::vector<double>{4, 3, 2, 1}, std::vector<int>{1, 1, 0, 0}) == 1.0);
  CHECK(average_precision(std::vector<double>{4, 3, 2, 1}, std::vector<int>{0, 0, 1, 1}) ==
        doctest::Approx(0.5 * (1.0 / 3 + 2.0 / 4)));
  // Two tied: one of them positive. Thresholds 2 (three clips, two hits) and 1.
  CHECK(average_precision(std::vector<double>{3, 2, 2, 1}, std::vector<int>{1, 1, 0, 0}) ==
        doctest::Approx(0.5 * 1.0 + 0.5 * 2.0 / 3));
  CHECK(average_precision(std::vector<double>{1, 2}, std::vector<int>{0, 0}) == 0.0);
}

TEST_CASE("F1 at a threshold") {
  CHECK(f1_score(std::vector<double>{0.9, 0.8, 0.2, 0.1}, std::vector<int>{1, 0, 1, 0}, 0.5) ==
        doctest::Approx(0.5));
  CHECK(f1_score(std::vector<double>{0.1, 0.2}, std::vector<int>{1, 1}, 0.5) == 0.0);
}

TEST_CASE("top-1 takes the lower class among equals") {
  const ActionScores scores = {3, {0.2, 0.4, 0.4, 0.5, 0.3, 0.2}, {1, 2}};
  CHECK(scores.predictions() == std::vector<int>{1, 0});
  CHECK(scores.top1() == 50.0);
}

TEST_CASE("the action-posterior floor is chance without correlation and the table's own precision with it") {
  // Attribute 0 is decided by the action, attribute 1 is a coin.
  LabelTable train = {2, 2, {}, {}}, test = {2, 2, {}, {}};
  for (int i = 0; i < 400; ++i) {
    for (LabelTable* t : {&train, &test}) {
      t->actions.push_back(i % 2);
      t->positive.push_back(i % 2);
      t->positive.push_back(i / 2 % 2);
    }
  }
  const FloorPoint knows = action_posterior_floor(train, test, 1.0);
  CHECK(knows.precisions[0] == 1.0);
  CHECK(knows.precisions[1] == doctest::Approx(0.5));
  const FloorPoint guesses = action_posterior_floor(train, test, 0.5);
  CHECK(std::abs(guesses.precisions[0] - 0.5) < 0.05);  // 12 draws of 400 coins: deviation below 0.01
  const ChancePoints chance = chance_points(train, test);
  CHECK(chance.cmap == doctest::Approx(50.0));
  CHECK(chance.top1 == doctest::Approx(50.0));
}

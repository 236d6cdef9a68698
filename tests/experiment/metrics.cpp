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

TEST_CASE("where clips show several actions, chance and floor are those of labels that go with them") {
  // Attribute 0 goes with action 0, attribute 1 with action 1; a clip that shows both has both at even odds.
  LabelTable train = {2, 2, {}, {}, {}};
  const auto add = [](LabelTable& table, int copies, std::vector<int> shown, std::vector<int> positive) {
    for (int i = 0; i < copies; ++i) {
      table.actions.push_back(0);
      table.shown.insert(table.shown.end(), shown.begin(), shown.end());
      table.positive.insert(table.positive.end(), positive.begin(), positive.end());
    }
  };
  add(train, 100, {1, 0}, {1, 0});
  add(train, 100, {0, 1}, {0, 1});
  LabelTable test = {2, 2, {}, {}, {}};
  add(test, 10, {1, 0}, {1, 0});
  add(test, 10, {0, 1}, {0, 1});
  add(test, 20, {1, 1}, {0, 0});
  const ChancePoints chance = chance_points(train, test);
  CHECK(chance.top1 == doctest::Approx(100 * 30.0 / 40));  // constant scores: each action in 30 of 40 clips
  CHECK(chance.cmap == doctest::Approx(100 * 10.0 / 40));
  // A clip of its own counts towards each class: (100 + 1/2) / 101 beside 1/2 / 101.
  const std::vector<double> shares = class_shares(train);
  CHECK(shares[0] == doctest::Approx(100.5 / 101));
  CHECK(shares[1] == doctest::Approx(0.5 / 101));
  // Told the actions, the attacker scores the right ten clips highest, the ones with both in the middle.
  const FloorPoint floor = action_posterior_floor(train, test, 1);
  CHECK(floor.cmap == doctest::Approx(100));
  // It is the mean over a clip's actions: not more for a clip that shows more of them.
  LabelTable both = {2, 2, {}, {}, {}};
  add(both, 1, {1, 1}, {0, 0});
  add(both, 1, {1, 0}, {1, 1});
  CHECK(action_posterior_floor(train, both, 1).precisions[0] == 1.0);
  CHECK(action_posterior_floor(train, both, 1).precisions[1] == doctest::Approx(0.5));
}

TEST_CASE("attributes that no test clip has do not count as an attacker's failure") {
  LabelTable train = {1, 2, {0, 0}, {1, 0, 0, 1}};
  const LabelTable test = {1, 2, {0, 0}, {1, 0, 0, 0}};
  CHECK(chance_points(train, test).cmap == doctest::Approx(50));
  CHECK(action_posterior_floor(train, test, 1).cmap == doctest::Approx(50));
}

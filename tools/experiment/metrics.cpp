#include "tools/experiment/metrics.h"

#include <algorithm>
#include <numeric>

#include "engine/check.h"
#include "engine/rng.h"

namespace stp {

namespace {

// Column `a` of a table of rows of `width`.
template <class T>
std::vector<T> column(const std::vector<T>& table, std::size_t a, std::size_t width) {
  std::vector<T> values;
  for (std::size_t i = a; i < table.size(); i += width) values.push_back(table[i]);
  return values;
}

double mean(const std::vector<double>& values) {
  return values.empty()
             ? 0
             : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Share of positives of each attribute among the clips of one action, and among all (action -1).
std::vector<double> frequencies(const LabelTable& table, int action) {
  std::vector<double> share(table.attributes, 0.0);
  double clips = 0;
  for (std::size_t i = 0; i < table.actions.size(); ++i) {
    if (action >= 0 && table.actions[i] != action) continue;
    ++clips;
    for (std::size_t a = 0; a < table.attributes; ++a) share[a] += table.positive[i * table.attributes + a];
  }
  for (double& s : share) s = clips > 0 ? s / clips : 0;
  return share;
}

// The class an attacker of the given accuracy sees.
int seen_action(int action, std::size_t classes, double accuracy, Random& random) {
  if (accuracy >= 1 || random.chance(accuracy) || classes < 2) return action;
  const auto other = static_cast<int>(random.below(classes - 1));
  return other < action ? other : other + 1;
}

}  // namespace

double average_precision(std::span<const double> scores, std::span<const int> positive) {
  check(scores.size() == positive.size(), "average precision: {} scores for {} labels", scores.size(),
        positive.size());
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return scores[i] > scores[j]; });
  const auto total =
      static_cast<double>(std::count_if(positive.begin(), positive.end(), [](int p) { return p != 0; }));
  double sum = 0, hits = 0, hits_before = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    hits += positive[order[i]] != 0 ? 1 : 0;
    if (i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]]) continue;  // ties count together
    sum += (hits - hits_before) * hits / static_cast<double>(i + 1);
    hits_before = hits;
  }
  return total > 0 ? sum / total : 0;
}

double f1_score(std::span<const double> scores, std::span<const int> positive, double threshold) {
  double hits = 0, predicted = 0, total = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const bool says = scores[i] > threshold, is = positive[i] != 0;
    hits += says && is ? 1 : 0;
    predicted += says ? 1 : 0;
    total += is ? 1 : 0;
  }
  return hits > 0 ? 2 * hits / (predicted + total) : 0;
}

std::vector<double> AttributeScores::precisions() const {
  std::vector<double> values;
  for (std::size_t a = 0; a < attributes; ++a) {
    values.push_back(average_precision(column(scores, a, attributes), column(positive, a, attributes)));
  }
  return values;
}

double AttributeScores::cmap() const { return 100 * mean(precisions()); }

double AttributeScores::f1(double threshold) const {
  std::vector<double> values;
  for (std::size_t a = 0; a < attributes; ++a) {
    values.push_back(f1_score(column(scores, a, attributes), column(positive, a, attributes), threshold));
  }
  return mean(values);
}

std::vector<int> ActionScores::predictions() const {
  std::vector<int> predicted;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto row = scores.begin() + static_cast<std::ptrdiff_t>(i * classes);
    predicted.push_back(
        static_cast<int>(std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row));
  }
  return predicted;
}

double ActionScores::top1() const {
  const std::vector<int> predicted = predictions();
  double right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += predicted[i] == labels[i] ? 1 : 0;
  return labels.empty() ? 0 : 100 * right / static_cast<double>(labels.size());
}

ChancePoints chance_points(const LabelTable& train, const LabelTable& test) {
  ChancePoints points;
  std::vector<std::int64_t> counts(train.classes, 0);
  for (int action : train.actions) ++counts[static_cast<std::size_t>(action)];
  const int frequent = static_cast<int>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  const auto clips = static_cast<double>(test.actions.size());
  points.top1 =
      100 * static_cast<double>(std::count(test.actions.begin(), test.actions.end(), frequent)) / clips;

  AttributeScores scores = {test.attributes, std::vector<double>(test.positive.size(), 1.0), test.positive};
  points.cmap = scores.cmap();
  points.f1_ones = scores.f1();
  const std::vector<double> share = frequencies(train, -1);
  for (std::size_t i = 0; i < scores.scores.size(); ++i)
    scores.scores[i] = share[i % test.attributes] > 0.5 ? 1 : 0;
  points.f1_majority = scores.f1();
  return points;
}

FloorPoint action_posterior_floor(const LabelTable& train, const LabelTable& test, double accuracy, int draws) {
  check(accuracy >= 0 && accuracy <= 1, "floor: accuracy {} is not in [0, 1]", accuracy);
  const std::size_t A = test.attributes;
  const std::vector<double> overall = frequencies(train, -1);
  std::vector<std::vector<double>> of_class;
  for (std::size_t c = 0; c < train.classes; ++c) of_class.push_back(frequencies(train, static_cast<int>(c)));

  FloorPoint floor;
  floor.precisions.assign(A, 0.0);
  const int count = accuracy >= 1 ? 1 : draws;
  for (int draw = 0; draw < count; ++draw) {
    Random random(2023, stream_id("action-posterior floor", {static_cast<std::uint64_t>(draw)}));
    AttributeScores scores = {A, {}, test.positive};
    for (int action : test.actions) {
      const auto seen = static_cast<std::size_t>(seen_action(action, train.classes, accuracy, random));
      for (std::size_t a = 0; a < A; ++a) {
        scores.scores.push_back(accuracy * of_class[seen][a] + (1 - accuracy) * overall[a]);
      }
    }
    const std::vector<double> precisions = scores.precisions();
    for (std::size_t a = 0; a < A; ++a) floor.precisions[a] += precisions[a] / count;
    floor.cmap += scores.cmap() / count;
    floor.f1 += scores.f1() / count;
  }
  return floor;
}

}  // namespace stp

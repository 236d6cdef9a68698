#include "tools/experiment/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
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

// The given rows of a table, one after another.
template <class T>
std::vector<T> rows_of(const std::vector<T>& table, std::span<const std::size_t> rows, std::size_t width) {
  std::vector<T> values;
  values.reserve(rows.size() * width);
  for (const std::size_t i : rows) {
    const auto row = table.begin() + static_cast<std::ptrdiff_t>(i * width);
    values.insert(values.end(), row, row + static_cast<std::ptrdiff_t>(width));
  }
  return values;
}

// (A) share of positives among all clips.
std::vector<double> overall_shares(const LabelTable& table) {
  std::vector<double> share(table.attributes, 0.0);
  for (std::size_t i = 0; i < table.positive.size(); ++i) share[i % table.attributes] += table.positive[i];
  for (double& s : share) s /= static_cast<double>(std::max<std::size_t>(table.actions.size(), 1));
  return share;
}

// The value below which the part `q` of sorted values lies, linear between neighbours.
double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// The class an attacker of the given accuracy sees.
int seen_action(int action, std::size_t classes, double accuracy, Random& random) {
  if (accuracy >= 1 || random.chance(accuracy) || classes < 2) return action;
  const auto other = static_cast<int>(random.below(classes - 1));
  return other < action ? other : other + 1;
}

// Scores (n, A) of an attacker who is told every action of a clip.
std::vector<double> scores_of_told(const LabelTable& test, const std::vector<double>& of_class,
                                   const std::vector<double>& overall) {
  const std::size_t C = test.classes, A = test.attributes;
  std::vector<double> scores;
  for (std::size_t i = 0; i < test.actions.size(); ++i) {
    std::vector<double> sum(A, 0.0);
    double actions = 0;
    for (std::size_t c = 0; c < C; ++c) {
      if (test.shown[i * C + c] == 0) continue;
      ++actions;
      for (std::size_t a = 0; a < A; ++a) sum[a] += of_class[c * A + a];
    }
    for (std::size_t a = 0; a < A; ++a) scores.push_back(actions > 0 ? sum[a] / actions : overall[a]);
  }
  return scores;
}

}  // namespace

double average_precision(std::span<const double> scores, std::span<const int> positive) {
  check(scores.size() == positive.size(), "average precision: {} scores for {} labels", scores.size(),
        positive.size());
  check(std::none_of(scores.begin(), scores.end(), [](double score) { return std::isnan(score); }),
        "average precision: a score is NaN; look for the step in which the training diverged");
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
  check(scores.size() == positive.size(), "F1: {} scores for {} labels", scores.size(), positive.size());
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

double AttributeScores::cmap_of_present() const {
  std::vector<double> values;
  for (std::size_t a = 0; a < attributes; ++a) {
    const std::vector<int> truth = column(positive, a, attributes);
    if (std::find_if(truth.begin(), truth.end(), [](int p) { return p != 0; }) == truth.end()) continue;
    values.push_back(average_precision(column(scores, a, attributes), truth));
  }
  return 100 * mean(values);
}

AttributeScores AttributeScores::rows(std::span<const std::size_t> clips) const {
  return {attributes, rows_of(scores, clips, attributes), rows_of(positive, clips, attributes)};
}

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

ActionScores ActionScores::rows(std::span<const std::size_t> clips) const {
  return {classes, rows_of(scores, clips, classes), rows_of(labels, clips, 1)};
}

Interval bootstrap_interval(std::size_t n, const std::function<double(std::span<const std::size_t>)>& statistic,
                            std::uint64_t seed, int resamples, double level) {
  check(n > 0 && resamples > 0, "bootstrap: {} clips and {} resamples; both must be positive", n, resamples);
  check(level > 0 && level < 1, "bootstrap: level {} is not in (0, 1)", level);
  std::vector<double> values;
  std::vector<std::size_t> clips(n);
  for (int r = 0; r < resamples; ++r) {
    Random random(seed, stream_id("bootstrap", {static_cast<std::uint64_t>(r)}));
    for (std::size_t& clip : clips) clip = random.below(n);
    values.push_back(statistic(clips));
  }
  std::sort(values.begin(), values.end());
  return {quantile(values, (1 - level) / 2), quantile(values, (1 + level) / 2)};
}

double leakage_removed(double raw, double method, double constant) {
  return raw > constant ? (raw - method) / (raw - constant) : std::numeric_limits<double>::quiet_NaN();
}

ChancePoints chance_points(const LabelTable& train, const LabelTable& test) {
  ChancePoints points;
  if (test.shown.empty()) {
    std::vector<std::int64_t> counts(train.classes, 0);
    for (int action : train.actions) ++counts[static_cast<std::size_t>(action)];
    const int frequent = static_cast<int>(std::max_element(counts.begin(), counts.end()) - counts.begin());
    const auto clips = static_cast<double>(test.actions.size());
    points.top1 =
        100 * static_cast<double>(std::count(test.actions.begin(), test.actions.end(), frequent)) / clips;
  } else {
    const AttributeScores actions = {test.classes, std::vector<double>(test.shown.size(), 1.0), test.shown};
    points.top1 = actions.cmap_of_present();
  }
  AttributeScores scores = {test.attributes, std::vector<double>(test.positive.size(), 1.0), test.positive};
  points.cmap = scores.cmap_of_present();
  points.f1_ones = scores.f1();
  const std::vector<double> share = overall_shares(train);
  for (std::size_t i = 0; i < scores.scores.size(); ++i) scores.scores[i] = share[i % test.attributes];
  points.f1_majority = scores.f1();
  points.f1_logits = scores.f1(kLogitRule);
  return points;
}

std::vector<double> class_shares(const LabelTable& table) {
  const std::size_t A = table.attributes, C = table.classes;
  const std::vector<double> overall = overall_shares(table);
  std::vector<double> clips(C, 1.0), share;
  for (std::size_t c = 0; c < C; ++c) share.insert(share.end(), overall.begin(), overall.end());
  const auto count = [&](std::size_t i, std::size_t c) {
    ++clips[c];
    for (std::size_t a = 0; a < A; ++a) share[c * A + a] += table.positive[i * A + a];
  };
  for (std::size_t i = 0; i < table.actions.size(); ++i) {
    if (table.shown.empty()) count(i, static_cast<std::size_t>(table.actions[i]));
    for (std::size_t c = 0; !table.shown.empty() && c < C; ++c)
      if (table.shown[i * C + c] != 0) count(i, c);
  }
  for (std::size_t i = 0; i < share.size(); ++i) share[i] /= clips[i / A];
  return share;
}

FloorPoint action_posterior_floor(const LabelTable& train, const LabelTable& test, double accuracy, int draws) {
  check(accuracy >= 0 && accuracy <= 1, "floor: accuracy {} is not in [0, 1]", accuracy);
  const std::size_t A = test.attributes;
  const std::vector<double> overall = overall_shares(train), of_class = class_shares(train);

  FloorPoint floor;
  floor.precisions.assign(A, 0.0);
  const bool told = !test.shown.empty();
  const int count = told || accuracy >= 1 ? 1 : draws;
  for (int draw = 0; draw < count; ++draw) {
    AttributeScores scores = {A, {}, test.positive};
    if (told) scores.scores = scores_of_told(test, of_class, overall);
    Random random(2023, stream_id("action-posterior floor", {static_cast<std::uint64_t>(draw)}));
    for (std::size_t i = 0; !told && i < test.actions.size(); ++i) {
      const auto seen = static_cast<std::size_t>(seen_action(test.actions[i], train.classes, accuracy, random));
      for (std::size_t a = 0; a < A; ++a)
        scores.scores.push_back(accuracy * of_class[seen * A + a] + (1 - accuracy) * overall[a]);
    }
    const std::vector<double> precisions = scores.precisions();
    for (std::size_t a = 0; a < A; ++a) floor.precisions[a] += precisions[a] / count;
    floor.cmap += scores.cmap_of_present() / count;
    floor.f1 += scores.f1() / count;
    floor.f1_logits += scores.f1(kLogitRule) / count;
  }
  return floor;
}

}  // namespace stp

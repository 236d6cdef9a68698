// What is measured: top-1, average precision, F1, their intervals, and the reference points without which they
// mean little.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace stp {

// Average precision as scikit-learn defines it: sum over distinct thresholds of (recall step x precision),
// equal scores counted together, no interpolation. A constant scorer gets the share of positives. 0 without
// positives. Throws Error (usage) for NaN, which has no place in an order.
double average_precision(std::span<const double> scores, std::span<const int> positive);

// F1 of scores above `threshold`; 0 if nothing true is predicted.
double f1_score(std::span<const double> scores, std::span<const int> positive, double threshold);

// The two thresholds in use, as probabilities: most published code asks p > 0.5; SPAct's MobileNet, TeD-SPAD
// and SPLAVU compare raw logits with 0.5, which is p > 1 / (1 + e^-0.5). F1 under the one says little about the
// other.
inline constexpr double kProbabilityRule = 0.5;
inline constexpr double kLogitRule = 0.62245933120185456;

// Scores and truth of n clips and A attributes (or of A tags: many, some without a clip), row by row.
struct AttributeScores {
  std::size_t attributes = 0;
  std::vector<double> scores;  // (n, A) probabilities
  std::vector<int> positive;   // (n, A)

  std::vector<double> precisions() const;  // AP of each attribute
  double cmap() const;                     // their mean, in percent
  // The mean over the attributes that any clip has, in percent: of thousands of tags a test part lacks some,
  // and an AP of 0 would say nothing about the scores. 0 if there is none.
  double cmap_of_present() const;
  double f1(double threshold = kProbabilityRule) const;            // macro mean of F1
  AttributeScores rows(std::span<const std::size_t> clips) const;  // these clips, any of them more than once
};

struct ActionScores {
  std::size_t classes = 0;
  std::vector<double> scores;  // (n, C)
  std::vector<int> labels;     // (n)

  std::vector<int> predictions() const;  // the highest score, the lower class among equals
  double top1() const;                   // in percent
  ActionScores rows(std::span<const std::size_t> clips) const;
};

// The percentile bootstrap (Efron, 1979): n clips are drawn from n with replacement, `resamples` times; the
// interval holds the middle `level` of what `statistic` says of the draws, interpolated between neighbours as
// numpy.percentile does. A pure function of its arguments.
struct Interval {
  double low = 0, high = 0;
};
Interval bootstrap_interval(std::size_t n, const std::function<double(std::span<const std::size_t>)>& statistic,
                            std::uint64_t seed, int resamples = 1000, double level = 0.95);

// The part of the leakage above chance that a method removes: (raw - method) / (raw - constant), of one metric
// (cMAP, with the constant scorer's). NaN where raw is not above chance.
double leakage_removed(double raw, double method, double constant);

// The labels of a split, for the reference points.
struct LabelTable {
  std::size_t classes = 0, attributes = 0;
  std::vector<int> actions;     // (n); zeros where clips show several
  std::vector<int> positive;    // (n, A)
  std::vector<int> shown = {};  // (n, C) 0 or 1 where clips may show several actions; else empty
};

// The labels by which privacy is judged.
struct JudgedLabels {
  LabelTable train, test;
};

// What one can score without looking.
struct ChancePoints {
  double top1 = 0;     // the most frequent training class; of several actions a clip, cMAP of constant scores
  double cmap = 0;     // constant scores: the mean share of positives
  double f1_ones = 0;  // everything predicted present
  double f1_majority = 0;  // the training majority of each attribute
  double f1_logits = 0;    // the training shares as probabilities, by kLogitRule
};
ChancePoints chance_points(const LabelTable& train, const LabelTable& test);

// (C, A) share of positives among the clips of each class. A class counts one clip more, which has the overall
// share, so that a class with few clips says little and one without says nothing. A clip that shows several
// actions counts in each.
std::vector<double> class_shares(const LabelTable& train);

// What the action alone reveals (at 100 % accuracy cMAP 73.71 on VP-HMDB51 and 77.33 on VP-UCF101, split 1): an
// attacker that predicts the action with the given accuracy, its errors uniform over the other classes, and
// scores each attribute by accuracy x its share in the predicted class (class_shares) + (1 - accuracy) x its
// share overall, both of the training clips. Real confusions are between classes alike: the true floor is no
// lower. The mean of `draws` seeds; at accuracy 1 nothing is drawn. Where clips show several actions there is
// no such accuracy: the attacker is told all of them, and scores by the mean of their shares.
struct FloorPoint {
  double cmap = 0, f1 = 0, f1_logits = 0;
  std::vector<double> precisions;
};
FloorPoint action_posterior_floor(const LabelTable& train, const LabelTable& test, double accuracy,
                                  int draws = 12);

}  // namespace stp

// Labels of VP-Synth without a pixel: shares, independence, planted correlation, splits, and what is refused.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>

#include "data/synthetic.h"
#include "engine/check.h"

namespace stp {
namespace {

constexpr std::int64_t kClips = 80'000;

// Shares of `n` draws stay within five standard deviations of p: wrong once in 1.7 million checks, and the
// draws are the same every time.
double five_sigma(double p, std::int64_t n) { return 5 * std::sqrt(p * (1 - p) / static_cast<double>(n)); }

SyntheticOptions options_with(double correlation, double prevalence) {
  SyntheticOptions options;
  options.clips = kClips;
  options.correlation = correlation;
  options.prevalence.fill(prevalence);
  return options;
}

// Counts of attributes, of pairs of attributes, and of attributes by action.
struct Counts {
  std::array<std::int64_t, kSyntheticAttributes> one{};
  std::array<std::array<std::int64_t, kSyntheticAttributes>, kSyntheticAttributes> both{};
  std::array<std::array<std::int64_t, kSyntheticAttributes>, kSyntheticActions> by_action{};
};

Counts count(const SyntheticOptions& options) {
  Counts counts;
  for (std::int64_t i = 0; i < options.clips; ++i) {
    const SyntheticLabel label = synthetic_label(options, i);
    for (int a = 0; a < kSyntheticAttributes; ++a) {
      counts.one[a] += label.attributes[a];
      counts.by_action[label.action][a] += label.attributes[a];
      for (int b = 0; b < kSyntheticAttributes; ++b)
        counts.both[a][b] += label.attributes[a] && label.attributes[b];
    }
  }
  return counts;
}

double share(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

TEST_CASE(
    "synthetic labels: attributes have their prevalence and are independent of actions and of each other") {
  for (const double p : {0.5, 0.2, 0.0, 1.0}) {
    const Counts counts = count(options_with(0, p));
    for (int a = 0; a < kSyntheticAttributes; ++a) {
      CHECK(!(std::abs(share(counts.one[a], kClips) - p) > five_sigma(p, kClips)));
      for (int c = 0; c < kSyntheticActions; ++c) {
        const std::int64_t n = kClips / kSyntheticActions;
        CHECK(!(std::abs(share(counts.by_action[c][a], n) - p) > five_sigma(p, n)));
      }
      for (int b = 0; b < a; ++b)
        CHECK(!(std::abs(share(counts.both[a][b], kClips) - p * p) > five_sigma(p * p, kClips)));
    }
  }
}

TEST_CASE("synthetic labels: the planted correlation is the documented table, and the draws follow it") {
  for (const double correlation : {0.0, 0.6, 1.0})
    for (const double p : {0.5, 0.3}) {
      const SyntheticOptions options = options_with(correlation, p);
      const AttributeTable table = synthetic_attribute_table(options);
      const Counts counts = count(options);
      for (int a = 0; a < kSyntheticAttributes; ++a) {
        double mean = 0;
        int whole = 0;
        for (int c = 0; c < kSyntheticActions; ++c) {
          const double given = table[c][a];
          const double planted = correlation > 0 ? (given - (1 - correlation) * p) / correlation : p;
          whole += std::abs(planted * (1 - planted)) < 1e-12;
          mean += given / kSyntheticActions;
          const std::int64_t n = kClips / kSyntheticActions;
          CHECK(!(std::abs(share(counts.by_action[c][a], n) - given) > five_sigma(given, n) + 1e-12));
        }
        CHECK(mean == doctest::Approx(p).epsilon(1e-12));
        // All actions but at most one (8 x 0.3 = 2.4 leaves 0.4 over) are planted with or without the
        // attribute.
        if (correlation > 0) CHECK(whole == (p == 0.5 ? 8 : 7));
      }
    }
}

TEST_CASE(
    "synthetic labels: at prevalence one half no attribute tells another, however strong the correlation") {
  const Counts counts = count(options_with(1, 0.5));
  for (int a = 0; a < kSyntheticAttributes; ++a)
    for (int b = 0; b < a; ++b) CHECK(counts.both[a][b] == kClips / 4);  // decided by the action: exact
}

TEST_CASE("synthetic labels: every split tests one clip in five of each action, no clip in two splits") {
  SyntheticOptions options;
  options.clips = 400;
  for (const int every : {3, 5, 10}) {
    options.test_every = every;
    std::array<std::array<int, kSyntheticActions>, kSyntheticSplits> tests{};
    const std::int64_t clips = 400 / (8 * every) * (8 * every);  // whole runs
    for (std::int64_t i = 0; i < clips; ++i) {
      const SyntheticLabel label = synthetic_label(options, i);
      int tested = 0;
      for (int s = 0; s < kSyntheticSplits; ++s) {
        CHECK(label.splits[s] != Part::unused);
        tested += label.splits[s] == Part::test;
        tests[s][label.action] += label.splits[s] == Part::test;
      }
      CHECK(tested <= 1);
    }
    for (const auto& split : tests)
      for (const int n : split) CHECK(n == clips / (8 * every));
  }
}

TEST_CASE("synthetic labels: a label depends on seed and index, not on how many clips there are") {
  SyntheticOptions few, many, other;
  few.clips = 40;
  other.clips = 40;
  other.seed = 1;
  int differ = 0;
  for (std::int64_t i = 0; i < few.clips; ++i) {
    const SyntheticLabel a = synthetic_label(few, i), b = synthetic_label(many, i);
    CHECK(a.name == b.name);
    CHECK(a.attributes == b.attributes);
    CHECK(a.splits == b.splits);
    CHECK(a.action == i % kSyntheticActions);
    differ += a.attributes != synthetic_label(other, i).attributes;
  }
  CHECK(differ > 30);  // five coins agree once in 32
  CHECK(synthetic_label(many, 7).name == "squat_000007.mp4");
}

std::string refusal(const std::function<void(SyntheticOptions&)>& spoil) {
  SyntheticOptions options;
  spoil(options);
  try {
    check_synthetic_options(options);
  } catch (const Error& error) {
    CHECK(error.exit_code() == 2);
    return error.what();
  }
  return "";
}

TEST_CASE("synthetic labels: bad options are refused by name, with their value and what is allowed") {
  using O = SyntheticOptions;
  CHECK(refusal([](O&) {}).empty());
  CHECK(refusal([](O& o) { o.clips = 39; }) == "synthesize: clips = 39, wanted 40 to 1000000");
  CHECK(refusal([](O& o) { o.clips = -1; }) == "synthesize: clips = -1, wanted 40 to 1000000");
  CHECK(refusal([](O& o) { o.clips = 1'000'001; }) == "synthesize: clips = 1000001, wanted 40 to 1000000");
  CHECK(refusal([](O& o) { o.width = 30; }) == "synthesize: width = 30, wanted 32 to 1024");
  CHECK(refusal([](O& o) { o.height = 1026; }) == "synthesize: height = 1026, wanted 32 to 1024");
  CHECK(refusal([](O& o) { o.width = 65; }) == "synthesize: width x height = 65 x 64, wanted even numbers");
  CHECK(refusal([](O& o) { o.frames = 0; }) == "synthesize: frames = 0, wanted 1 to 4096");
  CHECK(refusal([](O& o) { o.frame_rate = 0; }) == "synthesize: frame_rate = 0, wanted 4 to 240");
  CHECK(refusal([](O& o) { o.difficulty = 1.5; }) == "synthesize: difficulty = 1.5, wanted 0 to 1");
  CHECK(refusal([](O& o) { o.difficulty = std::nan(""); }) == "synthesize: difficulty = nan, wanted 0 to 1");
  CHECK(refusal([](O& o) { o.prevalence[3] = -0.1; }) ==
        "synthesize: prevalence of nudity = -0.1, wanted 0 to 1");
  CHECK(refusal([](O& o) { o.correlation = 2; }) == "synthesize: correlation = 2, wanted 0 to 1");
  CHECK(refusal([](O& o) { o.test_every = 2; }) == "synthesize: test_every = 2, wanted 3 to 1000");
  CHECK(refusal([](O& o) { o.quality = 52; }) == "synthesize: quality = 52, wanted 0 to 51");
}

TEST_CASE("synthetic labels: a clip beyond the last is refused") {
  CHECK_THROWS_AS(synthetic_label({}, 8000), Error);
  CHECK_THROWS_AS(synthetic_label({}, -1), Error);
}

}  // namespace
}  // namespace stp

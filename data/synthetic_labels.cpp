// Who is what in VP-Synth: options, labels, splits and the planted correlation. No pixel is needed for that.
#include <algorithm>
#include <bit>

#include "data/synthetic.h"
#include "data/synthetic_motion.h"
#include "engine/check.h"
#include "engine/rng.h"

namespace stp {
namespace {

// Bit a of row c: planted value of attribute a in action c. Columns are balanced (four ones each) and
// orthogonal: any two agree in four actions and differ in four, so that correlated attributes tell nothing
// about each other on the whole. Each is the parity of action & mask.
constexpr std::array<unsigned, kSyntheticAttributes> kParityMask{0b001, 0b010, 0b100, 0b011, 0b110};

bool first_half(int action, int attribute) {
  return std::popcount(static_cast<unsigned>(action) & kParityMask[attribute]) % 2 == 1;
}

// The planted column: ones for `mass` actions, taken from the first half and then from the second; what is left
// of mass after whole ones goes to the next action.
std::array<double, kSyntheticActions> planted(int attribute, double prevalence) {
  std::array<double, kSyntheticActions> column{};
  double mass = prevalence * kSyntheticActions;
  for (const bool half : {true, false})
    for (int action = 0; action < kSyntheticActions; ++action) {
      if (first_half(action, attribute) != half) continue;
      column[action] = std::clamp(mass, 0.0, 1.0);
      mass -= column[action];
    }
  return column;
}

// Within each run of test_every clips of one action, three neighbouring places (cyclically, from a random one)
// are the test clips of the three splits.
std::array<Part, kSyntheticSplits> split_parts(const SyntheticOptions& options, std::int64_t index) {
  const auto every = static_cast<std::uint64_t>(options.test_every);
  const auto action = static_cast<std::uint64_t>(index % kSyntheticActions);
  const auto within = static_cast<std::uint64_t>(index / kSyntheticActions);  // the how-manyth of its action
  const std::uint64_t first =
      Random(options.seed, stream_id("synthetic/split", {action, within / every})).below(every);
  std::array<Part, kSyntheticSplits> parts{};
  for (int split = 0; split < kSyntheticSplits; ++split)
    parts[split] = (first + split) % every == within % every ? Part::test : Part::train;
  return parts;
}

template <class T>
void check_range(const char* name, T value, T low, T high) {
  check(value >= low && value <= high, "synthesize: {} = {}, wanted {} to {}", name, value, low, high);
}

}  // namespace

void check_synthetic_options(const SyntheticOptions& o) {
  check_range<int>("test_every", o.test_every, 3, 1000);
  check_range<std::int64_t>("clips", o.clips, kSyntheticActions * o.test_every, 1'000'000);
  check_range("width", o.width, 32, 1024);
  check_range("height", o.height, 32, 1024);
  check(o.width % 2 == 0 && o.height % 2 == 0, "synthesize: width x height = {} x {}, wanted even numbers",
        o.width, o.height);
  check_range("frames", o.frames, 1, 4096);
  check_range("frame_rate", o.frame_rate, 4, 240);
  check_range("difficulty", o.difficulty, 0.0, 1.0);
  for (int a = 0; a < kSyntheticAttributes; ++a)
    check_range(fmt::format("prevalence of {}", kSyntheticAttributeNames[a]).c_str(), o.prevalence[a], 0.0,
                1.0);
  check_range("correlation", o.correlation, 0.0, 1.0);
  check_range("quality", o.quality, 0, 51);
}

const char* synthetic_action_name(int action) { return synthetic::kActions.at(action).name; }

AttributeTable synthetic_attribute_table(const SyntheticOptions& options) {
  AttributeTable table;
  for (int a = 0; a < kSyntheticAttributes; ++a) {
    const auto column = planted(a, options.prevalence[a]);
    for (int c = 0; c < kSyntheticActions; ++c)
      table[c][a] = (1 - options.correlation) * options.prevalence[a] + options.correlation * column[c];
  }
  return table;
}

SyntheticLabel synthetic_label(const SyntheticOptions& options, std::int64_t index) {
  check(index >= 0 && index < options.clips, "synthesize: clip {} of {}", index, options.clips);
  SyntheticLabel label;
  label.index = index;
  label.action = static_cast<int>(index % kSyntheticActions);
  const AttributeTable table = synthetic_attribute_table(options);
  Random random(options.seed, stream_id("synthetic/attributes", {static_cast<std::uint64_t>(index)}));
  for (int a = 0; a < kSyntheticAttributes; ++a) label.attributes[a] = random.chance(table[label.action][a]);
  label.splits = split_parts(options, index);
  label.name = fmt::format("{}_{:06}.mp4", synthetic_action_name(label.action), index);
  return label;
}

}  // namespace stp

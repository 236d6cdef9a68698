#include "tools/experiment/label_floor.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "data/dataset.h"
#include "data/labels.h"
#include "engine/check.h"
#include "engine/file.h"
#include "engine/text.h"

namespace stp {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

void append(LabelTable& table, const Listed& clip, const std::vector<float>& attributes) {
  table.actions.push_back(clip.label);
  table.shown.insert(table.shown.end(), clip.actions.begin(), clip.actions.end());
  for (const float a : attributes) table.positive.push_back(a > 0.5f ? 1 : 0);
}

// The attributes of each clip: by a table of labels, or, without one, as the lists have them.
std::vector<std::vector<float>> attributes_by(const std::filesystem::path& labels, const Listing& listing,
                                              std::vector<std::string>& names) {
  if (!labels.empty()) {
    const Labels table(labels);
    names = table.attributes();
    return attributes_of(listing, table);
  }
  check(!listing.attributes.empty(), "{}: the lists hold no labels; name a CSV of them", listing.source);
  names = listing.attributes;
  std::vector<std::vector<float>> attributes;
  for (const Listed& clip : listing.clips)
    attributes.emplace_back(clip.attributes.begin(), clip.attributes.end());
  return attributes;
}

std::string number(double value, int width, int digits) {
  return std::isnan(value) ? fmt::format("{:>{}}", "-", width)
                           : fmt::format("{:>{}.{}f}", value, width, digits);
}

std::string row(const std::string& name, double cmap, double f1, double f1_logits,
                const std::vector<double>& precisions) {
  std::string text =
      fmt::format("{:<32}{}{}{}", name, number(cmap, 9, 2), number(f1, 8, 3), number(f1_logits, 10, 3));
  for (const double p : precisions) text += number(100 * p, 14, 1);
  return text + "\n";
}

std::vector<double> shares(const LabelTable& table) {
  std::vector<double> share(table.attributes, 0.0);
  for (std::size_t i = 0; i < table.positive.size(); ++i) share[i % table.attributes] += table.positive[i];
  for (double& s : share) s /= static_cast<double>(table.actions.size());
  return share;
}

}  // namespace

SplitLabels read_split_labels(Layout layout, const std::filesystem::path& splits, int split,
                              const std::filesystem::path& labels) {
  const Listing listing = read_listing(layout, splits, split);
  SplitLabels out = {listing.classes, {}, {}, {}};
  const std::vector<std::vector<float>> attributes = attributes_by(labels, listing, out.attributes);
  for (LabelTable* part : {&out.train, &out.test}) {
    part->classes = listing.classes.size();
    part->attributes = out.attributes.size();
  }
  for (std::size_t i = 0; i < listing.clips.size(); ++i) {
    const Listed& clip = listing.clips[i];
    if (clip.part == Part::unused) continue;
    check(!attributes[i].empty(), "{}: no labels for '{}' ({}); add its line", shown(labels),
          printable(clip.path), clip.where);
    append(clip.part == Part::train ? out.train : out.test, clip, attributes[i]);
  }
  check(!out.train.actions.empty() && !out.test.actions.empty(),
        "{}: split {} lists {} training and {} test clips; both are needed", shown(splits), split,
        out.train.actions.size(), out.test.actions.size());
  return out;
}

std::string floor_table(const SplitLabels& labels, const std::vector<double>& accuracies) {
  const ChancePoints chance = chance_points(labels.train, labels.test);
  std::string text = fmt::format("{} classes, {} training and {} test clips\n", labels.classes.size(),
                                 labels.train.actions.size(), labels.test.actions.size());
  text += fmt::format("{:<32}{:>9}{:>8}{:>10}", "", "cMAP %", "F1", "F1 logits");
  for (const std::string& name : labels.attributes)
    text += fmt::format("{:>14}", printable(name).substr(0, 13));
  text += "\n";
  text += row("positive training clips, %", kNone, kNone, kNone, shares(labels.train));
  text +=
      row("chance: constant, all present", chance.cmap, chance.f1_ones, chance.f1_ones, shares(labels.test));
  text += row("chance: training share", chance.cmap, chance.f1_majority, chance.f1_logits, {});
  for (const double accuracy : accuracies) {
    const FloorPoint floor = action_posterior_floor(labels.train, labels.test, accuracy);
    text += row(fmt::format("action known to {:.2f} %", 100 * accuracy), floor.cmap, floor.f1, floor.f1_logits,
                floor.precisions);
  }
  return text;
}

}  // namespace stp

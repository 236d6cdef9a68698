// What label files alone say: no video is needed to know chance and what an action reveals.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/listing.h"
#include "tools/experiment/metrics.h"

namespace stp {

struct SplitLabels {
  std::vector<std::string> classes, attributes;
  LabelTable train, test;
};

// The labels of every clip the split lists, on disk or not; `labels` is empty where the lists hold them. Throws
// Error (usage) for a clip without labels, and for a split without training or test clips.
SplitLabels read_split_labels(Layout layout, const std::filesystem::path& splits, int split,
                              const std::filesystem::path& labels);

// Chance, and the action-posterior floor at each of the accuracies (0 to 1), as a table for people: cMAP, F1 by
// p > 0.5 and by logit > 0.5, and the AP of each attribute.
std::string floor_table(const SplitLabels& labels, const std::vector<double>& accuracies);

}  // namespace stp

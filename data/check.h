// The check of a data set before hours are spent on it: every item is decoded to its end, and each gets its
// verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace stp {

struct CheckOptions {
  int T = 16, rate = 2;  // of the clips to be made: shorter videos are reported, not refused
  int threads = 2;
};

struct Verdict {
  bool ok = false;           // the whole item decodes: it can be trained on, even if damaged or too short
  std::string cause;         // the Error's message if it does not; the decoder's last words if it is damaged
  std::int64_t frames = 0;   // that decode
  std::int64_t damaged = 0;  // frames the decoder marked as damaged or could not decode
  int width = 0, height = 0;
  bool too_short = false;  // fewer frames than a clip spans: it will be padded
};

struct CheckReport {
  std::vector<Verdict> items;                        // in the order of the items, whatever the threads did
  std::int64_t bad = 0, damaged = 0, too_short = 0;  // items
  std::int64_t frames = 0;                           // of all items
};

// Called after each item with (items done, items in all), from one thread at a time.
using CheckProgress = std::function<void(std::int64_t, std::int64_t)>;

// Throws nothing for a bad item: that is its verdict.
CheckReport check_items(std::span<const Item> items, const CheckOptions& options,
                        const CheckProgress& progress = {});

}  // namespace stp

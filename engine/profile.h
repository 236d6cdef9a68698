// What steps spend their time on: a table for people, and a trace that chrome://tracing and ui.perfetto.dev
// open.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/memory.h"

namespace stp {

struct StepProfile {
  struct Step {
    std::int64_t number = 0;
    double start = 0, seconds = 0;  // by the clock on the wall
  };
  std::string label;  // of the stage
  std::vector<Step> steps;
  std::vector<ProfileEvent> events;  // of all of them

  double seconds() const;
};

// Does one step and adds it to the profile.
void profile_step(StepProfile& profile, const Backend& backend, std::int64_t number,
                  const std::function<void()>& step);

// What a device does at most, in bytes and flops a second; nothing is known of it by default.
struct Peak {
  double bytes = 0, flops = 0;
};
// The least time that something of this cost takes there.
inline double floor_seconds(const Peak& peak, const Cost& cost) {
  const double copies = cost.bytes / peak.bytes, sums = cost.flops / peak.flops;
  return copies > sums ? copies : sums;
}

// One line of the table: everything of one name, in all steps.
struct ProfileRow {
  std::string_view name;
  std::int64_t calls = 0;
  double seconds = 0;
  Cost cost;
  bool kernel = true;
};
std::vector<ProfileRow> profile_rows(const StepProfile& profile);  // the longest first

// Calls and milliseconds of a step, its share, rates by the formulas of the contracts, and, where the peak is
// known, how much of it that is. Ends with what no row explains.
std::string profile_table(const StepProfile& profile, const Peak& peak = {});

// Chrome's trace event format: a track for each profile, a bar for each step, below it one for each call, with
// its flops and bytes.
std::string profile_trace(const std::vector<StepProfile>& profiles);

}  // namespace stp

#include "engine/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/progress.h"

namespace stp {

namespace {

std::string rate(double amount, double seconds) {
  return amount > 0 && seconds > 0 ? fmt::format("{:.1f}", amount / seconds / 1e9) : "";
}

std::string share(double part, double whole) {
  return part > 0 && whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "";
}

std::string of_peak(const Peak& peak, const Cost& cost, double seconds) {
  return peak.bytes > 0 && peak.flops > 0 ? share(floor_seconds(peak, cost), seconds) : "";
}

std::string table_line(std::string_view name, std::string_view calls, double milliseconds,
                       std::string_view share_of_step, std::string_view flops, std::string_view bytes,
                       std::string_view peak) {
  return fmt::format("| {:<29} | {:>6} | {:>9.2f} | {:>7} | {:>7} | {:>6} | {:>7} |\n", name, calls,
                     milliseconds, share_of_step, flops, bytes, peak);
}

nlohmann::ordered_json named(std::string_view what, int track, std::string_view name) {
  return {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", track}, {"args", {{"name", name}}}};
}

// A bar; times in microseconds after `origin`.
nlohmann::ordered_json bar(std::string_view name, std::string_view category, int track, double start,
                           double seconds, double origin) {
  return {{"name", name},        {"cat", category},
          {"ph", "X"},           {"pid", 1},
          {"tid", track},        {"ts", (start - origin) * 1e6},
          {"dur", seconds * 1e6}};
}

}  // namespace

double StepProfile::seconds() const {
  double sum = 0;
  for (const Step& step : steps) sum += step.seconds;
  return sum;
}

void profile_step(StepProfile& profile, const Backend& backend, std::int64_t number,
                  const std::function<void()>& step) {
  backend.profile(true);
  const double start = steady_seconds();
  step();
  backend.kernels().memory.wait();
  profile.steps.push_back({number, start, steady_seconds() - start});
  backend.profile(false);
  const std::vector<ProfileEvent> events = backend.profile_events();
  profile.events.insert(profile.events.end(), events.begin(), events.end());
}

std::vector<ProfileRow> profile_rows(const StepProfile& profile) {
  std::vector<ProfileRow> rows;
  for (const ProfileEvent& event : profile.events) {
    auto row = std::ranges::find(rows, event.name, &ProfileRow::name);
    if (row == rows.end()) row = rows.insert(row, {.name = event.name, .cost = {}, .kernel = event.kernel});
    ++row->calls;
    row->seconds += event.seconds;
    row->cost += event.cost;
  }
  std::ranges::stable_sort(rows, std::greater<>(), &ProfileRow::seconds);
  return rows;
}

std::string profile_table(const StepProfile& profile, const Peak& peak) {
  if (profile.steps.empty()) return fmt::format("{}: no step\n", profile.label);
  const auto steps = static_cast<double>(profile.steps.size());
  const double whole = profile.seconds();
  std::string text =
      fmt::format("{}: {} steps of {:.2f} ms\n\n", profile.label, profile.steps.size(), 1e3 * whole / steps);
  text += fmt::format("| {:<29} | {:>6} | {:>9} | {:>7} | {:>7} | {:>6} | {:>7} |\n", "kernel", "calls", "ms",
                      "of step", "GFLOP/s", "GB/s", "of peak");
  text += "|---|---|---|---|---|---|---|\n";
  ProfileRow kernels = {.name = "all kernels", .cost = {}};
  double others = 0;
  for (const ProfileRow& row : profile_rows(profile)) {
    text += table_line(row.name, fmt::format("{:.5g}", static_cast<double>(row.calls) / steps),
                       1e3 * row.seconds / steps, share(row.seconds, whole), rate(row.cost.flops, row.seconds),
                       rate(row.cost.bytes, row.seconds), of_peak(peak, row.cost, row.seconds));
    if (!row.kernel) {
      others += row.seconds;
      continue;
    }
    kernels.calls += row.calls;
    kernels.seconds += row.seconds;
    kernels.cost += row.cost;
  }
  text += table_line(kernels.name, fmt::format("{:.5g}", static_cast<double>(kernels.calls) / steps),
                     1e3 * kernels.seconds / steps, share(kernels.seconds, whole),
                     rate(kernels.cost.flops, kernels.seconds), rate(kernels.cost.bytes, kernels.seconds), "");
  const double rest = whole - kernels.seconds - others;
  text += table_line("outside all of these", "", 1e3 * rest / steps, share(rest, whole), "", "", "");
  const std::string of_flops = peak.flops > 0 ? share(kernels.cost.flops / peak.flops, whole) : "";
  return text + table_line("whole step", "", 1e3 * whole / steps, share(whole, whole),
                           rate(kernels.cost.flops, whole), rate(kernels.cost.bytes, whole), of_flops);
}

std::string profile_trace(const std::vector<StepProfile>& profiles) {
  auto events = nlohmann::ordered_json::array();
  events.push_back(named("process_name", 0, "stprivacy"));
  double origin = 0;
  int track = 0;
  for (const StepProfile& profile : profiles) {
    if (profile.steps.empty()) continue;
    if (++track == 1) origin = profile.steps.front().start;
    events.push_back(named("thread_name", track, profile.label));
    for (const StepProfile::Step& step : profile.steps)
      events.push_back(
          bar(fmt::format("step {}", step.number), "step", track, step.start, step.seconds, origin));
    for (const ProfileEvent& event : profile.events) {
      auto call = bar(event.name, event.kernel ? "kernel" : "work", track, event.start, event.seconds, origin);
      if (event.kernel) call["args"] = {{"flops", event.cost.flops}, {"bytes", event.cost.bytes}};
      events.push_back(call);
    }
  }
  return nlohmann::ordered_json({{"displayTimeUnit", "ms"}, {"traceEvents", events}}).dump(1) + "\n";
}

}  // namespace stp

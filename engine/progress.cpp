#include "engine/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

namespace stp {
namespace {

constexpr double kTerminalSeconds = 0.1, kPlainSeconds = 10.0, kWindowSeconds = 30.0;

std::string bar(double fraction) {
  constexpr int kWidth = 20;
  const int full = static_cast<int>(fraction * kWidth);
  return fmt::format("[{:#<{}}{:.<{}}] ", "", full, "", kWidth - full);
}

}  // namespace

std::string duration_text(double seconds) {
  constexpr double kYear = 365.0 * 24 * 3600;
  if (!(seconds >= 0 && seconds < kYear)) return "?";
  const auto whole = static_cast<std::int64_t>(seconds);
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest)
                   : fmt::format("{}:{:02}", minutes, rest);
}

std::string rate_text(double per_second, std::string_view unit) {
  if (!(per_second > 0) || std::isinf(per_second)) return fmt::format("? {}s/s", unit);
  if (per_second < 1) return fmt::format("{:.1f} s/{}", 1 / per_second, unit);
  return fmt::format("{:.1f} {}s/s", per_second, unit);
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(Console& console, std::string label, std::int64_t total, std::string unit, std::int64_t done,
                   Clock clock)
    : console_(console),
      label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      clock_(std::move(clock)),
      first_{clock_(), done},
      now_(first_),
      samples_{first_},
      drawn_(first_.time) {}

Progress::~Progress() { console_.live(""); }

void Progress::advance(std::int64_t done, std::string_view extra) {
  now_ = {clock_(), done};
  const bool interactive = console_.interactive();
  if (now_.time - drawn_ < (interactive ? kTerminalSeconds : kPlainSeconds)) return;
  drawn_ = now_.time;
  samples_.push_back(now_);
  while (samples_.size() > 2 && samples_[1].time < now_.time - kWindowSeconds) samples_.pop_front();
  if (interactive)
    console_.live(line(extra));
  else
    console_.note(line(extra));
}

void Progress::finish(std::string_view extra) {
  now_.time = clock_();
  console_.live("");
  const double seconds = now_.time - first_.time;
  const double whole_rate = static_cast<double>(now_.done - first_.done) / seconds;
  console_.note(fmt::format("{}: {} {}s in {}, {}{}{}", label_, now_.done, unit_, duration_text(seconds),
                            rate_text(whole_rate, unit_), extra.empty() ? "" : ", ", extra));
}

double Progress::rate() const {
  const Sample& oldest = samples_.front();
  return static_cast<double>(now_.done - oldest.done) / (now_.time - oldest.time);
}

std::string Progress::line(std::string_view extra) const {
  std::string text = label_ + " ";
  if (total_ > 0) {
    const double fraction = std::clamp(static_cast<double>(now_.done) / static_cast<double>(total_), 0.0, 1.0);
    if (console_.interactive()) text += bar(fraction);
    const double left = static_cast<double>(std::max<std::int64_t>(total_ - now_.done, 0)) / rate();
    text += fmt::format("{}/{} {:.0f}% {}, {} left", now_.done, total_, 100 * fraction,
                        rate_text(rate(), unit_), duration_text(left));
  } else {
    text += fmt::format("{} {}s, {}", now_.done, unit_, rate_text(rate(), unit_));
  }
  return extra.empty() ? text : fmt::format("{}, {}", text, extra);
}

}  // namespace stp

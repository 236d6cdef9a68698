#include "data/video_clock.h"

#include <algorithm>

namespace stp {
namespace {

// Beyond this a time cannot be meant; sums of a few of them stay within 64 bits.
constexpr std::int64_t kFar = std::int64_t{1} << 60;

std::int64_t units(double value) { return static_cast<std::int64_t>(std::clamp(value, 1.0, 1e15)); }

}  // namespace

VideoClock::VideoClock(Rational time_base, Rational frame_rate)
    : step_(frame_rate.num > 0 ? units(1.0 / (time_base.value() * frame_rate.value()) + 0.5) : 1),
      second_(units(1.0 / time_base.value())) {}

std::optional<std::int64_t> VideoClock::next(std::optional<std::int64_t> said) {
  const bool missing = !said || *said > kFar || *said < -kFar;
  const std::int64_t step_on = first_ ? 0 : last_ + step_;
  std::int64_t time = missing ? step_on : *said + shift_;
  const bool backward = first_ ? time < 0 : time <= last_;
  if (backward && (first_ || last_ - time >= second_)) {
    shift_ += step_on - time;
    time = step_on;
  } else if (backward) {
    time = last_ + 1;
  }
  if (missing || backward) ++repaired_;
  if (time > 2 * kFar) return std::nullopt;
  first_ = false;
  return last_ = time;
}

}  // namespace stp

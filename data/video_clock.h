// Strictly increasing times from whatever a video file says; the rules are VideoReader's (video.h). Pure: the
// same words give the same times.
#pragma once

#include <cstdint>
#include <optional>

#include "data/video.h"

namespace stp {

class VideoClock {
 public:
  // time_base: seconds per unit; frame_rate: nominal, 0/1 if there is none, then a frame takes one unit.
  VideoClock(Rational time_base, Rational frame_rate);

  // The time of the next frame, of which the file says `said`. Nothing if times have run out of range.
  std::optional<std::int64_t> next(std::optional<std::int64_t> said);
  std::int64_t repaired() const { return repaired_; }

 private:
  std::int64_t step_, second_;  // one nominal frame, one second
  std::int64_t last_ = 0, shift_ = 0, repaired_ = 0;
  bool first_ = true;
};

}  // namespace stp

// How far long work has come: a bar with rate and time left on a terminal, a plain line now and then elsewhere.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "engine/console.h"

namespace stp {

// "0:42", "12:07", "3:00:01"; "?" if it is not finite or longer than a year.
std::string duration_text(double seconds);

// "12.3 steps/s", or "4.2 s/step" below one a second; `unit` in the singular.
std::string rate_text(double per_second, std::string_view unit);

// Seconds from any origin, never going back.
double steady_seconds();

class Progress {
 public:
  using Clock = std::function<double()>;

  // `total` units of work, 0 if unknown, of which `done` are done already (a resumed run).
  Progress(Console& console, std::string label, std::int64_t total, std::string unit, std::int64_t done = 0,
           Clock clock = steady_seconds);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // So many units are done; `extra` follows on the line ("loss 1.234"). Cheap: draws at most ten times a second
  // on a terminal, and every ten seconds elsewhere.
  void advance(std::int64_t done, std::string_view extra = {});
  // The work is over: leaves a last line with the whole time and rate.
  void finish(std::string_view extra = {});

 private:
  struct Sample {
    double time;
    std::int64_t done;
  };

  double rate() const;  // units a second, over the last samples
  std::string line(std::string_view extra) const;

  Console& console_;
  std::string label_, unit_;
  std::int64_t total_;
  Clock clock_;
  Sample first_, now_;
  std::deque<Sample> samples_;  // of the last half minute, oldest first
  double drawn_;
};

}  // namespace stp

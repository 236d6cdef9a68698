// Medians of the wall clock, and what a device can do at most, measured the same way.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "engine/profile.h"
#include "engine/progress.h"

namespace stp::bench {

inline double now() { return steady_seconds(); }

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The median of what `run` says it took, in seconds: of so many runs at least after a first one, and of as many
// as fit the given time.
inline double median_of_runs(const std::function<double()>& run, double seconds, std::size_t least = 5) {
  run();
  std::vector<double> times;
  const double start = now();
  while (times.size() < least || now() - start < seconds) times.push_back(run());
  return median(std::move(times));
}

// The same of any work. It ends when the device has done what it was given.
inline double median_seconds(const Backend& backend, const std::function<void()>& work, double seconds,
                             std::size_t least = 5) {
  const auto timed = [&] {
    const double start = now();
    work();
    backend.kernels().memory.wait();
    return now() - start;
  };
  return median_of_runs(timed, seconds, least);
}

// A device that only emulates another has no speed. Throws Error (usage) for it.
inline void refuse_emulation(Device device) {
  check(device != Device::simt, "bench: the device simt emulates CUDA and has no speed; use cpu or cuda");
}

// Copying 2 x 256 MiB.
double copy_bandwidth(const Backend& backend);
// The fastest of some matrix products in the given storage: the model's own shapes among them.
double matrix_rate(const Backend& backend, Element storage);
inline Peak measured_peak(const Backend& backend, Element storage) {
  return {copy_bandwidth(backend), matrix_rate(backend, storage)};
}

}  // namespace stp::bench

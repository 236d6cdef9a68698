// Medians of the wall clock, and what a device can do at most, measured the same way.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "engine/memory.h"

namespace stp::bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The median of at least five runs after a first one, and of as many as fit the given time. A run ends when the
// device has done what it was given.
inline double median_seconds(const Backend& backend, const std::function<void()>& run, double seconds) {
  const auto wait = backend.kernels().memory.wait;
  run();
  wait();
  std::vector<double> times;
  const double start = now();
  while (times.size() < 5 || now() - start < seconds) {
    const double before = now();
    run();
    wait();
    times.push_back(now() - before);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

// A device that only emulates another has no speed. Throws Error (usage) for it.
inline void refuse_emulation(Device device) {
  check(device != Device::simt, "bench: the device simt emulates CUDA and has no speed; use cpu or cuda");
}

struct Peak {
  double bytes = 0, flops = 0;  // a second
};
// Copying 2 x 256 MiB, and a product of 4096 x 4096 matrices in the given storage.
Peak measured_peak(const Backend& backend, Element storage);

}  // namespace stp::bench

// The one place where CPU kernels meet threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stp::cpu {

// Calls body(i) for i = 0 .. count - 1 on all threads, each taking one contiguous share. No body may depend on
// another; then the result does not depend on the number of threads.
template <class Body>
void parallel_for(std::int64_t count, const Body& body) {
#pragma omp parallel for schedule(static) if (count > 1)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

// Splits 0 .. count - 1 into ranges of `grain` and calls body(begin, end) for each: for loops whose single
// iterations are too short to hand out one by one.
template <class Body>
void parallel_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t ranges = (count + grain - 1) / grain;
  parallel_for(ranges, [&](std::int64_t r) {
    const std::int64_t begin = r * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

// 64-byte aligned scratch of the calling thread, at least `floats` long, with unset content. It grows to the
// largest request and stays, so that a training step allocates nothing after the first. One user at a time: a
// second call on the same thread may return the same memory.
float* thread_scratch(std::size_t floats);

// Deals consecutive areas out of one piece of scratch.
class Areas {
 public:
  explicit Areas(float* memory) : next_(memory) {}
  float* take(std::size_t floats) {
    float* const area = next_;
    next_ += floats;
    return area;
  }
  std::int32_t* take_integers(std::size_t count) { return reinterpret_cast<std::int32_t*>(take(count)); }

 private:
  float* next_;
};

}  // namespace stp::cpu

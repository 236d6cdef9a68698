// Where blocks lie in the memory of a device: large segments, cut into blocks as they are asked for.
#pragma once

#include <cstddef>
#include <map>

#include "kernels/device.h"

namespace stp {

// First fit: a block gets the first free place that holds it, and free places side by side become one. So
// memory that held one size serves others later, and what a step touches stays together at the low places. Only
// the requests decide: a step that asks for what an earlier one asked for gets the same places, and takes
// nothing from the device.
class Pool {
 public:
  // How blocks lie: cut from segments, or each in memory of its own, so that a checker of the device knows
  // their bounds.
  enum class Blocks { cut, apart };
  struct Block {
    void* start;  // 64-byte aligned; cut: a multiple of 256 bytes from its segment's
    std::size_t place, bytes;
  };

  Pool(const DeviceMemory& memory, Blocks blocks);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // At least `bytes`; its start is null when the device has no more.
  Block allocate(std::size_t bytes);
  void release(const Block& block);
  std::size_t held() const { return held_; }  // bytes taken from the device

 private:
  struct Segment {
    char* start;
    std::size_t bytes;
  };
  using Free = std::map<std::size_t, std::size_t>;  // bytes by place

  Free::iterator first_fit(std::size_t bytes);
  bool grow(std::size_t bytes);
  bool take_segment(std::size_t bytes);
  void drop_free_segments();

  const DeviceMemory& memory_;
  Blocks blocks_;
  std::map<std::size_t, Segment> segments_;  // by place; between two of them is one place that is never free
  Free free_;
  std::size_t next_place_ = 0, held_ = 0;
};

}  // namespace stp

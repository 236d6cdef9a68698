// Counters of memory traffic: what a warp's accesses cost, sectors of 32 bytes in device memory and wavefronts
// of 32 banks in shared memory. Lanes' accesses are matched by (site, how many times it was passed); with loops
// of different lengths that is a guess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

namespace stp::simt {

struct LaunchShape {
  const void* code = nullptr;  // of the kernel
  std::int64_t blocks = 0;
  int threads = 0;               // of a block
  std::size_t shared_bytes = 0;  // of a block
};

struct Traffic {
  std::int64_t requests = 0;    // warp-wide accesses to device memory
  std::int64_t sectors = 0;     // that they touch
  std::int64_t bytes = 0;       // that they ask for
  std::int64_t wide_bytes = 0;  // of these, in accesses of 16 bytes
  std::int64_t footprint = 0;   // different sectors read, plus different sectors written
  std::int64_t block_sectors =
      0;  // different sectors, block by block: the traffic behind a perfect first cache
  std::int64_t shared_requests = 0, wavefronts = 0, ideal_wavefronts = 0;
  std::int64_t mma_flops = 0;
  LaunchShape shape;  // of the last launch

  Traffic& operator+=(const Traffic& other);
  // Bytes moved over bytes asked for: 1 if every byte of every sector is used.
  double sectors_per_byte() const {
    return bytes ? 32.0 * static_cast<double>(sectors) / static_cast<double>(bytes) : 0;
  }
};

struct TrafficAccess {
  std::uint64_t address;
  std::uint32_t site;
  std::uint8_t bytes;
  bool write, shared;
};

class TrafficMeter {
 public:
  void add(int thread, const TrafficAccess& access) {
    trace_[static_cast<std::size_t>(thread)].push_back(access);
  }
  void flush_warp(int warp, int threads);
  void end_block(std::size_t shared_bytes);
  void multiplied(std::int64_t flops) { total_->mma_flops += flops; }
  // What follows belongs to a launch of this kernel; footprints are counted launch by launch.
  void begin_launch(const std::string& kernel, const LaunchShape& shape);
  Traffic take();                                   // of everything since the last time
  std::map<std::string, Traffic> take_by_kernel();  // the same, kernel by kernel

 private:
  void count(const std::vector<const TrafficAccess*>& together);

  std::vector<TrafficAccess> trace_[1024];
  std::map<std::string, Traffic> totals_;
  Traffic* total_ = nullptr;  // of the kernel that runs
  std::unordered_set<std::uint64_t> seen_, seen_by_block_;
};

}  // namespace stp::simt

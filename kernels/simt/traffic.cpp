#include "kernels/simt/traffic.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace stp::simt {

namespace {

constexpr std::uint64_t kSector = 32, kBank = 4;
constexpr std::size_t kBanks = 32;

// The distinct units of `unit` bytes that accesses touch.
std::vector<std::uint64_t> units(const std::vector<const TrafficAccess*>& together, std::size_t begin,
                                 std::size_t end, std::uint64_t unit) {
  std::vector<std::uint64_t> found;
  for (std::size_t i = begin; i < end; ++i) {
    const TrafficAccess& a = *together[i];
    for (std::uint64_t u = a.address / unit; u <= (a.address + a.bytes - 1) / unit; ++u) found.push_back(u);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace

void TrafficMeter::count(const std::vector<const TrafficAccess*>& together) {
  const TrafficAccess& first = *together[0];
  if (!first.shared) {
    ++total_->requests;
    for (const TrafficAccess* a : together) {
      total_->bytes += a->bytes;
      if (a->bytes == 16) total_->wide_bytes += 16;
    }
    for (std::uint64_t sector : units(together, 0, together.size(), kSector)) {
      ++total_->sectors;
      const std::uint64_t key = sector * 2 + first.write;
      if (seen_.insert(key).second) ++total_->footprint;
      if (seen_by_block_.insert(key).second) ++total_->block_sectors;
    }
    return;
  }
  ++total_->shared_requests;
  // Wide accesses go a half or a quarter of the warp at a time.
  const std::size_t lanes = first.bytes == 16 ? 8 : first.bytes == 8 ? 16 : 32;
  for (std::size_t begin = 0; begin < together.size(); begin += lanes) {
    const auto words = units(together, begin, std::min(together.size(), begin + lanes), kBank);
    std::array<std::int64_t, kBanks> depth{};
    for (std::uint64_t word : words) ++depth[word % kBanks];
    total_->wavefronts += *std::max_element(depth.begin(), depth.end());
    total_->ideal_wavefronts += static_cast<std::int64_t>((words.size() + kBanks - 1) / kBanks);
  }
}

void TrafficMeter::flush_warp(int warp, int threads) {
  const auto begin = static_cast<std::size_t>(warp) * 32,
             end = static_cast<std::size_t>(std::min(threads, warp * 32 + 32));
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<const TrafficAccess*>> groups;
  for (std::size_t t = begin; t < end; ++t) {
    std::map<std::uint32_t, std::uint32_t> passed;
    for (const TrafficAccess& a : trace_[t]) groups[{a.site, passed[a.site]++}].push_back(&a);
  }
  for (const auto& [place, together] : groups) count(together);
  for (std::size_t t = begin; t < end; ++t) trace_[t].clear();
}

void TrafficMeter::end_block(std::size_t shared_bytes) {
  seen_by_block_.clear();
  total_->shape.shared_bytes = shared_bytes;
}

void TrafficMeter::begin_launch(const std::string& kernel, const LaunchShape& shape) {
  total_ = &totals_[kernel];
  total_->shape = shape;
  seen_.clear();
}

std::map<std::string, Traffic> TrafficMeter::take_by_kernel() {
  total_ = nullptr;
  return std::exchange(totals_, {});
}

Traffic TrafficMeter::take() {
  Traffic sum;
  for (const auto& [kernel, traffic] : take_by_kernel()) sum += traffic;
  return sum;
}

Traffic& Traffic::operator+=(const Traffic& other) {
  for (const auto field :
       {&Traffic::requests, &Traffic::sectors, &Traffic::bytes, &Traffic::wide_bytes, &Traffic::footprint,
        &Traffic::block_sectors, &Traffic::shared_requests, &Traffic::wavefronts, &Traffic::ideal_wavefronts})
    this->*field += other.*field;
  return *this;
}

}  // namespace stp::simt

#include "engine/pool.h"

#include <algorithm>
#include <iterator>

namespace stp {

namespace {

constexpr std::size_t kSegment = std::size_t{32} << 20;  // bytes, at least

std::size_t whole(std::size_t bytes, std::size_t grain) {
  return std::max<std::size_t>(1, (bytes + grain - 1) / grain) * grain;
}

// The bytes of a new segment. Few hold all small blocks. A large block has one to itself, with a sixteenth
// more: so that the gradients of one network lie where another's were, whose head has more outputs.
std::size_t roomy(std::size_t bytes, std::size_t held) {
  if (bytes < kSegment) return std::max(kSegment, whole(held / 4, kSegment));
  return whole(bytes + bytes / 16, kSegment / 16);
}

}  // namespace

Pool::Pool(const DeviceMemory& memory, Blocks blocks) : memory_(memory), blocks_(blocks) {}

Pool::~Pool() { drop_free_segments(); }

Pool::Block Pool::allocate(std::size_t bytes) {
  const std::size_t size = whole(bytes, blocks_ == Blocks::cut ? 256 : 64);
  auto found = first_fit(size);
  if (found == free_.end()) {
    if (!grow(size)) return {nullptr, 0, 0};
    found = first_fit(size);
  }
  auto node = free_.extract(found);
  const std::size_t place = node.key();
  if (node.mapped() > size) {  // the rest stays free
    node.key() += size;
    node.mapped() -= size;
    free_.insert(std::move(node));
  }
  const auto& [begin, segment] = *std::prev(segments_.upper_bound(place));
  return {segment.start + (place - begin), place, size};
}

void Pool::release(const Block& block) {
  auto here = free_.emplace(block.place, block.bytes).first;
  const auto join_next = [&](Free::iterator at) {
    const auto next = std::next(at);
    if (next == free_.end() || at->first + at->second != next->first) return;
    at->second += next->second;
    free_.erase(next);
  };
  join_next(here);
  if (here != free_.begin()) join_next(std::prev(here));
}

Pool::Free::iterator Pool::first_fit(std::size_t bytes) {
  return std::find_if(free_.begin(), free_.end(), [&](const auto& free) {
    return blocks_ == Blocks::cut ? free.second >= bytes : free.second == bytes;
  });
}

// Where the device has no roomy segment, one of what is needed does.
bool Pool::grow(std::size_t bytes) {
  if (blocks_ == Blocks::cut && take_segment(roomy(bytes, held_))) return true;
  if (take_segment(bytes)) return true;
  drop_free_segments();
  return take_segment(bytes);
}

bool Pool::take_segment(std::size_t bytes) {
  auto* const start = static_cast<char*>(memory_.allocate(bytes));
  if (!start) return false;
  segments_[next_place_] = {start, bytes};
  free_[next_place_] = bytes;
  next_place_ += bytes + 1;
  held_ += bytes;
  return true;
}

void Pool::drop_free_segments() {
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    const auto& [place, memory] = *segment;
    const auto free = free_.find(place);
    if (free == free_.end() || free->second != memory.bytes) {
      ++segment;
      continue;
    }
    memory_.release(memory.start);
    held_ -= memory.bytes;
    free_.erase(free);
    segment = segments_.erase(segment);
  }
}

}  // namespace stp

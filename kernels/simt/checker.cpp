// The checked build. Kernel files are compiled with -fsanitize=thread, which makes the compiler announce every
// load and store by a call; the callbacks (at the end) are ours and the sanitizer's own runtime is not linked.
// So every access arrives with its address, size and place, and the kernels' source need not change.
//
// This file itself is compiled without instrumentation. One block runs at a time.
#include "kernels/simt/checker.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "kernels/simt/shadow.h"
#include "kernels/simt/traffic.h"

// Where this program's image lies, as the linker knows it.
extern "C" const char __executable_start;  // NOLINT(bugprone-reserved-identifier): the linker's name
extern "C" const char _end;

namespace stp::simt {

namespace {

// The program's own constants, such as the names of its source files.
bool is_constant(const char* address) { return address >= &__executable_start && address < &_end; }

struct Allocation {
  std::size_t bytes;
  Shadows shadows;
};

class Memory {
 public:
  void launch_begins() {
    ++launch_;
    fresh_launch_ = true;
  }
  void block_begins();
  void block_synced();
  void warp_met(int warp, bool fence);
  void block_ends();
  void access(const void* address, std::size_t bytes, bool write, Site site, bool in_pieces = false);
  void copy_issued(void* to, Site site);
  void copy_delivered(void* to, Site site);
  void allocated(void* memory, std::size_t bytes);
  void released(void* memory) { allocations_.erase(static_cast<const char*>(memory)); }
  void filled(const void* memory, std::size_t bytes);
  Traffic take_traffic() { return traffic_.take(); }
  void multiplied(std::int64_t flops) { traffic_.multiplied(flops); }
  std::map<std::string, Traffic> take_traffic_by_kernel() { return traffic_.take_by_kernel(); }

 private:
  // The shadow of some bytes; empty if no kernel may touch all of them.
  struct Place {
    std::span<Shadow> shadows;
    bool shared = false;
    std::uint64_t offset = 0;  // within the shared memory, or the address
  };
  Place place_of(const BlockView& view, const char* address, std::size_t bytes);
  Allocation* holder(const char* address, std::size_t bytes, std::size_t* offset);
  Mark mark(const BlockView& view, bool shared, Site site) const;
  std::uint32_t number(Site site);
  void check(Shadow& shadow, const Mark& me, bool write, bool shared, Site site);
  std::span<Shadow> shared_shadows(const void* to) {
    const auto offset =
        static_cast<std::size_t>(static_cast<const char*>(to) - block_view().shared_memory.begin);
    return std::span(shared_).subspan(offset / Shadow::kBytes, 16 / Shadow::kBytes);
  }

  std::map<const char*, Allocation> allocations_;
  Shadows shared_;
  std::vector<Site> sites_ = {{}};
  std::map<std::pair<const void*, unsigned>, std::uint32_t> site_numbers_;
  TrafficMeter traffic_;
  bool fresh_launch_ = false;
  std::uint32_t launch_ = 0, block_ = 0, barriers_ = 0;
  std::uint16_t fences_[32] = {};
};

LaunchShape shape_of(const BlockView& view) {
  const std::int64_t blocks = static_cast<std::int64_t>(view.grid.x) * view.grid.y * view.grid.z;
  return {view.kernel.code, blocks, view.threads, 0};
}

void Memory::block_begins() {
  if (std::exchange(fresh_launch_, false))
    traffic_.begin_launch(block_view().kernel.name, shape_of(block_view()));
  ++block_;
  barriers_ = 0;
  std::fill(std::begin(fences_), std::end(fences_), std::uint16_t{0});
  shared_.resize(block_view().shared_memory.bytes / Shadow::kBytes);
}

void Memory::block_synced() { ++barriers_; }

void Memory::warp_met(int warp, bool fence) {
  if (fence) ++fences_[warp];
  traffic_.flush_warp(warp, block_view().threads);
}

void Memory::block_ends() {
  const int threads = block_view().threads;
  for (int warp = 0; warp * 32 < threads; ++warp) traffic_.flush_warp(warp, threads);
  const auto& shared = block_view().shared;
  std::size_t bytes = 0;
  for (const Range& array : shared) bytes += array.bytes;
  traffic_.end_block(bytes);
}

void Memory::allocated(void* memory, std::size_t bytes) {
  allocations_[static_cast<const char*>(memory)] = {bytes,
                                                    Shadows((bytes + Shadow::kBytes - 1) / Shadow::kBytes)};
}

Allocation* Memory::holder(const char* address, std::size_t bytes, std::size_t* offset) {
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return nullptr;
  auto& [start, allocation] = *--after;
  *offset = static_cast<std::size_t>(address - start);
  return *offset + bytes <= allocation.bytes ? &allocation : nullptr;
}

void Memory::filled(const void* memory, std::size_t bytes) {
  std::size_t offset = 0;
  Allocation* allocation = holder(static_cast<const char*>(memory), bytes, &offset);
  if (!allocation || bytes == 0) return;
  const std::size_t first = offset / Shadow::kBytes, last = (offset + bytes - 1) / Shadow::kBytes;
  for (std::size_t i = first; i <= last; ++i) allocation->shadows[i].written = true;
}

std::uint32_t Memory::number(Site site) {
  const auto [found, fresh] =
      site_numbers_.try_emplace({site.file ? static_cast<const void*>(site.file) : site.instruction, site.line},
                                static_cast<std::uint32_t>(sites_.size()));
  if (fresh) sites_.push_back(site);
  return found->second;
}

Mark Memory::mark(const BlockView& view, bool shared, Site) const {
  const int thread = view.fiber->linear;
  return {.era = shared ? block_ : launch_,
          .block = static_cast<std::uint32_t>(view.linear_block),
          .barriers = barriers_,
          .fences = fences_[thread / 32],
          .thread = static_cast<std::uint16_t>(thread)};
}

Memory::Place Memory::place_of(const BlockView& view, const char* address, std::size_t bytes) {
  if (view.shared_memory.holds(address, bytes)) {
    const bool known =
        std::ranges::any_of(view.shared, [&](const Range& r) { return r.holds(address, bytes); });
    if (!known) return {};
    const auto offset = static_cast<std::size_t>(address - view.shared_memory.begin);
    const std::size_t first = offset / Shadow::kBytes, last = (offset + bytes - 1) / Shadow::kBytes;
    return {std::span(shared_).subspan(first, last - first + 1), true, offset};
  }
  std::size_t offset = 0;
  Allocation* allocation = holder(address, bytes, &offset);
  if (!allocation) return {};
  const std::size_t first = offset / Shadow::kBytes, last = (offset + bytes - 1) / Shadow::kBytes;
  return {std::span(allocation->shadows).subspan(first, last - first + 1), false,
          reinterpret_cast<std::uint64_t>(address)};
}

void Memory::check(Shadow& s, const Mark& me, bool write, bool shared, Site site) {
  if (s.pending && s.writer.era == me.era) report(FaultKind::early_access, site, sites_[s.writer.site]);
  if (unordered(s.writer, me)) report(FaultKind::race, site, sites_[s.writer.site]);
  if (write) {
    if (s.readers.race_with(me)) report(FaultKind::race, site, sites_[s.readers.last.site]);
    s.writer = me;
    s.readers = {};
    s.written = true;
    return;
  }
  // Shared memory is new in every block; device memory keeps what anybody ever wrote.
  if (shared ? s.writer.era != me.era : !s.written) report(FaultKind::uninitialised, site);
  s.readers.add(me);
}

void Memory::access(const void* p, std::size_t bytes, bool write, Site site, bool in_pieces) {
  const BlockView view = block_view();
  if (!view.fiber) return;
  const char* address = static_cast<const char*>(p);
  // A thread's own variables (registers, on the device), the argument struct, and the executor's bookkeeping.
  if (view.stacks.holds(address, bytes) || view.executor.holds(address, bytes)) return;
  if (!write && (view.args.holds(address, bytes) || is_constant(address))) return;

  const Place place = place_of(view, address, bytes);
  if (place.shadows.empty()) return report(FaultKind::out_of_bounds, site);
  if (!in_pieces && reinterpret_cast<std::uintptr_t>(address) % std::min<std::size_t>(bytes, 16) != 0)
    report(FaultKind::misaligned, site);
  Mark me = mark(view, place.shared, site);
  me.site = number(site);
  for (Shadow& shadow : place.shadows) check(shadow, me, write, place.shared, site);
  traffic_.add(view.fiber->linear,
               {place.offset, me.site, static_cast<std::uint8_t>(bytes), write, place.shared});
}

void Memory::copy_issued(void* to, Site site) {
  access(to, 16, true, site);
  const BlockView view = block_view();
  if (place_of(view, static_cast<const char*>(to), 16).shadows.empty()) return;
  for (Shadow& shadow : shared_shadows(to)) shadow.pending = true;
}

// The thread that waited has written now: whoever reads must be ordered after this.
void Memory::copy_delivered(void* to, Site site) {
  const BlockView view = block_view();
  if (place_of(view, static_cast<const char*>(to), 16).shadows.empty()) return;
  Mark me = mark(view, true, site);
  me.site = number(site);
  for (Shadow& shadow : shared_shadows(to)) {
    shadow.pending = false;
    shadow.writer = me;
    shadow.readers = {};
  }
}

Memory& checked() {
  static Memory value;
  return value;
}

void access_at(const void* address, std::size_t bytes, bool write, const void* instruction, bool in_pieces) {
  checked().access(address, bytes, write, {.instruction = instruction}, in_pieces);
}

}  // namespace

const Checker kChecker = {
    .launch_begins = [] { checked().launch_begins(); },
    .block_begins = [] { checked().block_begins(); },
    .block_synced = [] { checked().block_synced(); },
    .warp_met = [](int warp, bool fence) { checked().warp_met(warp, fence); },
    .block_ends = [] { checked().block_ends(); },
    .access = [](const void* p, std::size_t n, bool write, Site site) { checked().access(p, n, write, site); },
    .copy_issued = [](void* to, Site site) { checked().copy_issued(to, site); },
    .copy_delivered = [](void* to, Site site) { checked().copy_delivered(to, site); },
    .allocated = [](void* p, std::size_t n) { checked().allocated(p, n); },
    .released = [](void* p) { checked().released(p); },
    .filled = [](const void* p, std::size_t n) { checked().filled(p, n); },
    .multiplied = [](std::int64_t flops) { checked().multiplied(flops); },
    .take_traffic_by_kernel = [] { return checked().take_traffic_by_kernel(); },
    .take_traffic = [] { return checked().take_traffic(); },
};

}  // namespace stp::simt

// What -fsanitize=thread calls. The place is where the callback returns to. "unaligned" are neighbouring fields
// that this compiler takes together, though it knows no alignment for the whole; nvcc would take them one by
// one.
#define STP_ACCESS(name, bytes, write, in_pieces) \
  void __tsan_##name(void* p) { stp::simt::access_at(p, bytes, write, __builtin_return_address(0), in_pieces); }
#define STP_ACCESSES(bytes)                             \
  STP_ACCESS(read##bytes, bytes, false, false)          \
  STP_ACCESS(write##bytes, bytes, true, false)          \
  STP_ACCESS(unaligned_read##bytes, bytes, false, true) \
  STP_ACCESS(unaligned_write##bytes, bytes, true, true) \
  STP_ACCESS(volatile_read##bytes, bytes, false, false) \
  STP_ACCESS(volatile_write##bytes, bytes, true, false)

// NOLINTBEGIN(bugprone-reserved-identifier): the compiler's names
extern "C" {
STP_ACCESSES(1)
STP_ACCESSES(2)
STP_ACCESSES(4)
STP_ACCESSES(8)
STP_ACCESSES(16)
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, std::size_t n) {
  stp::simt::access_at(p, n, false, __builtin_return_address(0), true);
}
void __tsan_write_range(void* p, std::size_t n) {
  stp::simt::access_at(p, n, true, __builtin_return_address(0), true);
}
}
// NOLINTEND(bugprone-reserved-identifier)

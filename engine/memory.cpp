#include "engine/memory.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <unordered_map>

#include "engine/text.h"

namespace stp {

namespace {

constexpr std::size_t kGuard = 256;         // bytes before a guarded block, at least; and behind it
constexpr unsigned char kGuardByte = 0xA5;  // a value that no float of ours is likely to leave behind

constexpr std::string_view kNames[] = {
#define KERNEL(name, Args) #name,
#include "kernels/list.h"
#undef KERNEL
};
constexpr std::size_t kKernels = std::size(kNames);

// Sizes of the pool: powers of two with three steps between, so at most a quarter is wasted.
std::size_t size_class(std::size_t bytes) {
  std::size_t step = 64;
  while (step * 8 < bytes) step *= 2;
  return std::max<std::size_t>(64, (bytes + step - 1) / step * step);
}

double seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

}  // namespace

struct Backend::State {
  struct Block {
    void* start;
    std::size_t capacity, requested;
  };

  Device device;
  const KernelTable* table;
  MemoryOptions options;

  std::mutex mutex;
  std::multimap<std::size_t, void*> free_blocks;  // by capacity
  std::unordered_map<void*, Block> blocks;        // in use, by the pointer handed out
  MemoryUse use;
  std::int64_t damaged = 0;

  bool profiling = false;
  std::vector<ProfileEvent> profile;

  ~State() { drop_free_blocks(); }

  void drop_free_blocks() {
    for (const auto& [capacity, start] : free_blocks) {
      table->memory.release(start);
      use.held -= capacity;
    }
    free_blocks.clear();
  }

  void* take(std::size_t capacity) {
    if (const auto found = free_blocks.find(capacity); found != free_blocks.end()) {
      void* start = found->second;
      free_blocks.erase(found);
      return start;
    }
    void* start = table->memory.allocate(capacity);
    if (!start) {
      drop_free_blocks();
      start = table->memory.allocate(capacity);
    }
    if (!start) fail("memory: {} has no {} bytes left; use a smaller batch", name_of(device), capacity);
    use.held += capacity;
    return start;
  }

  // Guard bands and NaN are written and read by the host: the devices that tests ask for them share its memory.
  void fill_guards(const Block& block) const {
    auto* bytes = static_cast<unsigned char*>(block.start);
    std::fill(bytes, bytes + kGuard, kGuardByte);
    std::fill(bytes + kGuard + block.requested, bytes + block.capacity, kGuardByte);
  }

  bool guards_intact(const Block& block) const {
    const auto* bytes = static_cast<const unsigned char*>(block.start);
    const auto intact = [](unsigned char byte) { return byte == kGuardByte; };
    return std::all_of(bytes, bytes + kGuard, intact) &&
           std::all_of(bytes + kGuard + block.requested, bytes + block.capacity, intact);
  }
};

namespace {

// STPRIVACY_SIMD=sse4|avx2|avx512 shows on one machine what others would compute.
bool hold_instructions_once() {
  const char* name = std::getenv("STPRIVACY_SIMD");
  if (!name || *name == '\0') return true;
  check(hold_instructions(name), "STPRIVACY_SIMD is '{}'; wanted sse4, avx2 or avx512", printable(name));
  return true;
}

}  // namespace

Backend::Backend(Device device, MemoryOptions options) : Backend(device, stp::kernels(device), options) {}

Backend::Backend(Device device, const KernelTable& table, MemoryOptions options)
    : state_(std::make_shared<State>()) {
  static const bool held = hold_instructions_once();  // before the first kernel of any backend
  static_cast<void>(held);
  if (!present(device)) refuse("device {} is not present on this machine; use --device cpu", name_of(device));
  state_->device = device;
  state_->table = &table;
  state_->options = options;
}

Device device_named(std::string_view name) {
  if (name == "auto") return present(Device::cuda) ? Device::cuda : Device::cpu;
  for (Device device : {Device::cpu, Device::cuda, Device::simt})
    if (name == name_of(device)) return device;
  refuse("device '{}' is not known; choose auto, cpu, cuda or simt", name);
}

Device Backend::device() const { return state_->device; }
const KernelTable& Backend::kernels() const { return *state_->table; }

void* Backend::allocate(std::size_t bytes) const {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const std::size_t margin = s.options.guard ? kGuard : 0;
  State::Block block{nullptr, size_class(bytes + 2 * margin), bytes};
  block.start = s.take(block.capacity);
  if (s.options.guard) s.fill_guards(block);
  void* const memory = static_cast<char*>(block.start) + margin;
  if (s.options.poison) {
    std::fill_n(static_cast<float*>(memory), bytes / sizeof(float), std::numeric_limits<float>::quiet_NaN());
  }
  s.use.in_use += block.capacity;
  s.use.peak = std::max(s.use.peak, s.use.in_use);
  s.blocks.emplace(memory, block);
  return memory;
}

void Backend::release(void* memory) const noexcept {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const auto found = s.blocks.find(memory);
  const State::Block block = found->second;
  s.blocks.erase(found);
  if (s.options.guard && !s.guards_intact(block)) ++s.damaged;
  s.use.in_use -= block.capacity;
  s.free_blocks.emplace(block.capacity, block.start);
}

MemoryUse Backend::memory_use() const {
  const std::lock_guard lock(state_->mutex);
  return state_->use;
}

void Backend::reset_peak() const {
  const std::lock_guard lock(state_->mutex);
  state_->use.peak = state_->use.in_use;
}

std::int64_t Backend::damaged_blocks() const {
  const std::lock_guard lock(state_->mutex);
  return state_->damaged;
}

bool Backend::profiling() const { return state_->profiling; }

double Backend::profile_start() const {
  kernels().memory.wait();
  return seconds();
}

void Backend::profile_end(std::ptrdiff_t entry, double start, const Cost& cost) const {
  kernels().memory.wait();
  const double end = seconds();
  const std::lock_guard lock(state_->mutex);
  state_->profile.push_back(
      {kNames[static_cast<std::size_t>(entry) / sizeof(void (*)())], start, end - start, cost, true});
}

void Backend::profile_work(std::string_view name, double start) const {
  const double end = seconds();
  const std::lock_guard lock(state_->mutex);
  state_->profile.push_back({name, start, end - start, Cost(), false});
}

void Backend::profile(bool on) const {
  const std::lock_guard lock(state_->mutex);
  state_->profiling = on;
  if (on) state_->profile.clear();
}

std::vector<ProfileEvent> Backend::profile_events() const {
  const std::lock_guard lock(state_->mutex);
  return state_->profile;
}

std::vector<KernelUse> Backend::profiled() const {
  std::array<KernelUse, kKernels> all{};
  for (const ProfileEvent& event : profile_events()) {
    if (!event.kernel) continue;
    KernelUse& use = all[static_cast<std::size_t>(std::ranges::find(kNames, event.name) - kNames)];
    use.name = event.name;
    ++use.calls;
    use.seconds += event.seconds;
    use.cost += event.cost;
  }
  std::vector<KernelUse> uses;
  std::ranges::copy_if(all, std::back_inserter(uses), [](const KernelUse& use) { return use.calls > 0; });
  return uses;
}

}  // namespace stp

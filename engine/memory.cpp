#include "engine/memory.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "engine/pool.h"
#include "engine/progress.h"
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

// Blocks whose bounds somebody watches lie apart.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
Pool::Blocks layout_of(Device device, const MemoryOptions& options) {
  const bool watched = kSanitized || options.guard || device == Device::simt;
  return watched ? Pool::Blocks::apart : Pool::Blocks::cut;
}

}  // namespace

struct Backend::State {
  struct Handed {
    Pool::Block block;
    std::size_t requested;
  };

  State(Device which, const KernelTable& kernels, MemoryOptions memory)
      : device(which), table(&kernels), options(memory), pool(kernels.memory, layout_of(which, memory)) {}

  Device device;
  const KernelTable* table;
  MemoryOptions options;
  Math math = Math::exact;

  std::mutex mutex;
  Pool pool;
  std::unordered_map<void*, Handed> blocks;  // in use, by the pointer handed out
  std::size_t in_use = 0, peak = 0;
  std::int64_t damaged = 0;

  bool profiling = false;
  std::vector<ProfileEvent> profile;

  // Guard bands and NaN are written and read by the host: the devices that tests ask for them share its memory.
  void fill_guards(const Handed& handed) const {
    auto* bytes = static_cast<unsigned char*>(handed.block.start);
    std::fill(bytes, bytes + kGuard, kGuardByte);
    std::fill(bytes + kGuard + handed.requested, bytes + handed.block.bytes, kGuardByte);
  }

  bool guards_intact(const Handed& handed) const {
    const auto* bytes = static_cast<const unsigned char*>(handed.block.start);
    const auto intact = [](unsigned char byte) { return byte == kGuardByte; };
    return std::all_of(bytes, bytes + kGuard, intact) &&
           std::all_of(bytes + kGuard + handed.requested, bytes + handed.block.bytes, intact);
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

Backend::Backend(Device device, const KernelTable& table, MemoryOptions options) {
  static const bool held = hold_instructions_once();  // before the first kernel of any backend
  static_cast<void>(held);
  if (!present(device)) refuse("device {} is not present on this machine; use --device cpu", name_of(device));
  state_ = std::make_shared<State>(device, table, options);
}

Device device_named(std::string_view name) {
  if (name == "auto") return present(Device::cuda) ? Device::cuda : Device::cpu;
  for (Device device : {Device::cpu, Device::cuda, Device::simt})
    if (name == name_of(device)) return device;
  refuse("device '{}' is not known; choose auto, cpu, cuda or simt", name);
}

Device Backend::device() const { return state_->device; }
const KernelTable& Backend::kernels() const { return *state_->table; }
void Backend::multiply_in(Math math) const { state_->math = math; }
Math Backend::math() const { return state_->math; }

void* Backend::allocate(std::size_t bytes) const {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const std::size_t margin = s.options.guard ? kGuard : 0;
  const State::Handed handed = {s.pool.allocate(bytes + 2 * margin), bytes};
  if (!handed.block.start)
    fail("memory: {} has no {} bytes left; use a smaller batch", name_of(s.device), bytes);
  if (s.options.guard) s.fill_guards(handed);
  void* const memory = static_cast<char*>(handed.block.start) + margin;
  if (s.options.poison) {
    std::fill_n(static_cast<float*>(memory), bytes / sizeof(float), std::numeric_limits<float>::quiet_NaN());
  }
  s.in_use += handed.block.bytes;
  s.peak = std::max(s.peak, s.in_use);
  s.blocks.emplace(memory, handed);
  return memory;
}

void Backend::release(void* memory) const noexcept {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const auto found = s.blocks.find(memory);
  const State::Handed handed = found->second;
  s.blocks.erase(found);
  if (s.options.guard && !s.guards_intact(handed)) ++s.damaged;
  s.in_use -= handed.block.bytes;
  s.pool.release(handed.block);
}

MemoryUse Backend::memory_use() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->in_use, state_->peak, state_->pool.held()};
}

void Backend::reset_peak() const {
  const std::lock_guard lock(state_->mutex);
  state_->peak = state_->in_use;
}

std::int64_t Backend::damaged_blocks() const {
  const std::lock_guard lock(state_->mutex);
  return state_->damaged;
}

bool Backend::profiling() const { return state_->profiling; }

double Backend::profile_start() const {
  kernels().memory.wait();
  return steady_seconds();
}

void Backend::profile_end(std::ptrdiff_t entry, double start, const Cost& cost) const {
  kernels().memory.wait();
  const double end = steady_seconds();
  const std::lock_guard lock(state_->mutex);
  state_->profile.push_back(
      {kNames[static_cast<std::size_t>(entry) / sizeof(void (*)())], start, end - start, cost, true});
}

void Backend::profile_work(std::string_view name, double start) const {
  const double end = steady_seconds();
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

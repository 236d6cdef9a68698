// A device in use: its kernels, its memory with a pool in front, and an optional record of what ran.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "engine/check.h"
#include "kernels/table.h"

namespace stp {

// Options for tests: every block carries guard bands that are checked when it is released, and fresh memory is
// filled with NaN, so that a kernel that writes outside or leaves something unset is seen.
struct MemoryOptions {
  bool guard = false;
  bool poison = false;
};

// What a profile holds: a call of a kernel, or other work that was named (Backend::timed).
struct ProfileEvent {
  std::string_view name;
  double start = 0, seconds = 0;  // start: on the steady clock
  Cost cost;
  bool kernel = true;
};

// All calls of one kernel.
struct KernelUse {
  std::string_view name;
  std::int64_t calls = 0;
  double seconds = 0;
  Cost cost;
};

struct MemoryUse {
  std::size_t in_use = 0, peak = 0, held = 0;  // bytes: now, at most, taken from the device
};

// A value handle; copies are the same device. Tensors keep theirs alive.
class Backend {
 public:
  // Throws Error (usage) if the device is not present on this machine.
  explicit Backend(Device device, MemoryOptions options = {});
  // The same with the kernels of another table, which must outlive it: how single kernels are tried.
  Backend(Device device, const KernelTable& table, MemoryOptions options = {});

  Device device() const;
  const KernelTable& kernels() const;

  // How linear layers and attention multiply f32 values from here on; exact at first. Devices without units for
  // tf32 multiply exactly all the same.
  void multiply_in(Math math) const;
  Math math() const;

  // Memory from the pool: blocks go back to it and are handed out again, so that a training step allocates
  // nothing after the first. Throws Error (failure) when the device has no more.
  void* allocate(std::size_t bytes) const;
  void release(void* memory) const noexcept;
  MemoryUse memory_use() const;
  void reset_peak() const;
  // Blocks whose guard bands were found damaged (option guard).
  std::int64_t damaged_blocks() const;

  // Runs a kernel of the table, and times it if a profile is being taken:
  //   backend.run(&KernelTable::attention_forward, {.qkv = ..., ...});
  template <class Args>
  void run(void (*KernelTable::*entry)(const Args&), const std::type_identity_t<Args>& args) const {
    if (!profiling()) return (kernels().*entry)(args);
    const Cost asked = cost(args, device() == Device::cuda ? Known::sizes : Known::values);
    const double start = profile_start();
    (kernels().*entry)(args);
    profile_end(reinterpret_cast<const char*>(&(kernels().*entry)) - reinterpret_cast<const char*>(&kernels()),
                start, asked);
  }

  // Work that is no kernel, by a name that outlives the profile.
  template <class Work>
  void timed(std::string_view name, const Work& work) const {
    if (!profiling()) return work();
    const double start = profile_start();
    work();
    profile_work(name, start);
  }

  // Begins a profile, or ends it; what it holds stays until the next begins. While one is taken, every kernel
  // is waited for.
  void profile(bool on) const;
  std::vector<ProfileEvent> profile_events() const;  // in the order in which they ended
  std::vector<KernelUse> profiled() const;           // kernels that ran, in the order of list.h

  friend bool operator==(const Backend& a, const Backend& b) { return a.state_ == b.state_; }

 private:
  struct State;
  bool profiling() const;
  double profile_start() const;
  void profile_end(std::ptrdiff_t entry, double start, const Cost& cost) const;
  void profile_work(std::string_view name, double start) const;
  std::shared_ptr<State> state_;
};

// "cpu", "cuda", "simt", or "auto": cuda where a GPU is at hand, else cpu. Throws Error (usage) for others.
Device device_named(std::string_view name);

}  // namespace stp

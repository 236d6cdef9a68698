// How a block runs. Fibers that can go on are bits of their warp's mask; whoever waits or ends picks the next
// one and switches to it, staying in its warp while that has ready lanes. When nobody is ready and some have
// not ended, the block is stuck: a deadlock, found at once.
#include "kernels/simt/executor.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include "kernels/simt/checker.h"
#include "kernels/simt/simt.h"
#include "kernels/simt/switch.h"

namespace stp::simt {

namespace {

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr std::size_t kPage = 4096;
constexpr int kWarps = kMaxThreads / kWarp;
constexpr std::size_t kArenaBytes = 2 * kSharedBytes;  // room for red zones and for what is too much

std::mutex fault_mutex;  // of the two below
std::vector<Fault>& faults() {
  static std::vector<Fault> list;
  return list;
}

struct Mapping {
  Mapping(std::size_t n, bool guarded) : bytes(n) {
    void* memory =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    start = static_cast<char*>(memory);
    // A stack that overflows meets a page that may not be touched instead of its neighbour.
    for (std::size_t at = 0; guarded && at < bytes; at += kStackBytes) mprotect(start + at, kPage, PROT_NONE);
  }
  ~Mapping() { munmap(start, bytes); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* start;
  std::size_t bytes;
};

struct Warp {
  std::uint32_t alive = 0, ready = 0, arrived = 0;
  Act act = nullptr;
  Site site;
  std::array<void*, kWarp> payloads{};
};

struct AsyncCopy {
  char* to;
  const char* from;
  int bytes, group;
  Site site;
};
struct CopyQueue {
  std::vector<AsyncCopy> copies;
  int group = 0;  // the one being filled
};

struct SharedArray {
  const void* key;
  char* start;
};

// One launch, as all workers see it.
struct Launch {
  Kernel kernel;
  Index3 grid, block;
  std::size_t dynamic_bytes;
  Body body;
  const void* args;
  std::size_t args_bytes;
};

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

// Runs blocks, one after another, on one thread of the host.
class Worker {
 public:
  Worker() : stacks_(kMaxThreads * kStackBytes, true), arena_(kArenaBytes, false) {}

  void run_block(const Launch& launch, const Schedule& schedule, std::size_t linear);

  const Position& position() const { return position_; }
  BlockView view() const;
  void sync_block(Site site);
  void collective(Act act, void* payload, bool fence, Site site);
  void* shared_array(const void* key, std::size_t bytes, std::size_t alignment);
  void* dynamic_shared() { return arena_.start + kRedZone; }
  CopyQueue& copies() { return copies_[static_cast<std::size_t>(self_->linear)]; }
  void report(FaultKind kind, Site site, Site other);

 private:
  static void enter();
  void prepare(std::size_t linear);
  void leave();
  void release_barrier();
  void release_lanes(Warp& mine);
  void wait();
  void switch_to(Fiber* next);
  Fiber* next_ready();
  Warp& warp() { return warps_[static_cast<std::size_t>(self_->linear / kWarp)]; }
  int lane() const { return self_->linear % kWarp; }
  int pick(std::uint32_t mask, int from);
  std::uint64_t random() { return mixed(state_++); }

  Mapping stacks_, arena_;
  std::array<Fiber, kMaxThreads> fibers_;
  std::array<Warp, kWarps> warps_;
  std::array<CopyQueue, kMaxThreads> copies_;
  std::vector<SharedArray> shared_;
  std::vector<Range> ranges_;
  std::size_t arena_used_ = 0;

  const Launch* launch_ = nullptr;
  Schedule schedule_;
  std::uint64_t state_ = 0;
  Position position_{};
  std::size_t linear_block_ = 0;
  int threads_ = 0, alive_ = 0, at_barrier_ = 0;
  std::uint32_t ready_warps_ = 0;
  Site barrier_;
  Fiber* self_ = nullptr;
  void* host_stack_ = nullptr;
};

thread_local Worker* current = nullptr;

Worker& this_worker() {
  thread_local const std::unique_ptr<Worker> worker = std::make_unique<Worker>();
  return *worker;
}

Index3 unravel(std::size_t linear, Index3 size) {
  return {static_cast<unsigned>(linear % size.x), static_cast<unsigned>(linear / size.x % size.y),
          static_cast<unsigned>(linear / (static_cast<std::size_t>(size.x) * size.y))};
}

std::size_t volume(Index3 size) { return static_cast<std::size_t>(size.x) * size.y * size.z; }

void Worker::enter() {
  const Launch& launch = *current->launch_;
  launch.body(launch.args);
  current->leave();
}

void Worker::prepare(std::size_t linear) {
  linear_block_ = linear;
  position_ = {nullptr, unravel(linear, launch_->grid), launch_->block, launch_->grid};
  threads_ = alive_ = static_cast<int>(volume(launch_->block));
  at_barrier_ = 0;
  barrier_ = {};
  state_ = mixed(schedule_.seed * 0x10001 + linear);
  shared_.clear();
  ranges_.clear();
  // Filled with NaN, so that what is read before it was written shows.
  std::memset(arena_.start, 0xff, kRedZone + launch_->dynamic_bytes + kRedZone);
  arena_used_ = kRedZone + launch_->dynamic_bytes;
  if (launch_->dynamic_bytes > 0) ranges_.push_back({arena_.start + kRedZone, launch_->dynamic_bytes});

  ready_warps_ = 0;
  for (int w = 0; w < kWarps; ++w) {
    const int lanes = std::clamp(threads_ - w * kWarp, 0, kWarp);
    Warp& warp = warps_[static_cast<std::size_t>(w)];
    warp.alive = warp.ready = lanes == kWarp ? ~0u : (1u << lanes) - 1;
    warp.arrived = 0;
    if (lanes > 0) ready_warps_ |= 1u << w;
  }
  for (int i = 0; i < threads_; ++i) {
    const auto t = static_cast<std::size_t>(i);
    // Tops that are staggered do not fight for the same sets of the cache.
    char* top = stacks_.start + (t + 1) * kStackBytes - 320 * t % kPage;
    fibers_[t] = {prepare_stack(top, enter), unravel(t, launch_->block), i};
    copies_[t].copies.clear();
    copies_[t].group = 0;
  }
}

void Worker::run_block(const Launch& launch, const Schedule& schedule, std::size_t linear) {
  current = this;
  launch_ = &launch;
  schedule_ = schedule;
  prepare(linear);
  if (kChecker.block_begins) kChecker.block_begins();
  Fiber* first = next_ready();
  self_ = first;
  position_.fiber = first;
  stp_simt_switch(&host_stack_, first->stack_pointer);
  if (kChecker.block_ends) kChecker.block_ends();
  self_ = nullptr;
  position_.fiber = nullptr;
}

BlockView Worker::view() const {
  return {.kernel = launch_ ? launch_->kernel : Kernel{"", nullptr},
          .grid = launch_ ? launch_->grid : Index3{},
          .block = position_.block,
          .linear_block = linear_block_,
          .threads = threads_,
          .fiber = self_,
          .shared = ranges_,
          .shared_memory = {arena_.start, arena_.bytes},
          .stacks = {stacks_.start, stacks_.bytes},
          .executor = {reinterpret_cast<const char*>(this), sizeof *this},
          .args = launch_ ? Range{static_cast<const char*>(launch_->args), launch_->args_bytes} : Range{}};
}

// A set bit of the mask: the next from `from` on, upwards or downwards, or a random one.
int Worker::pick(std::uint32_t mask, int from) {
  if (schedule_.order == Order::random) {
    for (int skip = static_cast<int>(random() % static_cast<std::uint64_t>(std::popcount(mask))); skip > 0;
         --skip)
      mask &= mask - 1;
    return std::countr_zero(mask);
  }
  if (schedule_.order == Order::forward) {
    const std::uint32_t above = mask & ~0u << from;
    return std::countr_zero(above ? above : mask);
  }
  const std::uint32_t below = mask & ~0u >> (31 - from);
  return 31 - std::countl_zero(below ? below : mask);
}

Fiber* Worker::next_ready() {
  if (ready_warps_ == 0) return nullptr;
  const int here = self_ ? self_->linear / kWarp : 0, from = self_ ? lane() : 0;
  const bool stay = schedule_.order != Order::random && (ready_warps_ >> here & 1) != 0;
  const int w = stay ? here : pick(ready_warps_, here);
  const std::uint32_t ready = warps_[static_cast<std::size_t>(w)].ready;
  return &fibers_[static_cast<std::size_t>(w * kWarp + pick(ready, from))];
}

void Worker::switch_to(Fiber* next) {
  Fiber* const before = self_;
  if (next == before) return;
  self_ = next;
  position_.fiber = next;
  stp_simt_switch(&before->stack_pointer, next->stack_pointer);
}

// The running thread is not ready until somebody makes it so.
void Worker::wait() {
  Warp& mine = warp();
  mine.ready &= ~(1u << lane());
  if (mine.ready == 0) ready_warps_ &= ~(1u << self_->linear / kWarp);
  if (Fiber* next = next_ready()) return switch_to(next);
  Site site = barrier_;
  for (const Warp& w : warps_)
    if (!site && w.arrived) site = w.site;
  report(FaultKind::deadlock, site, {});
  stp_simt_switch(&self_->stack_pointer, host_stack_);  // for good: the block is given up
}

void Worker::leave() {
  --alive_;
  Warp& mine = warp();
  mine.alive &= ~(1u << lane());
  mine.ready &= ~(1u << lane());
  if (mine.ready == 0) ready_warps_ &= ~(1u << self_->linear / kWarp);
  if (mine.arrived != 0 && mine.arrived == mine.alive) {
    report(FaultKind::divergent_collective, {}, mine.site);
    release_lanes(mine);
  }
  if (alive_ > 0 && at_barrier_ == alive_) {
    report(FaultKind::divergent_barrier, {}, barrier_);
    release_barrier();
  }
  Fiber* next = next_ready();
  if (!next && alive_ > 0) {
    Site site = barrier_;
    for (const Warp& w : warps_)
      if (!site && w.arrived) site = w.site;
    report(FaultKind::deadlock, site, {});
  }
  void* unused = nullptr;
  if (!next) stp_simt_switch(&unused, host_stack_);
  switch_to(next);
  std::abort();  // nobody switches back to a thread that has ended
}

void Worker::release_lanes(Warp& mine) {
  mine.ready |= mine.arrived;
  mine.arrived = 0;
  ready_warps_ |= 1u << self_->linear / kWarp;
}

void Worker::release_barrier() {
  at_barrier_ = 0;
  barrier_ = {};
  for (int w = 0; w < kWarps; ++w) {
    Warp& warp = warps_[static_cast<std::size_t>(w)];
    // Lanes that wait at a collective stay there.
    warp.ready = warp.alive & ~warp.arrived;
    if (warp.ready) ready_warps_ |= 1u << w;
  }
  if (kChecker.block_synced) kChecker.block_synced();
}

void Worker::sync_block(Site site) {
  if (at_barrier_ == 0) barrier_ = site;
  if (!(barrier_ == site)) report(FaultKind::divergent_barrier, site, barrier_);
  if (++at_barrier_ < alive_) return wait();
  if (alive_ < threads_) report(FaultKind::divergent_barrier, site, {});
  release_barrier();
}

void Worker::collective(Act act, void* payload, bool fence, Site site) {
  Warp& mine = warp();
  if (mine.arrived == 0) {
    mine.site = site;
    mine.act = act;
  }
  if (!(mine.site == site) || mine.act != act) report(FaultKind::divergent_collective, site, mine.site);
  mine.payloads[static_cast<std::size_t>(lane())] = payload;
  mine.arrived |= 1u << lane();
  if (mine.arrived != mine.alive) return wait();
  if (mine.alive != ~0u) {
    report(FaultKind::divergent_collective, site, {});  // the whole warp must take part
  } else {
    mine.act(mine.payloads.data());
  }
  release_lanes(mine);
  if (kChecker.warp_met) kChecker.warp_met(self_->linear / kWarp, fence);
}

void* Worker::shared_array(const void* key, std::size_t bytes, std::size_t alignment) {
  for (const SharedArray& array : shared_)
    if (array.key == key) return array.start;
  const std::size_t at = (arena_used_ + kRedZone + alignment - 1) / alignment * alignment;
  if (at + bytes + kRedZone > kArenaBytes) {
    report(FaultKind::shared_memory, {}, {});
    return arena_.start;
  }
  std::memset(arena_.start + arena_used_, 0xff, at + bytes + kRedZone - arena_used_);
  arena_used_ = at + bytes;
  std::size_t total = bytes;
  for (const Range& range : ranges_) total += range.bytes;
  if (total > kSharedBytes) report(FaultKind::shared_memory, {}, {});
  shared_.push_back({key, arena_.start + at});
  ranges_.push_back({arena_.start + at, bytes});
  return arena_.start + at;
}

void Worker::report(FaultKind kind, Site site, Site other) {
  const std::lock_guard lock(fault_mutex);
  const char* kernel = launch_->kernel.name;
  for (Fault& known : faults()) {
    if (known.kind == kind && known.site == site && known.other == other && known.kernel == kernel) {
      ++known.count;
      return;
    }
  }
  faults().push_back({.kind = kind,
                      .kernel = kernel,
                      .block = position_.block,
                      .thread = self_ ? self_->linear : 0,
                      .site = site,
                      .other = other});
}

// In which order the blocks of a launch are dealt out.
std::vector<std::size_t> block_order(std::size_t blocks, const Schedule& schedule) {
  std::vector<std::size_t> order(blocks);
  for (std::size_t i = 0; i < blocks; ++i) order[i] = schedule.order == Order::reversed ? blocks - 1 - i : i;
  if (schedule.order != Order::random) return order;
  for (std::size_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[mixed(schedule.seed + i) % i]);
  return order;
}

}  // namespace

Settings& settings() {
  static Settings value;
  return value;
}

std::vector<Fault> take_faults() {
  const std::lock_guard lock(fault_mutex);
  return std::exchange(faults(), {});
}

void* allocate(std::size_t bytes) {
  void* const memory = std::aligned_alloc(64, std::max<std::size_t>(64, (bytes + 63) / 64 * 64));
  if (memory && kChecker.allocated) kChecker.allocated(memory, bytes);
  return memory;
}

void release(void* memory) {
  if (memory && kChecker.released) kChecker.released(memory);
  std::free(memory);
}

const Position& position() { return current->position(); }
void sync_block(Site site) { current->sync_block(site); }
void collective(Act act, void* payload, bool fence, Site site) {
  current->collective(act, payload, fence, site);
}
void* shared_array(const void* key, std::size_t bytes, std::size_t alignment) {
  return current->shared_array(key, bytes, alignment);
}
void* dynamic_shared() { return current->dynamic_shared(); }
void report(FaultKind kind, Site site, Site other) { current->report(kind, site, other); }

BlockView block_view() { return current ? current->view() : BlockView{}; }

void copy_async(void* to, const void* from, int bytes, Site site) {
  if (kChecker.access && bytes > 0) kChecker.access(from, static_cast<std::size_t>(bytes), false, site);
  if (kChecker.copy_issued) kChecker.copy_issued(to, site);
  std::memset(to, 0xff, 16);  // until it is waited for, nothing can be read there
  CopyQueue& queue = current->copies();
  queue.copies.push_back({static_cast<char*>(to), static_cast<const char*>(from), bytes, queue.group, site});
}

void commit_copies() { ++current->copies().group; }

void wait_copies(int still_open) {
  CopyQueue& queue = current->copies();
  const auto done = [&](const AsyncCopy& c) { return c.group < queue.group - still_open; };
  std::vector<AsyncCopy> delivered;
  std::copy_if(queue.copies.begin(), queue.copies.end(), std::back_inserter(delivered), done);
  std::erase_if(queue.copies, done);
  for (const AsyncCopy& c : delivered) {
    std::memcpy(c.to, c.from, static_cast<std::size_t>(c.bytes));
    std::memset(c.to + c.bytes, 0, static_cast<std::size_t>(16 - c.bytes));
    if (kChecker.copy_delivered) kChecker.copy_delivered(c.to, c.site);
  }
}

void touch(const void* address, std::size_t bytes, bool write, Site site) {
  if (kChecker.access) kChecker.access(address, bytes, write, site);
}

void copy_bytes(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

void note_written(const void* address, std::size_t bytes) {
  if (kChecker.filled) kChecker.filled(address, bytes);
}

void run(Kernel kernel, Index3 grid, Index3 block, std::size_t dynamic_bytes, Body body, const void* args,
         std::size_t args_bytes) {
  const std::size_t blocks = volume(grid), threads = volume(block);
  if (blocks == 0) return;
  if (threads == 0 || threads > kMaxThreads || threads % kWarp != 0 || dynamic_bytes > kSharedBytes) {
    throw std::invalid_argument(std::string("simt: kernel ") + kernel.name + ": a block of " +
                                std::to_string(threads) + " threads with " + std::to_string(dynamic_bytes) +
                                " bytes");
  }
  const Launch launch = {kernel, grid, block, dynamic_bytes, body, args, args_bytes};
  const Settings chosen = settings();
  const std::vector<std::size_t> order = block_order(blocks, chosen.schedule);
  if (kChecker.launch_begins) kChecker.launch_begins();

  int workers = chosen.workers > 0 ? chosen.workers : static_cast<int>(std::thread::hardware_concurrency());
  if (kChecker.access) workers = 1;  // the checker sees one access at a time
  workers = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(std::max(1, workers)), blocks));
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers)
  for (std::size_t i = 0; i < blocks; ++i) this_worker().run_block(launch, chosen.schedule, order[i]);
  if (chosen.collect) return;
  if (const std::vector<Fault> found = take_faults(); !found.empty())
    throw std::runtime_error(describe(found[0]));
}

}  // namespace stp::simt

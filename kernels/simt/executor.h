// The executor: runs CUDA kernels, compiled by the host compiler, on the processor. Each CUDA thread is a fiber
// with a stack of its own; barriers and warp collectives count who has arrived, so that a barrier that part of
// a block never reaches is found, not waited for. Kernel files see none of this: they see simt.h and ptx.h.
//
// It proves that kernels are right under every schedule it is told to try. It says nothing about time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace stp::simt {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;                 // of a block
constexpr std::size_t kSharedBytes = 227 * 1024;  // of a block on sm_90; sm_80 has 163 KiB
constexpr std::size_t kRedZone = 64;              // between shared arrays

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

// In which order blocks, and the ready threads of a block, run.
enum class Order { forward, reversed, random };

struct Schedule {
  Order order = Order::forward;
  std::uint64_t seed = 0;  // of the random order
};

// Where in a kernel something happened: a call with a source position, or an instruction.
struct Site {
  const char* file = nullptr;
  unsigned line = 0;
  const void* instruction = nullptr;

  // As a default argument: where the function that has it is called.
  static constexpr Site current(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line, nullptr};
  }
  explicit operator bool() const { return file || instruction; }
  friend bool operator==(const Site&, const Site&) = default;
};

enum class FaultKind {
  divergent_barrier,     // threads meet at different barriers, or some have left
  divergent_collective,  // lanes meet at different warp functions, or some have left
  deadlock,
  shared_memory,  // more than a block has
  race,
  out_of_bounds,
  uninitialised,
  misaligned,
  early_access,  // to what an asynchronous copy has not delivered yet
};

// One finding. The later ones of the same kind at the same sites are only counted.
struct Fault {
  FaultKind kind;
  std::string kernel;
  Index3 block;
  int thread = 0;
  Site site, other;  // other: of the write that races, of the barrier where the others wait
  std::int64_t count = 1;
};

std::string describe(const Fault& fault);

// What the device `simt` does next; for tests.
struct Settings {
  Schedule schedule;
  int workers = 0;  // blocks at a time; 0: as many as there are processors
  bool collect =
      false;  // keep faults for take_faults; otherwise a launch that had one throws std::runtime_error
};
Settings& settings();
std::vector<Fault> take_faults();

// Memory of the device, with known bounds.
void* allocate(std::size_t bytes);
void release(void* memory);

// --- What simt.h and ptx.h are made of.

struct Fiber {
  void* stack_pointer = nullptr;
  Index3 index;
  int linear = 0;
};

// The thread that is running, and its block.
struct Position {
  const Fiber* fiber;
  Index3 block;
  Index3 block_size, grid_size;
};
const Position& position();

void sync_block(Site site = Site::current());

// Every lane of the warp arrives with a payload; the last to arrive runs `act` over all of them. `fence`: also
// orders memory between the lanes, as only sync_warp does.
using Act = void (*)(void* const* payloads);
void collective(Act act, void* payload, bool fence, Site site);

// The array of the running block that `key` names, made when its first thread asks for it.
void* shared_array(const void* key, std::size_t bytes, std::size_t alignment);
void* dynamic_shared();

// A 16-byte copy from device to shared memory; `bytes` of them are read, the rest is zero.
void copy_async(void* to, const void* from, int bytes, Site site);
void commit_copies();
void wait_copies(int groups_still_open);

// Tells the checker of an access that the compiler's instrumentation does not show whole.
void touch(const void* address, std::size_t bytes, bool write, Site site);
// Tells it that the host or a library filled device memory.
void note_written(const void* address, std::size_t bytes);
void report(FaultKind kind, Site site, Site other = {});

// Runs body(args) for every thread of every block.
using Body = void (*)(const void* args);
struct Kernel {
  const char* name;
  const void* code;  // where its instructions begin
};
void run(Kernel kernel, Index3 grid, Index3 block, std::size_t dynamic_bytes, Body body, const void* args,
         std::size_t args_bytes);

}  // namespace stp::simt

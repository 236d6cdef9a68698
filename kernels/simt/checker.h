// What the executor tells the checker. In the plain build every function is null (unchecked.cpp); the checked
// build links checker.cpp, whose access() also hears of every load and store of the kernel files.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "kernels/simt/executor.h"
#include "kernels/simt/traffic.h"

namespace stp::simt {

// A piece of memory that a kernel may touch.
struct Range {
  const char* begin = nullptr;
  std::size_t bytes = 0;
  bool holds(const void* p, std::size_t n) const {
    const auto at = static_cast<std::size_t>(static_cast<const char*>(p) - begin);
    return at < bytes && n <= bytes - at;
  }
};

// The running block, as the checker needs it.
struct BlockView {
  Kernel kernel;
  Index3 grid, block;
  std::size_t linear_block;
  int threads;
  const Fiber* fiber;             // running now; null between
  std::span<const Range> shared;  // arrays made so far
  Range shared_memory, stacks, executor, args;
};
// Of the worker that asks; fiber is null where no kernel is running.
BlockView block_view();

struct Checker {
  void (*launch_begins)();
  void (*block_begins)();
  void (*block_synced)();                  // every thread passed a barrier
  void (*warp_met)(int warp, bool fence);  // every lane passed a collective
  void (*block_ends)();
  void (*access)(const void* address, std::size_t bytes, bool write, Site site);
  void (*copy_issued)(void* to, Site site);  // 16 bytes that nobody may touch until they are delivered
  void (*copy_delivered)(void* to, Site site);
  void (*allocated)(void* memory, std::size_t bytes);
  void (*released)(void* memory);
  void (*filled)(const void* memory, std::size_t bytes);
  void (*multiplied)(std::int64_t flops);  // a warp, by mma
  std::map<std::string, Traffic> (*take_traffic_by_kernel)();
  Traffic (*take_traffic)();  // of all kernels since the last time
};
extern const Checker kChecker;

// "file:line" of an instruction of this program, if its debug information is there.
std::string describe_instruction(const void* instruction);
// The function that begins there, with its template arguments: "halve_kernel<float, 4>".
std::string describe_function(const void* code);

}  // namespace stp::simt

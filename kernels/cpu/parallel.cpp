#include "kernels/cpu/parallel.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace stp::cpu {

float* thread_scratch(std::size_t floats) {
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local std::size_t size = 0;
  if (floats > size) {
    const std::size_t bytes = (floats * sizeof(float) + 4095) / 4096 * 4096;
    memory.reset();
    memory.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (!memory) throw std::bad_alloc();
    size = bytes / sizeof(float);
  }
  return memory.get();  // NOLINT(clang-analyzer-unix.Malloc): what was freed has been replaced
}

}  // namespace stp::cpu

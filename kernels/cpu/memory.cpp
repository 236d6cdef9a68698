// Memory of the device `cpu`: the host's own.
#include <cstdlib>
#include <cstring>

#include "kernels/table.h"

namespace stp::cpu {

DeviceMemory memory() {
  return {
      .allocate = [](std::size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); },
      .release = [](void* memory) { std::free(memory); },
      .zero = [](void* memory, std::size_t bytes) { std::memset(memory, 0, bytes); },
      .copy = [](void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); },
      .upload = [](void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); },
      .download = [](void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); },
      .wait = [] {},
  };
}

}  // namespace stp::cpu

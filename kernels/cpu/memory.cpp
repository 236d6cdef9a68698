// Memory of the device `cpu`: the host's own.
#include <cstdlib>
#include <cstring>

#include "kernels/table.h"

namespace stp::cpu {

namespace {

// The null pointer of an empty tensor may not reach memcpy and memset, even with nothing to do.
void copy_bytes(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void zero_bytes(void* memory, std::size_t bytes) {
  if (bytes > 0) std::memset(memory, 0, bytes);
}

void* allocate_bytes(std::size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }

}  // namespace

DeviceMemory memory() {
  return {
      .allocate = allocate_bytes,
      .release = std::free,
      .zero = zero_bytes,
      .copy = copy_bytes,
      .upload = copy_bytes,
      .download = copy_bytes,
      .wait = [] {},
      .allocate_host = allocate_bytes,
      .release_host = std::free,
      .upload_beside = copy_bytes,
      .join_uploads = [] {},
      .wait_uploads = [] {},
  };
}

}  // namespace stp::cpu

// Memory of the device `cpu`: the host's own.
#include <sys/mman.h>

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

// Large arrays ask for huge pages, which spare them most of the address translation (bench/JOURNAL.md). That is
// advice: a system without them gives its ordinary pages.
void* allocate_bytes(std::size_t bytes) {
  constexpr std::size_t kLine = 64, kHugePage = std::size_t{2} << 20;
  const bool large = bytes >= 2 * kHugePage;
  const std::size_t alignment = large ? kHugePage : kLine;
  void* const memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory && large) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return memory;
}

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

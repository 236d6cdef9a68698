#include "engine/staging.h"

#include <cstring>

namespace stp {

namespace {

constexpr std::size_t kAlignment = 64;  // of each part

}  // namespace

Staging::~Staging() {
  if (!memory_) return;
  backend_.kernels().memory.wait_uploads();
  backend_.kernels().memory.release_host(memory_);
}

void Staging::begin(std::size_t bytes) {
  constexpr std::size_t kParts = 8;  // at most, of a load: room to align them
  const DeviceMemory& memory = backend_.kernels().memory;
  memory.wait_uploads();
  used_ = 0;
  const std::size_t wanted = bytes + kParts * kAlignment;
  if (wanted <= capacity_) return;
  if (memory_) memory.release_host(memory_);
  capacity_ = 0;
  memory_ = static_cast<char*>(memory.allocate_host(wanted));
  if (!memory_) fail("memory: no {} bytes of host memory for batches; use a smaller batch", wanted);
  capacity_ = wanted;
}

void Staging::upload(void* to, const void* from, std::size_t bytes) {
  check(used_ + bytes <= capacity_, "staging: {} bytes more than were announced", used_ + bytes - capacity_);
  if (bytes == 0) return;
  std::memcpy(memory_ + used_, from, bytes);
  backend_.kernels().memory.upload_beside(to, memory_ + used_, bytes);
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace stp

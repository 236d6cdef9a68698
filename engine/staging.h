// Uploads that overlap the work of the device, by way of host memory that the device reads by itself
// (kernels/device.h).
#pragma once

#include "engine/memory.h"

namespace stp {

class Staging {
 public:
  explicit Staging(const Backend& backend) : backend_(backend) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Begins a load of `bytes` in all: returns when the load before it has left the host's memory.
  void begin(std::size_t bytes);
  // Starts the upload of a part of the load; `from` may be used again on return.
  void upload(void* to, const void* from, std::size_t bytes);
  // What is issued behind this sees what was uploaded.
  void join() const { backend_.kernels().memory.join_uploads(); }

 private:
  Backend backend_;
  char* memory_ = nullptr;
  std::size_t capacity_ = 0, used_ = 0;
};

}  // namespace stp

// The other contract of a device: its memory and its one stream of work.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace stp {

// What was issued between begin and end, kept as a whole (a CUDA graph): replay issues it again with the same
// pointers and arguments. Between the two nothing may be allocated from the device, downloaded or waited for.
// Null where a device has no such thing.
struct Recorder {
  void (*begin)() = nullptr;
  void* (*end)() = nullptr;
  void (*replay)(void* recording) = nullptr;
  void (*forget)(void* recording) = nullptr;

  explicit operator bool() const { return begin != nullptr; }
};

// Work of one device runs in the order it was issued. On `cpu` and `simt` every call returns when it is done;
// on `cuda` calls only enqueue, and wait() returns when everything before it has finished.
struct DeviceMemory {
  void* (*allocate)(std::size_t bytes);  // 64-byte aligned; null when there is no more
  void (*release)(void* memory);
  void (*zero)(void* memory, std::size_t bytes);
  void (*copy)(void* to, const void* from, std::size_t bytes);         // within the device
  void (*upload)(void* to, const void* from_host, std::size_t bytes);  // the host range may be reused on return
  void (*download)(void* to_host, const void* from, std::size_t bytes);
  void (*wait)();

  // Uploads beside the work. One begins when the work issued before it is done, and overlaps the work issued
  // after it, until join_uploads(): what is issued behind that waits for all uploads. The host memory comes
  // from allocate_host, where the device reads it by itself, and may be written again after wait_uploads().
  void* (*allocate_host)(std::size_t bytes);  // null when there is no more
  void (*release_host)(void* memory);
  void (*upload_beside)(void* to, const void* from_host, std::size_t bytes);
  void (*join_uploads)();
  void (*wait_uploads)();

  Recorder recorder = {};
};

struct DeviceFacts {
  std::string_view instructions;  // the instruction set that was chosen at run time
  std::string_view library;       // of the matrix products
  std::array<int, 3> version{};   // of the library
  bool bf16 = false;              // products in bf16 are faster than in f32
};

}  // namespace stp

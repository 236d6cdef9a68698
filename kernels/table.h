// One static table of kernels per device, expanded from list.h. A device that lacks a kernel does not link.
#pragma once

#include <string_view>

#include "kernels/attention.h"
#include "kernels/convolution.h"
#include "kernels/device.h"
#include "kernels/elementwise.h"
#include "kernels/image.h"
#include "kernels/image_norm.h"
#include "kernels/linear.h"
#include "kernels/loss.h"
#include "kernels/norm.h"
#include "kernels/optimizer.h"
#include "kernels/reduce.h"
#include "kernels/select.h"
#include "kernels/tubelet.h"

namespace stp {

enum class Device { cpu, cuda, simt };

struct KernelTable {
#define KERNEL(name, Args) void (*name)(const Args&);
#include "kernels/list.h"
#undef KERNEL
  DeviceMemory memory;
};

// Declarations of every kernel of the rooms.
namespace cpu {
#define KERNEL(name, Args) void name(const Args&);
#include "kernels/list.h"
#undef KERNEL
DeviceMemory memory();
DeviceFacts facts();
}  // namespace cpu
// Null where no GPU is at hand, or none was asked for when this was built.
namespace cuda {
#define KERNEL(name, Args) void name(const Args&);
#include "kernels/list.h"
#undef KERNEL
const KernelTable* table();
DeviceFacts facts();
}  // namespace cuda
namespace simt {
#define KERNEL(name, Args) void name(const Args&);
#include "kernels/list.h"
#undef KERNEL
DeviceMemory memory();
DeviceFacts facts();
}  // namespace simt

// The kernels of a device; throws nothing, a device that is not present() yields the table of `cpu`.
const KernelTable& kernels(Device device);

// Whether this machine and this build can run on the device.
bool present(Device device);

std::string_view name_of(Device device);

// What runs the kernels of a device here, for people to read.
DeviceFacts facts_of(Device device);

// Holds the device `cpu` down to an instruction set that it would pass by: "sse4", "avx2" or "avx512"; what a
// processor lacks it still does not use. Once, before any kernel runs. False for any other name.
bool hold_instructions(std::string_view name);

}  // namespace stp

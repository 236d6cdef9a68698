#include "kernels/table.h"

namespace stp {

namespace {

const KernelTable kCpu = {
#define KERNEL(name, Args) cpu::name,
#include "kernels/list.h"
#undef KERNEL
    cpu::memory(),
};

#ifdef STP_SIMT
const KernelTable kSimt = {
#define KERNEL(name, Args) simt::name,
#include "kernels/list.h"
#undef KERNEL
    simt::memory(),
};
const KernelTable* simt_table() { return &kSimt; }
#else
const KernelTable* simt_table() { return nullptr; }
#endif

const KernelTable* table_of(Device device) {
  switch (device) {
    case Device::cpu:
      return &kCpu;
    case Device::simt:
      return simt_table();
    default:
      return cuda::table();
  }
}

}  // namespace

const KernelTable& kernels(Device device) {
  const KernelTable* table = table_of(device);
  return table ? *table : kCpu;
}

bool present(Device device) { return table_of(device) != nullptr; }

DeviceFacts facts_of(Device device) {
  return device == Device::cuda && present(device) ? cuda::facts() : cpu::facts();
}

std::string_view name_of(Device device) {
  switch (device) {
    case Device::cuda:
      return "cuda";
    case Device::simt:
      return "simt";
    default:
      return "cpu";
  }
}

}  // namespace stp

#include "kernels/table.h"

namespace stp {

namespace {

const KernelTable kCpu = {
#define KERNEL(name, Args) cpu::name,
#include "kernels/list.h"
#undef KERNEL
    cpu::memory(),
};

}  // namespace

const KernelTable& kernels(Device) { return kCpu; }

bool present(Device device) { return device == Device::cpu; }

DeviceFacts facts_of(Device) { return cpu::facts(); }

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

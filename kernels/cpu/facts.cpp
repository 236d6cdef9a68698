// What of this processor the kernels use.
#include <hwy/targets.h>

#include "kernels/cpu/library/matmul.h"
#include "kernels/table.h"

namespace stp::cpu {

DeviceFacts facts() {
  // Of the targets that were compiled and that this processor has, the lowest bit is the best.
  const std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return {hwy::TargetName(targets & -targets), kLibrary, library_version(), native_bf16()};
}

}  // namespace stp::cpu

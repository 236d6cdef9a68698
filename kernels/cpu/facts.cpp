// What of this processor the kernels use.
#include <hwy/highway.h>

#include "kernels/cpu/library/matmul.h"
#include "kernels/cpu/tiles.h"
#include "kernels/table.h"

namespace stp::cpu {

DeviceFacts facts() {
  // Of the targets that were compiled and that this processor has, the lowest bit is the best.
  const std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  // Processors with tiles have AVX-512, which Highway calls AVX3.
  const std::string_view instructions =
      tiles::available() ? "AVX3, attention in bf16 by AMX tiles" : hwy::TargetName(targets & -targets);
  return {instructions, kLibrary, library_version(), fast_bf16()};
}

}  // namespace stp::cpu

namespace stp {

bool hold_instructions(std::string_view name) {
  const bool sse4 = name == "sse4", avx2 = name == "avx2";
  if (!sse4 && !avx2 && name != "avx512") return false;
  // Targets are bits, the better ones lower.
  const std::int64_t best = sse4 ? HWY_SSE4 : (avx2 ? HWY_AVX2 : HWY_AVX3);
  hwy::DisableTargets(best - 1);
  cpu::hold_library(name);
  return true;
}

}  // namespace stp

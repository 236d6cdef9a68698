// Rung 4: four pixels of a row at a time.
//
//   to(b, token, value) = clip(b, c, t, y, x)
//
// Plan: as rung 3, but a thread owns four neighbours in x, which channels first keeps side by side in both
// arrays: one access of 16 bytes on either side, one chain of divisions for four values. Other layouts and
// widths take single values. What it teaches: wide accesses need fewer instructions for the same bytes. The
// next rung is kernels/cuda/tubelet.cu, where a thread owns four pixels in all colours and serves channels last
// too.
#include "kernels/ladder/ladder.h"
#include "kernels/ladder/tubelet_place.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kThreads = 128;

template <bool Runs>
__global__ void __launch_bounds__(kThreads) tubelets_4_kernel(ClipToTubelets a) {
  constexpr int kRun = Runs ? 4 : 1;
  const int token = static_cast<int>(blockIdx.x), values = a.geometry.values();
  const Box box = box_of(a.geometry, token);
  float* const to = a.to.f32() + static_cast<std::int64_t>(token) * values;
  for (int v = kRun * static_cast<int>(threadIdx.x); v < values; v += kRun * kThreads) {
    const float* const from = a.clip + place_of(a.geometry, box, v);
    if constexpr (Runs) {
      contribute4(to + v, a.to.add, load4(from));
    } else {
      contribute(to + v, a.to.add, *from);
    }
  }
}

bool whole_runs(const ClipToTubelets& a) {
  const auto aligned = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; };
  return a.geometry.layout == TubeletLayout::channels_first && a.geometry.x % 4 == 0 && aligned(a.clip) &&
         aligned(a.to.data);
}

}  // namespace

void tubelets_4_runs(const ClipToTubelets& a) {
  const dim3 grid(static_cast<unsigned>(tubelets_of(a.geometry)));
  launch("tubelets_4_runs", whole_runs(a) ? tubelets_4_kernel<true> : tubelets_4_kernel<false>, grid,
         dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM::ladder

// Rung 3: a block for each tubelet.
//
//   to(b, token, value) = clip(b, c, t, y, x)
//
// Plan: where the tubelet lies is worked out once, by the block's number; threads walk over its values. What it
// teaches: work that is the same for many threads belongs to the grid, not to the thread: half of the divisions
// are gone.
#include "kernels/ladder/ladder.h"
#include "kernels/ladder/tubelet_place.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) tubelets_3_kernel(ClipToTubelets a) {
  const int token = static_cast<int>(blockIdx.x), values = a.geometry.values();
  const Box box = box_of(a.geometry, token);
  float* const to = a.to.f32() + static_cast<std::int64_t>(token) * values;
  for (int v = static_cast<int>(threadIdx.x); v < values; v += kThreads)
    contribute(to + v, a.to.add, a.clip[place_of(a.geometry, box, v)]);
}

}  // namespace

void tubelets_3_blocks(const ClipToTubelets& a) {
  const dim3 grid(static_cast<unsigned>(tubelets_of(a.geometry)));
  launch("tubelets_3_blocks", tubelets_3_kernel, grid, dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM::ladder

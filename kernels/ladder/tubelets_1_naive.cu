// Rung 1: a thread for each tubelet.
//
//   to(b, token, value) = clip(b, c, t, y, x)
//
// Plan: the thread copies its tubelet value by value. What it teaches: neighbouring threads write a whole
// tubelet apart, so every access of a warp is 32 sectors of which 4 bytes each are used.
#include "kernels/ladder/ladder.h"
#include "kernels/ladder/tubelet_place.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) tubelets_1_kernel(ClipToTubelets a) {
  const int values = a.geometry.values();
  for (std::int64_t token = grid_first(); token < tubelets_of(a.geometry); token += grid_stride()) {
    const Box box = box_of(a.geometry, static_cast<int>(token));
    float* const to = a.to.f32() + token * values;
    for (int v = 0; v < values; ++v) contribute(to + v, a.to.add, a.clip[place_of(a.geometry, box, v)]);
  }
}

}  // namespace

void tubelets_1_naive(const ClipToTubelets& a) {
  const dim3 grid(blocks_for(tubelets_of(a.geometry), kThreads));
  launch("tubelets_1_naive", tubelets_1_kernel, grid, dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM::ladder

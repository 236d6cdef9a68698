// Rung 2: a thread for each value, in the order in which they are written.
//
//   to(b, token, value) = clip(b, c, t, y, x)
//
// Plan: neighbouring threads own neighbouring values, so a warp writes one run and reads runs of x pixels. What
// it teaches: who owns what decides the traffic; the price is a chain of divisions for every value.
#include "kernels/ladder/ladder.h"
#include "kernels/ladder/tubelet_place.cuh"

namespace stp::STP_ROOM::ladder {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) tubelets_2_kernel(ClipToTubelets a) {
  const int values = a.geometry.values();
  const std::int64_t count = static_cast<std::int64_t>(tubelets_of(a.geometry)) * values;
  for (std::int64_t i = grid_first(); i < count; i += grid_stride()) {
    const int token = static_cast<int>(i / values), value = static_cast<int>(i % values);
    const Box box = box_of(a.geometry, token);
    contribute(a.to.f32() + i, a.to.add, a.clip[place_of(a.geometry, box, value)]);
  }
}

}  // namespace

void tubelets_2_coalesced(const ClipToTubelets& a) {
  const std::int64_t count = static_cast<std::int64_t>(tubelets_of(a.geometry)) * a.geometry.values();
  launch("tubelets_2_coalesced", tubelets_2_kernel, dim3(blocks_for(count, kThreads)), dim3(kThreads), 0, a);
}

}  // namespace stp::STP_ROOM::ladder

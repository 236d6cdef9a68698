// Where the values of tubelets lie in a clip: what all rungs of the tubelet embedding share.
#pragma once

#include "kernels/cuda/tile.cuh"
#include "kernels/tubelet.h"

namespace stp::STP_ROOM::ladder {
namespace {

// The box of one tubelet: its clip and its first frame, row and column.
struct Box {
  int b, t, y, x;
};
__device__ __forceinline__ Box box_of(const TubeletGeometry& g, int token) {
  const int columns = g.X / g.x, rows = g.Y / g.y;
  const int row = token / columns, slot = row / rows;
  return {slot / g.slots(), slot % g.slots() * g.t, row % rows * g.y, token % columns * g.x};
}

// The place in the clip of value `value` of a tubelet, whatever its layout.
__device__ __forceinline__ std::int64_t place_of(const TubeletGeometry& g, const Box& box, int value) {
  const int pixels = g.t * g.y * g.x;
  const bool last = g.layout == TubeletLayout::channels_last;
  const int c = last ? value % g.C : value / pixels, pixel = last ? value / g.C : value % pixels;
  const int x = pixel % g.x, y = pixel / g.x % g.y, t = pixel / g.x / g.y;
  const std::int64_t frame = (static_cast<std::int64_t>(box.b) * g.C + c) * g.T + box.t + t;
  return (frame * g.Y + box.y + y) * g.X + box.x + x;
}

constexpr int tubelets_of(const TubeletGeometry& g) { return g.B * g.tokens(); }

}  // namespace
}  // namespace stp::STP_ROOM::ladder

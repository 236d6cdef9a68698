// Between clips and tubelets: copies. Every task owns one row of tubelets of one slot (all pixels of `y`
// picture rows in `t` frames), so both sides are walked in runs of x pixels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/tubelet.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cassert>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/table.h"
#include "kernels/tubelet.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

// A value of each channel, again and again: from index i % C on it fits a vector that begins at element i.
struct ByChannel {
  float at[4 + hn::MaxLanes(Floats())];

  template <class Value>
  ByChannel(int C, const Value& value) {
    for (std::size_t i = 0; i < std::size(at); ++i) at[i] = value(i % static_cast<std::size_t>(C));
  }
};

HWY_INLINE Vector sigmoid(Vector x) {
  const Floats d;
  const Vector one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, exp(hn::Neg(at_least(x, -87.0f)))));
}

void bound_pixels_range(const BoundPixelsForward& a, std::int64_t begin, std::int64_t end) {
  const Floats d;
  const std::size_t first = static_cast<std::size_t>(begin * a.C), C = static_cast<std::size_t>(a.C);
  const ByChannel low(a.C, [&](std::size_t c) { return a.low[c]; }),
      span(a.C, [&](std::size_t c) { return a.high[c] - a.low[c]; });
  const Vector most = hn::Set(d, 255.0f), half = hn::Set(d, 0.5f);
  for_vectors(static_cast<std::size_t>(end - begin) * C, [&](std::size_t i, std::size_t n) {
    Vector s = sigmoid(load(a.x, first + i, n));
    if (a.rounded) s = hn::Div(hn::Floor(hn::MulAdd(s, most, half)), most);
    store(hn::MulAdd(hn::LoadU(d, span.at + i % C), s, hn::LoadU(d, low.at + i % C)), a.out, first + i, n);
  });
}

void bound_pixels_backward_range(const BoundPixelsBackward& a, std::int64_t begin, std::int64_t end) {
  const Floats d;
  const std::size_t first = static_cast<std::size_t>(begin * a.C), C = static_cast<std::size_t>(a.C);
  const ByChannel span(a.C, [&](std::size_t c) { return a.high[c] - a.low[c]; });
  for_vectors(static_cast<std::size_t>(end - begin) * C, [&](std::size_t i, std::size_t n) {
    const Vector s = sigmoid(load(a.x, first + i, n));
    // forward: out = low + (high - low) s(x); the rounding passes its gradient straight through
    const Vector slope = hn::Mul(hn::LoadU(d, span.at + i % C), hn::NegMulAdd(s, s, s));
    store(hn::Mul(load(a.dout, first + i, n), slope), a.dx, first + i, n);
  });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(bound_pixels_range);
HWY_EXPORT(bound_pixels_backward_range);

namespace {

constexpr std::int64_t kPixels = 4096;  // a thread takes at a time

// Calls body(clip offset of the run, tubelet offset of its first pixel, step between its pixels) for each run
// of `x` pixels of a channel, over all tubelets, in parallel.
template <class Body>
void for_runs(const TubeletGeometry& g, const Body& body) {
  const std::int64_t rows = g.Y / g.y, columns = g.X / g.x, slots = g.slots();
  const bool last = g.layout == TubeletLayout::channels_last;
  parallel_for(g.B * slots * rows, [&](std::int64_t task) {
    const std::int64_t row = task % rows, slot = task / rows % slots, b = task / rows / slots;
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t token = ((b * slots + slot) * rows + row) * columns + column;
      for (std::int64_t c = 0; c < g.C; ++c) {
        for (std::int64_t t = 0; t < g.t; ++t) {
          for (std::int64_t y = 0; y < g.y; ++y) {
            const std::int64_t clip =
                (((b * g.C + c) * g.T + slot * g.t + t) * g.Y + row * g.y + y) * g.X + column * g.x;
            const std::int64_t first = last ? ((t * g.y + y) * g.x) * g.C + c : ((c * g.t + t) * g.y + y) * g.x;
            body(clip, token * g.values() + first, last ? g.C : 1);
          }
        }
      }
    }
  });
}

struct Normalisation {
  float value[3][256];

  explicit Normalisation(const FramesToTubelets& a) {
    for (int c = 0; c < 3; ++c) {
      for (int pixel = 0; pixel < 256; ++pixel) {
        value[c][pixel] = (static_cast<float>(pixel) / 255.0f - a.mean[c]) / a.deviation[c];
      }
    }
  }
};

}  // namespace

void clip_to_tubelets(const ClipToTubelets& a) {
  assert(a.to.type == Element::f32);
  for_runs(a.geometry, [&](std::int64_t clip, std::int64_t tubelet, std::int64_t step) {
    for (int x = 0; x < a.geometry.x; ++x) {
      contribute(a.to, tubelet + x * step, a.clip[clip + x]);
    }
  });
}

void tubelets_to_clip(const TubeletsToClip& a) {
  assert(a.tubelets.type == Element::f32);
  const float* const from = a.tubelets.f32();
  for_runs(a.geometry, [&](std::int64_t clip, std::int64_t tubelet, std::int64_t step) {
    for (int x = 0; x < a.geometry.x; ++x) {
      contribute(a.to, clip + x, from[tubelet + x * step]);
    }
  });
}

void frames_to_tubelets(const FramesToTubelets& a) {
  assert(a.to.type == Element::f32);
  const Normalisation normal(a);
  const TubeletGeometry& g = a.geometry;
  float* const to = a.to.f32();
  for_runs(g, [&](std::int64_t clip, std::int64_t tubelet, std::int64_t step) {
    // The run's place in the clip, read back from its offset.
    const std::int64_t x0 = clip % g.X, y = clip / g.X % g.Y, t = clip / g.X / g.Y % g.T;
    const std::int64_t c = clip / g.X / g.Y / g.T % 3, b = clip / g.X / g.Y / g.T / 3;
    const std::int64_t crop_y = a.crop ? a.crop[2 * b] : 0, crop_x = a.crop ? a.crop[2 * b + 1] : 0;
    const bool flip = a.flip && a.flip[b] != 0;
    const std::uint8_t* const row = a.frames + ((b * g.T + t) * a.source_y + crop_y + y) * a.source_x * 3;
    for (int x = 0; x < g.x; ++x) {
      const std::int64_t column = crop_x + (flip ? g.X - 1 - (x0 + x) : x0 + x);
      to[tubelet + x * step] = normal.value[c][row[column * 3 + c]];
    }
  });
}

void bound_pixels_forward(const BoundPixelsForward& a) {
  parallel_ranges(a.rows, kPixels, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(bound_pixels_range)(a, begin, end);
  });
}

void bound_pixels_backward(const BoundPixelsBackward& a) {
  parallel_ranges(a.rows, kPixels, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(bound_pixels_backward_range)(a, begin, end);
  });
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

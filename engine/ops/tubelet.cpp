#include <algorithm>

#include "engine/ops.h"

namespace stp {

namespace {

void check_geometry(const char* op, const TubeletGeometry& g) {
  check(g.t > 0 && g.y > 0 && g.x > 0 && g.T % g.t == 0 && g.Y % g.y == 0 && g.X % g.x == 0,
        "{}: a clip of {} x {} x {} is not divisible by the tubelet {} x {} x {}; choose a clip size of whole "
        "tubelets",
        op, g.T, g.Y, g.X, g.t, g.y, g.x);
}

Shape clip_shape(const TubeletGeometry& g) { return {g.B, g.C, g.T, g.Y, g.X}; }
Shape tubelet_shape(const TubeletGeometry& g) { return {g.B, g.tokens(), g.values()}; }

}  // namespace

Tensor clip_to_tubelets(Tape* tape, const Tensor& clip, const TubeletGeometry& g) {
  check_geometry("clip_to_tubelets", g);
  check(clip.shape() == clip_shape(g), "clip_to_tubelets: clip is {}, wanted {}", clip.shape(), clip_shape(g));
  Tensor out(clip.backend(), tubelet_shape(g));
  clip.backend().run(&KernelTable::clip_to_tubelets,
                     {.clip = clip.f32(), .to = out.overwritten(), .geometry = g});
  if (!records(tape, {clip})) return out;
  tape->record({out}, [clip = clip.slot(), out = out.slot(), g] {
    const TubeletsToClip backward = {.tubelets = out.gradient(), .to = clip.grad(), .geometry = g};
    out.backend().run(&KernelTable::tubelets_to_clip, backward);
  });
  return out;
}

Tensor tubelets_to_clip(Tape* tape, const Tensor& tubelets, const TubeletGeometry& g) {
  check_geometry("tubelets_to_clip", g);
  check(tubelets.shape() == tubelet_shape(g), "tubelets_to_clip: tubelets are {}, wanted {}", tubelets.shape(),
        tubelet_shape(g));
  Tensor out(tubelets.backend(), clip_shape(g));
  tubelets.backend().run(&KernelTable::tubelets_to_clip,
                         {.tubelets = tubelets.in(), .to = out.overwritten(), .geometry = g});
  if (!records(tape, {tubelets})) return out;
  tape->record({out}, [tubelets = tubelets.slot(), out = out.slot(), g] {
    const ClipToTubelets backward = {.clip = out.gradient().f32(), .to = tubelets.grad(), .geometry = g};
    out.backend().run(&KernelTable::clip_to_tubelets, backward);
  });
  return out;
}

Tensor frames_to_tubelets(const FrameBatch& frames, const TubeletGeometry& g) {
  check_geometry("frames_to_tubelets", g);
  const Shape& s = frames.pixels.shape();
  check(s.rank() == 5 && s[0] == g.B && s[1] == g.T && s[4] == 3 && g.C == 3 && s[2] >= g.Y && s[3] >= g.X,
        "frames_to_tubelets: frames are {}, wanted ({}, {}, at least {}, at least {}, 3)", s, g.B, g.T, g.Y,
        g.X);
  check(!frames.crop || frames.crop.shape() == Shape{g.B, 2}, "frames_to_tubelets: crop is {}, wanted (B, 2)",
        frames.crop.shape());
  check(!frames.flip || frames.flip.shape() == Shape{g.B}, "frames_to_tubelets: flip is {}, wanted (B)",
        frames.flip.shape());
  Tensor out(frames.pixels.backend(), tubelet_shape(g));
  FramesToTubelets args = {
      .frames = frames.pixels.data(),
      .crop = frames.crop.data(),
      .flip = frames.flip.data(),
      .to = out.out(),
      .geometry = g,
      .source_y = static_cast<int>(s[2]),
      .source_x = static_cast<int>(s[3]),
      .mean = {},
      .deviation = {},
  };
  std::copy(frames.mean, frames.mean + 3, args.mean);
  std::copy(frames.deviation, frames.deviation + 3, args.deviation);
  out.backend().run(&KernelTable::frames_to_tubelets, args);
  return out;
}

Tensor bound_pixels(Tape* tape, const Tensor& x, const PixelRange& range, bool rounded) {
  check(x.elements() % 3 == 0, "bound_pixels: x is {}, wanted (..., 3)", x.shape());
  Tensor out(x.backend(), x.shape(), x.type());
  BoundPixelsForward forward = {.x = x.in(),
                                .out = out.out(),
                                .rows = x.elements() / 3,
                                .C = 3,
                                .low = {},
                                .high = {},
                                .rounded = rounded};
  std::copy(range.low, range.low + 3, forward.low);
  std::copy(range.high, range.high + 3, forward.high);
  x.backend().run(&KernelTable::bound_pixels_forward, forward);
  if (!records(tape, {x})) return out;
  tape->record({out}, [x, out = out.slot(), forward] {
    BoundPixelsBackward backward = {.x = x.in(),
                                    .dout = out.gradient(),
                                    .dx = x.grad(),
                                    .rows = forward.rows,
                                    .C = 3,
                                    .low = {},
                                    .high = {}};
    std::copy(forward.low, forward.low + 3, backward.low);
    std::copy(forward.high, forward.high + 3, backward.high);
    x.backend().run(&KernelTable::bound_pixels_backward, backward);
  });
  return out;
}

}  // namespace stp

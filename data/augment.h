// Changes of colour and the like for training clips. One draw serves all frames of a clip, so that nothing
// flickers; a draw is a pure function of (seed, epoch, item), so that order, threads and resuming do not
// matter.
//
// The changes of one draw, in this order, on values in [0, 1]; e.g. brightness b maps v to clamp(b v):
//   brightness b   v <- b v
//   contrast c     v <- m + c (v - m), m the clip's mean luma (ITU-R BT.601) at this point
//   gamma g        v <- v^g
//   saturation s   chroma <- s chroma         (luma unchanged)
//   hue h          chroma turned by h of a full circle (rotation of the colour-difference plane, luma
//   unchanged) grayscale      chroma <- 0 erasing        a square of mid-gray
// The first three are one table per channel value, the next three one matrix in fixed point: integers, the same
// everywhere.
#pragma once

#include <cstdint>
#include <span>

#include "engine/rng.h"

namespace stp {

// With probability `chance` a value uniform in low .. high, otherwise no change.
struct Jitter {
  double chance = 0, low = 1, high = 1;
};

struct AugmentSpec {
  double flip = 0.5;  // probability of a mirrored clip (done while scaling); 0 where left and right matter
  Jitter brightness{0, 0.9, 1.1}, contrast{0, 0.9, 1.1}, gamma{0, 0.85, 1.15}, saturation{0, 0.9, 1.1};
  Jitter hue{0, -0.05, 0.05};   // in turns, -0.5 .. 0.5
  double grayscale = 0;         // probability
  Jitter erase{0, 0.08, 0.17};  // side of the square, as part of the shorter side of the clip
};

// Throws Error (usage) that names the field of a bad probability or range.
void check_augment_spec(const AugmentSpec& spec);

// What happens to one clip of Y rows and X columns.
struct Augmentation {
  bool flip = false, grayscale = false;
  double brightness = 1, contrast = 1, gamma = 1, saturation = 1, hue = 0;
  int erase_side = 0, erase_y = 0, erase_x = 0;  // pixels; side 0: nothing erased
};

// Every change has its own place in the stream: what one of them draws does not depend on the spec of another.
Augmentation draw_augmentation(const AugmentSpec& spec, int Y, int X, std::uint64_t seed, std::uint64_t epoch,
                               std::uint64_t item);

// Applies all but the flip in place. pixels: (T, Y, X, 3), 8-bit RGB.
void apply(const Augmentation& augmentation, std::span<std::uint8_t> pixels, int T, int Y, int X);

}  // namespace stp

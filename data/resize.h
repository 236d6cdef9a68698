// Scaling of 8-bit RGB frames for training, in integers: the same bits on every machine.
//
// Output pixel i of n over an interval [a, a + e) of the source is the mean of the source pixels around its
// centre c = a + (i + 1/2) s, s = e / n, weighted by a triangle of half-width r = max(s, 1): bilinear
// interpolation when enlarging, and no aliasing when reducing (the filter of Pillow's BILINEAR and of
// antialias=True in PyTorch). Rows and columns are done one after the other. Only pixels that the interval
// touches take part: what lies outside the region has no influence, so scaling a region equals cutting it out
// first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/clip.h"
#include "data/resize_lines.h"

namespace stp {

// A part of a frame in pixels; fractions are allowed.
struct Region {
  double x = 0, y = 0, width = 0, height = 0;

  static Region of(const Crop& crop);
  static Region whole(int height, int width);
};

// The weights of one scaling, made once for all frames of a clip.
class Resizer {
 public:
  // From `region` of frames of height x width to Y rows and X columns; `flip` exchanges left and right. With
  // flip the result is, bit for bit, that of the mirrored frame and the mirrored region without flip. Throws
  // Error (usage) if the region is empty or leaves the frame, or a size is below 1.
  Resizer(int height, int width, const Region& region, int Y, int X, bool flip = false);

  // rgb: (height, width, 3), out: (Y, X, 3). The same Resizer serves one thread at a time.
  void operator()(std::span<const std::uint8_t> rgb, std::span<std::uint8_t> out);

 private:
  using Axis = std::vector<Taps>;
  static Taps taps_at(double centre, double radius, int pixels, bool even);
  static Axis make_axis(double begin, double extent, int size, int n);

  int height_, width_, Y_, X_;
  Axis rows_, columns_;
  int low_ = 0, high_ = 0;          // the source columns in use
  std::vector<std::int32_t> line_;  // ((high - low), 3) one blended row, and one value more
};

// One frame at once.
void resize(std::span<const std::uint8_t> rgb, int height, int width, const Crop& crop, int Y, int X, bool flip,
            std::span<std::uint8_t> out);

}  // namespace stp

// Between clips and tubelets. A tubelet is a box of t frames, y rows and x columns; tubelets are ordered (slot,
// row, column), slot slowest. A convolution whose kernel equals its stride is a linear layer on tubelets laid
// out like its weight, (channel, t, y, x); the pixel head of STPrivacy writes them (t, y, x, channel).
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

enum class TubeletLayout : std::uint8_t {
  channels_first,  // (C, t, y, x): the weight of a 3-D convolution
  channels_last,   // (t, y, x, C): the released pixel head
};

struct TubeletGeometry {
  int B, C, T, Y, X;  // the clip
  int t, y, x;        // the tubelet; T, Y, X are multiples
  TubeletLayout layout;

  constexpr int slots() const { return T / t; }
  constexpr int tokens_of_slot() const { return (Y / y) * (X / x); }
  constexpr int tokens() const { return slots() * tokens_of_slot(); }
  constexpr int values() const { return C * t * y * x; }  // of one tubelet
};

// to = the tubelets of the clip. Also the backward of TubeletsToClip.
struct ClipToTubelets {
  const float* clip;  // (B, C, T, Y, X)
  Grad to;            // (B, N, values)
  TubeletGeometry geometry;
};

// to = the clip put together from its tubelets. Also the backward of ClipToTubelets.
struct TubeletsToClip {
  In tubelets;  // (B, N, values)
  Grad to;      // (B, C, T, Y, X) f32
  TubeletGeometry geometry;
};

// Tubelets straight from decoded frames: crop, flip and normalisation folded into the copy.
//   value = (pixel / 255 - mean_c) / deviation_c, of the pixel at (crop_y + row, crop_x + column), columns
//   mirrored within the crop where flip is set
struct FramesToTubelets {
  const std::uint8_t* frames;  // (B, T, source_y, source_x, 3)
  const int* crop;             // (B, 2) first row and column of each clip's crop; null: 0, 0
  const std::uint8_t* flip;    // (B); null: none
  Out to;                      // (B, N, values)
  TubeletGeometry geometry;    // C = 3; Y, X the size of the crop
  int source_y, source_x;
  float mean[3], deviation[3];
};

// Pixel values of a real picture from unbounded ones, per channel c (the fastest index of x):
//   out = low_c + (high_c - low_c) round_255(sigmoid(x)), rounding to multiples of 1/255 if asked, with the
//   gradient of the function without rounding (straight-through). What is delivered in 8 bits is then what was
//   judged.
struct BoundPixelsForward {
  In x;     // (rows, C)
  Out out;  // (rows, C)
  std::int64_t rows;
  int C;  // at most 4
  float low[4], high[4];
  bool rounded;
};
// dx = dout (high_c - low_c) s (1 - s), s = sigmoid(x)
struct BoundPixelsBackward {
  In x, dout;  // (rows, C)
  Grad dx;     // (rows, C)
  std::int64_t rows;
  int C;
  float low[4], high[4];
};

inline Cost tubelet_copy_cost(const TubeletGeometry& g, double in_bytes, double out_bytes) {
  const double n = static_cast<double>(g.B) * g.C * g.T * g.Y * g.X;
  return {0, n * (in_bytes + out_bytes), 0};
}
inline Cost cost(const ClipToTubelets& a) {
  return tubelet_copy_cost(a.geometry, 4, static_cast<double>(bytes_of(a.to.type)) * (a.to.add ? 2 : 1));
}
inline Cost cost(const TubeletsToClip& a) {
  return tubelet_copy_cost(a.geometry, static_cast<double>(bytes_of(a.tubelets.type)), a.to.add ? 8 : 4);
}
inline Cost cost(const FramesToTubelets& a) {
  return tubelet_copy_cost(a.geometry, 1, static_cast<double>(bytes_of(a.to.type)));
}
inline Cost cost(const BoundPixelsForward& a) {
  const double n = static_cast<double>(a.rows) * a.C;
  return {4 * n, 2 * n * static_cast<double>(bytes_of(a.x.type)), n};
}
inline Cost cost(const BoundPixelsBackward& a) {
  const double n = static_cast<double>(a.rows) * a.C;
  return {6 * n, 3 * n * static_cast<double>(bytes_of(a.x.type)), n};
}

}  // namespace stp

// Eight-bit 4:2:0 pictures, which nearly all footage is, to RGB. The pixels are those of FFmpeg's scaler with
// the options of picture.cpp, in a third of its time or less; only where its sums leave 32 bits (whiter than
// white and at the end of the chroma range, where it turns light into dark) is the result the clipped true one.
//
// Chroma across, in quarters: on even columns the sample there and between two of them their mean (left
// siting), or 3/4 of the nearer and 1/4 of the other (centred). Chroma down: row 2 k + 1 takes chroma row k,
// row 2 k and the very last row the mean of two; the scaler rounds weights of 3/4 and 1/4 to these. Beyond the
// edge lies the edge. With all weights in 2^-13 and C the chroma less 128 in eighths:
//   red = (8 (Y - black) luma + V red_v + 2^15) >> 16, and so on, clipped to 0 .. 255.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stp {

struct Yuv420 {
  int width = 0, height = 0;  // even, at least 4
  const std::uint8_t *y = nullptr, *u = nullptr, *v = nullptr;
  std::ptrdiff_t y_stride = 0, u_stride = 0, v_stride = 0;
  bool centred = false;  // where the chroma samples of a row sit
};

struct ColourWeights {
  std::int32_t black = 0, luma = 0, red_v = 0, green_u = 0, green_v = 0, blue_u = 0;
};

// rgb: (height, width, 3).
void yuv420_to_rgb(const Yuv420& picture, const ColourWeights& weights, std::uint8_t* rgb);

}  // namespace stp

// Batch norm and instance norm of images: out = (x - mean) rstd weight_c + bias_c, rstd = 1 / sqrt(variance +
// epsilon). A plane is one channel of one image. Instance norm has a mean and a variance for each plane; batch
// norm for each channel, over all B planes, and in evaluation those that training has left behind.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

struct ImageNormForward {
  const float* x;       // (B, C, n)
  const float* weight;  // (C)
  const float* bias;    // (C)
  float* out;           // (B, C, n)
  float* mean;          // (groups) saved; groups is C, or B C for instance norm
  float* rstd;          // (groups) saved
  float* partial;       // (B, C, 2) scratch: mean and sum of squared deviations of each plane
  float* running_mean;  // (C) read if `fixed`, else moved by momentum times the way to this batch's; null: none
  float* running_variance;  // (C) likewise, with the unbiased variance of this batch
  int B, C, n;
  bool instance;  // statistics of each plane; neither running nor fixed
  bool fixed;     // the running statistics instead of this batch's
  float epsilon, momentum;
};

// With N = (x - mean) rstd, g = dout weight, and means over the planes that share statistics:
//   dx = rstd (g - mean(g) - N mean(g N)), or rstd g where the statistics are fixed
//   dweight = sum of dout N      dbias = sum of dout
struct ImageNormBackward {
  const float* x;       // (B, C, n)
  const float* weight;  // (C)
  const float* mean;    // forward's
  const float* rstd;    // forward's
  const float* dout;    // (B, C, n)
  Grad dx;              // (B, C, n) f32
  Grad dweight, dbias;  // (C) f32
  float* partial;       // (B, C, 2) scratch: sums of dout and of dout N of each plane
  int B, C, n;
  bool instance, fixed;
};

inline Cost cost(const ImageNormForward& a) {
  const double n = 1.0 * a.B * a.C * a.n;
  return {(a.fixed ? 2 : 6) * n, 8 * n, 0};
}
inline Cost cost(const ImageNormBackward& a) {
  const double n = 1.0 * a.B * a.C * a.n;
  return {10 * n, (8 + (a.dx ? (a.dx.add ? 8 : 4) : 0)) * n, 0};
}

}  // namespace stp

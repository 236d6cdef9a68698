// Convolution of images (cross-correlation, as networks have it) through the device's library (oneDNN, cuDNN):
//   out_o(y, x) = bias_o + sum over i, j, k of w_oi(j, k) x_i(stride y + j - padding, stride x + k - padding)
// with zeros around the image. A transposed convolution needs no kernel of its own: its forward is the dx of
// the convolution that goes the other way, its dx is that one's forward, and its dweight is that one's with x
// and dout exchanged. The gradient of a bias is sum_channels (image.h).
#pragma once

#include "kernels/cost.h"
#include "kernels/element.h"
#include "kernels/window.h"

namespace stp {

// What is convolved, forwards and backwards: B images of I channels become O channels.
struct ConvolutionSizes {
  int B, I, Y, X, O;
  Window window;

  constexpr int out_Y() const { return window.places_Y(Y); }
  constexpr int out_X() const { return window.places_X(X); }
  double inputs() const { return 1.0 * B * I * Y * X; }
  double outputs() const { return 1.0 * B * O * out_Y() * out_X(); }
  double weights() const { return 1.0 * O * I * window.size(); }
  double flops() const { return 2.0 * outputs() * I * window.size(); }
};

struct ConvolutionForward {
  const float* x;       // (B, I, Y, X)
  const float* weight;  // (O, I, window rows, window columns)
  const float* bias;    // (O); null: none
  Grad out;             // (B, O, out_Y, out_X) f32, written or added to
  ConvolutionSizes sizes;
};

// dx_i(stride y + j - padding, ...) += w_oi(j, k) dout_o(y, x)      dw_oi(j, k) += dout_o(y, x) x_i(...)
struct ConvolutionBackward {
  const float* x;       // as in forward; needed for dweight
  const float* weight;  // as in forward; needed for dx
  const float* dout;    // (B, O, out_Y, out_X)
  Grad dx;              // (B, I, Y, X) f32
  Grad dweight;         // (O, I, window rows, window columns) f32
  ConvolutionSizes sizes;
};

inline Cost cost(const ConvolutionForward& a) {
  const ConvolutionSizes& s = a.sizes;
  return {s.flops(), 4 * (s.inputs() + s.weights() + s.outputs() * (a.out.add ? 2 : 1)), 0};
}

inline Cost cost(const ConvolutionBackward& a) {
  const ConvolutionSizes& s = a.sizes;
  Cost sum{0, 4 * s.outputs(), 0};
  if (a.dx) sum += {s.flops(), 4 * (s.weights() + s.inputs() * (a.dx.add ? 2 : 1)), 0};
  if (a.dweight) sum += {s.flops(), 4 * (s.inputs() + s.weights()), 0};
  return sum;
}

}  // namespace stp

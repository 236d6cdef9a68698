// What convolutional networks need besides convolution, on images (B, C, Y, X) in f32; n stands for Y X.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"
#include "kernels/window.h"

namespace stp {

// out = max(x, 0); NaN stays NaN.
struct ReluForward {
  const float* x;  // (count)
  float* out;      // (count)
  std::int64_t count;
};

// dx = dout where out > 0, else 0
struct ReluBackward {
  const float *out, *dout;  // (count)
  Grad dx;                  // (count) f32
  std::int64_t count;
};

// out = 1 / (1 + e^(-slope x)); slope 2 makes it (tanh x + 1) / 2.
struct SigmoidForward {
  const float* x;  // (count)
  float* out;      // (count)
  std::int64_t count;
  float slope;
};

// dx = slope dout out (1 - out)
struct SigmoidBackward {
  const float *out, *dout;  // (count)
  Grad dx;                  // (count) f32
  std::int64_t count;
  float slope;
};

// x += shift_c: the bias of a transposed convolution.
struct ShiftChannels {
  float* x;            // (B, C, n)
  const float* shift;  // (C)
  int B, C, n;
};

// sum_c = sum over b and n of x: the gradient of a bias.
struct SumChannels {
  const float* x;  // (B, C, n)
  float* partial;  // (B, C) scratch: sums of single planes, added in order
  Grad sum;        // (C) f32
  int B, C, n;
};

// to = from, or to += from, for `rows` rows of `width` that lie `pitch` apart: joining and parting channels.
struct CopyRows {
  const float* from;
  Grad to;  // f32
  std::int64_t rows, width, from_pitch, to_pitch;
};

// (A, P, Q, n) -> (A, Q, P, n): from the channels of a clip to its frames and back.
struct SwapAxes {
  const float* x;  // (A, P, Q, n)
  Grad out;        // (A, Q, P, n) f32
  int A, P, Q, n;
};

// The highest value in each window; padding never counts; of equal values the first, row by row; NaN is
// highest.
struct MaxPoolForward {
  const float* x;  // (B, C, Y, X)
  float* out;      // (B, C, out_Y, out_X)
  int* position;   // (B, C, out_Y, out_X) saved: where it was, y X + x; null: not wanted
  int B, C, Y, X;
  Window window;  // padding smaller than its rows and columns
};

// dx = sum over the windows that chose this position of dout
struct MaxPoolBackward {
  const float* dout;    // (B, C, out_Y, out_X)
  const int* position;  // forward's
  Grad dx;              // (B, C, Y, X) f32
  int B, C, Y, X;
  Window window;
};

// The mean of each window; padding counts as zeros.
struct AveragePoolForward {
  const float* x;  // (B, C, Y, X)
  float* out;      // (B, C, out_Y, out_X)
  int B, C, Y, X;
  Window window;
};

// dx = sum over the windows that hold this position of dout / window size
struct AveragePoolBackward {
  const float* dout;  // (B, C, out_Y, out_X)
  Grad dx;            // (B, C, Y, X) f32
  int B, C, Y, X;
  Window window;
};

// Where output `place` of `outputs` reads `inputs` values: (1 - share) at `first` and share at `second`. The
// corners of both are one point each (align_corners), or the areas that both cover are the same. Positions are
// whole numbers over a common denominator, so they are exact.
struct Tap {
  int first, second;
  float share;
};
struct UpsampleAxis {
  int inputs, outputs;
  bool align_corners;

  // Positions are numerator(place) / denominator().
  constexpr int denominator() const { return align_corners ? (outputs > 1 ? outputs - 1 : 1) : 2 * outputs; }
  constexpr int numerator(int place) const {
    if (align_corners) return place * (inputs - 1);
    const int position = (2 * place + 1) * inputs - outputs;
    return position > 0 ? position : 0;
  }
  constexpr Tap tap(int place) const {
    const int d = denominator(), position = numerator(place), first = position / d;
    if (first >= inputs - 1) return {inputs - 1, inputs - 1, 0};
    return {first, first + 1, static_cast<float>(position - first * d) / static_cast<float>(d)};
  }
  // How much output `place` takes from an input.
  constexpr float share(int place, int input) const {
    const Tap t = tap(place);
    return (t.first == input ? 1 - t.share : 0.0f) + (t.second == input ? t.share : 0.0f);
  }
  // The outputs that may read an input: those with a position in (input - 1, input + 1), and at the last input
  // all behind it.
  constexpr Places readers(int input) const {
    const int d = denominator();
    const int step = align_corners ? inputs - 1 : 2 * inputs, offset = align_corners ? 0 : inputs - outputs;
    if (step == 0) return {0, outputs};
    // position = step place + offset
    const int above = (input - 1) * d - offset, below = (input + 1) * d - offset;
    const int first = above < 0 ? 0 : above / step + 1, last = (below + step - 1) / step;
    return {input == 0 ? 0 : first, input == inputs - 1 || last > outputs ? outputs : last};
  }
};

// Bilinear, to any size.
struct UpsampleForward {
  const float* x;  // (planes, rows.inputs, columns.inputs)
  float* out;      // (planes, rows.outputs, columns.outputs)
  std::int64_t planes;
  UpsampleAxis rows, columns;
};

// dx(y, x) = sum over outputs of share_y share_x dout
struct UpsampleBackward {
  const float* dout;  // (planes, rows.outputs, columns.outputs)
  Grad dx;            // (planes, rows.inputs, columns.inputs) f32
  std::int64_t planes;
  UpsampleAxis rows, columns;
};

inline Cost cost(const ReluForward& a) { return {0, 8.0 * static_cast<double>(a.count), 0}; }
inline Cost cost(const ReluBackward& a) {
  return {0, (a.dx.add ? 16.0 : 12.0) * static_cast<double>(a.count), 0};
}
inline Cost cost(const SigmoidForward& a) {
  const double n = static_cast<double>(a.count);
  return {3 * n, 8 * n, n};
}
inline Cost cost(const SigmoidBackward& a) {
  const double n = static_cast<double>(a.count);
  return {4 * n, (a.dx.add ? 16 : 12) * n, 0};
}
inline Cost cost(const ShiftChannels& a) {
  const double n = 1.0 * a.B * a.C * a.n;
  return {n, 8 * n, 0};
}
inline Cost cost(const SumChannels& a) {
  const double n = 1.0 * a.B * a.C * a.n;
  return {n, 4 * n, 0};
}
inline Cost cost(const CopyRows& a) {
  const double n = static_cast<double>(a.rows) * static_cast<double>(a.width);
  return {a.to.add ? n : 0, (a.to.add ? 12 : 8) * n, 0};
}
inline Cost cost(const SwapAxes& a) {
  const double n = 1.0 * a.A * a.P * a.Q * a.n;
  return {a.out.add ? n : 0, (a.out.add ? 12 : 8) * n, 0};
}

// Elements on both sides of a window, pooling's contracts.
template <class Pool>
double pool_inputs(const Pool& a) {
  return 1.0 * a.B * a.C * a.Y * a.X;
}
template <class Pool>
double pool_outputs(const Pool& a) {
  return 1.0 * a.B * a.C * a.window.places_Y(a.Y) * a.window.places_X(a.X);
}
inline Cost cost(const MaxPoolForward& a) {
  return {0, 4 * pool_inputs(a) + (a.position ? 8 : 4) * pool_outputs(a), 0};
}
inline Cost cost(const MaxPoolBackward& a) {
  return {pool_outputs(a), 8 * pool_outputs(a) + (a.dx.add ? 8 : 4) * pool_inputs(a), 0};
}
inline Cost cost(const AveragePoolForward& a) {
  return {a.window.size() * pool_outputs(a), 4 * (pool_inputs(a) + pool_outputs(a)), 0};
}
inline Cost cost(const AveragePoolBackward& a) {
  return {a.window.size() * pool_outputs(a), 4 * pool_outputs(a) + (a.dx.add ? 8 : 4) * pool_inputs(a), 0};
}
inline Cost cost(const UpsampleForward& a) {
  const double planes = static_cast<double>(a.planes);
  const double in = planes * a.rows.inputs * a.columns.inputs,
               out = planes * a.rows.outputs * a.columns.outputs;
  return {6 * out, 4 * (in + out), 0};
}
inline Cost cost(const UpsampleBackward& a) {
  const double planes = static_cast<double>(a.planes);
  const double in = planes * a.rows.inputs * a.columns.inputs,
               out = planes * a.rows.outputs * a.columns.outputs;
  return {8 * out, 4 * out + (a.dx.add ? 8 : 4) * in, 0};
}

}  // namespace stp

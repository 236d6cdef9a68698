// Convolutions of the device `cpu`, by oneDNN. Arrays and sizes as in kernels/convolution.h.
#pragma once

#include "kernels/convolution.h"

namespace stp::cpu {

// out = convolution of x + bias (or null: none); `add`: out += ...
void convolve(const ConvolutionSizes& sizes, const float* x, const float* weight, const float* bias, float* out,
              bool add);
// dx and dweight are written.
void convolve_to_input(const ConvolutionSizes& sizes, const float* dout, const float* weight, float* dx);
void convolve_to_weight(const ConvolutionSizes& sizes, const float* x, const float* dout, float* dweight);

}  // namespace stp::cpu

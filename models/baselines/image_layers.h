// The layers of convolutional networks, as plain structs of tensors with a forward function; images are (B, C,
// Y, X). Names are torch.nn's.
#pragma once

#include "engine/ops.h"
#include "engine/parameters.h"

namespace stp {

inline constexpr std::int64_t kColours = 3;  // the channels of a picture

// weight (O, I, side, side), bias (O) if there is one.
struct Convolution {
  Tensor weight, bias;
  ConvolutionForm form;

  Convolution() = default;
  // `start` of the weight; a bias starts within 1 / sqrt(inputs of a sum), as torch.nn.Conv2d's.
  Convolution(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, int side,
              const ConvolutionForm& how, bool with_bias, Init start);
  Tensor operator()(Tape* tape, const Tensor& x) const { return convolution(tape, x, weight, bias, form); }
};

// How torch.nn.Conv2d starts: uniform within 1 / sqrt(inputs of a sum).
Init uniform_start(std::int64_t inputs, int side);

// Doubles rows and columns: side 3, stride 2. weight (I, O, 3, 3), no bias: a norm follows.
struct DoublingConvolution {
  Tensor weight;

  DoublingConvolution() = default;
  DoublingConvolution(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, Init start);
  Tensor operator()(Tape* tape, const Tensor& x) const {
    return transposed_convolution(tape, x, weight, {}, {2, 1}, 1);
  }
};

// Training moves the running statistics whether or not the network is frozen: who only passes gradients on asks
// for evaluation.
struct BatchNorm {
  Tensor weight, bias;
  RunningStatistics running;

  BatchNorm() = default;
  BatchNorm(const ParameterScope& scope, std::int64_t channels);
  Tensor operator()(Tape* tape, const Tensor& x, NormMode mode) const {
    return batch_norm(tape, x, weight, bias, running, mode);
  }
};

struct InstanceNorm {
  Tensor weight, bias;
  float epsilon = 1e-5f;

  InstanceNorm() = default;
  InstanceNorm(const ParameterScope& scope, std::int64_t channels, float eps);
  Tensor operator()(Tape* tape, const Tensor& x) const { return instance_norm(tape, x, weight, bias, epsilon); }
};

// The frames of clips (B, C, T, Y, X), as images (B T, C, Y, X), and back to clips of T frames.
Tensor frames_of(Tape* tape, const Tensor& clips);
Tensor clips_of(Tape* tape, const Tensor& frames, std::int64_t T);

}  // namespace stp

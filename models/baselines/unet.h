// The UNet that rewrites a video frame by frame (SPAct's anonymiser, after Ronneberger et al. 2015): four steps
// down by max-pooling, four up by bilinear doubling, each joined with what went down; two 3 x 3 convolutions
// with batch norm at every size; values in [0, 1] in and out. Names are the PyTorch model's.
#pragma once

#include <array>

#include "models/baselines/image_layers.h"

namespace stp {

struct UNetOptions {
  std::int64_t width = 64;  // channels at full size; then 2, 4, 8 and 8 times as many
  // Between the two convolutions of a step up lie half of the joined channels, 17.3 million parameters in all;
  // or, as in older versions of the code that SPAct took over, as many as come out, 13.4 million.
  bool narrow = false;

  // Throws Error (usage) unless the width is positive and even.
  void validate() const;
};

class UNet {
 public:
  UNet(const Backend& backend, const Seed& seed, const UNetOptions& options = {});

  // Images (B, 3, Y, X) with Y and X multiples of 16 -> the same shape.
  Tensor images(Tape* tape, const Tensor& x, NormMode mode) const;
  // Clips (B, 3, T, Y, X), each frame by itself; in training the batch norms look at all of them together.
  Tensor clips(Tape* tape, const Tensor& x, NormMode mode) const;

  const UNetOptions& options() const { return options_; }
  const Parameters& parameters() const { return parameters_; }

 private:
  static constexpr std::size_t kSteps = 4;

  // Convolution, norm, ReLU, twice; `middle` channels in between.
  struct Double {
    Convolution first, second;
    BatchNorm first_norm, second_norm;

    Double() = default;
    Double(const ParameterScope& scope, std::int64_t inputs, std::int64_t middle, std::int64_t outputs);
    Tensor operator()(Tape* tape, const Tensor& x, NormMode mode) const;
  };

  void construct(const ParameterScope& scope);

  UNetOptions options_;
  Double entry_;
  std::array<Double, kSteps> down_, up_;
  Convolution exit_;
  Parameters parameters_;  // last: its construction binds the layers above
};

}  // namespace stp

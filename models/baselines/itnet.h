// The image transform net that rewrites a video frame by frame (VITA's anonymiser, after Johnson et al. 2016):
// two steps down by strided convolutions, five residual blocks, two steps up by transposed ones, instance norm
// after every convolution; values in [0, 1] in and out. Where rows and columns halve, the original pads behind
// the image only, as TensorFlow does; here it is padded on both sides. Shapes and counts are the same, weights
// of the original are not exchangeable.
#pragma once

#include <vector>

#include "models/baselines/image_layers.h"

namespace stp {

struct ItNetOptions {
  std::int64_t width = 32;  // channels at full size; then 2 and 4 times as many. 1.7 million parameters
  std::int64_t blocks = 5;  // residual blocks

  // Throws Error (usage) unless the width is positive and the blocks are not negative.
  void validate() const;
};

class ItNet {
 public:
  ItNet(const Backend& backend, const Seed& seed, const ItNetOptions& options = {});

  // Images (B, 3, Y, X) with Y and X multiples of 4 -> the same shape.
  Tensor images(Tape* tape, const Tensor& x) const;
  // Clips (B, 3, T, Y, X), each frame by itself.
  Tensor clips(Tape* tape, const Tensor& x) const;

  const ItNetOptions& options() const { return options_; }
  const Parameters& parameters() const { return parameters_; }

 private:
  // A convolution, plain or doubling, and its norm.
  template <class Layer>
  struct Normed {
    Layer layer;
    InstanceNorm norm;

    Tensor operator()(Tape* tape, const Tensor& x) const { return norm(tape, layer(tape, x)); }
  };
  struct Residual {
    Normed<Convolution> first, second;
  };

  void construct(const ParameterScope& scope);

  ItNetOptions options_;
  std::vector<Normed<Convolution>> down_;
  std::vector<Residual> residual_;
  std::vector<Normed<DoublingConvolution>> up_;
  Normed<Convolution> exit_;
  Parameters parameters_;  // last: its construction binds the layers above
};

}  // namespace stp

// A convolutional classifier that looks at every frame by itself and averages the logits: the attacker that
// knows nothing of motion. A residual network (He et al. 2016) of basic blocks; its names are torchvision's.
#pragma once

#include <vector>

#include "models/baselines/image_layers.h"

namespace stp {

struct FrameNetOptions {
  std::int64_t outputs = 2;  // classes or attributes
  std::int64_t width = 64;   // channels of the first stage; each later one has twice as many
  std::vector<std::int64_t> blocks = {2, 2, 2, 2};  // of each stage: ResNet-18
  bool reduce =
      true;  // begin with 7 x 7, stride 2 and a max-pooling; else 3 x 3 at full size, for small frames

  // For frames of about 48 x 48: 0.08 million parameters.
  static FrameNetOptions small(std::int64_t outputs) { return {outputs, 16, {1, 1, 1}, false}; }

  // Throws Error (usage) unless all sizes are positive.
  void validate() const;
};

class FrameNet {
 public:
  FrameNet(const Backend& backend, std::uint64_t seed, const FrameNetOptions& options);

  // Images (B, 3, Y, X) -> logits (B, outputs).
  Tensor images(Tape* tape, const Tensor& x, NormMode mode) const;
  // Clips (B, 3, T, Y, X) -> the mean of their frames' logits, (B, outputs).
  Tensor clips(Tape* tape, const Tensor& x, NormMode mode) const;

  const FrameNetOptions& options() const { return options_; }
  const Parameters& parameters() const { return parameters_; }

 private:
  // relu(x + norm2 conv2 relu norm1 conv1 x); where the shape changes, x passes through a 1 x 1 convolution.
  struct Basic {
    Convolution conv1, conv2, shortcut;
    BatchNorm norm1, norm2, shortcut_norm;

    Basic(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, int stride);
    Tensor operator()(Tape* tape, const Tensor& x, NormMode mode) const;
  };

  void construct(const ParameterScope& scope);

  FrameNetOptions options_;
  Convolution entry_;
  BatchNorm entry_norm_;
  std::vector<Basic> blocks_;
  Tensor head_weight_, head_bias_;
  Parameters parameters_;  // last: its construction binds the layers above
};

}  // namespace stp

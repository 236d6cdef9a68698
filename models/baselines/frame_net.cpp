#include "models/baselines/frame_net.h"

#include <algorithm>
#include <cmath>

namespace stp {

namespace {

// Normal, to keep the deviation of what goes back (torchvision's start).
Convolution started(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, int side,
                    int stride) {
  const double deviation = std::sqrt(2.0 / static_cast<double>(outputs * side * side));
  return Convolution(scope, inputs, outputs, side, {stride, side / 2}, false, Init::normal(deviation));
}

}  // namespace

void FrameNetOptions::validate() const {
  const bool positive = std::all_of(blocks.begin(), blocks.end(), [](std::int64_t n) { return n > 0; });
  check(outputs > 0 && width > 0 && !blocks.empty() && positive, "frame_net: {} outputs, width {}, {} stages",
        outputs, width, blocks.size());
}

FrameNet::Basic::Basic(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, int stride)
    : conv1(started(scope / "conv1", inputs, outputs, 3, stride)), norm1(scope / "bn1", outputs) {
  conv2 = started(scope / "conv2", outputs, outputs, 3, 1);
  norm2 = BatchNorm(scope / "bn2", outputs);
  if (stride == 1 && inputs == outputs) return;
  shortcut = started(scope / "downsample" / 0, inputs, outputs, 1, stride);
  shortcut_norm = BatchNorm(scope / "downsample" / 1, outputs);
}

Tensor FrameNet::Basic::operator()(Tape* tape, const Tensor& x, NormMode mode) const {
  const Tensor branch = norm2(tape, conv2(tape, relu(tape, norm1(tape, conv1(tape, x), mode))), mode);
  const Tensor straight = shortcut.weight ? shortcut_norm(tape, shortcut(tape, x), mode) : x;
  return relu(tape, add(tape, straight, branch));
}

FrameNet::FrameNet(const Backend& backend, std::uint64_t seed, const FrameNetOptions& options)
    : options_(options),
      parameters_(backend, seed, [this](const ParameterScope& scope) { construct(scope); }) {}

void FrameNet::construct(const ParameterScope& scope) {
  options_.validate();
  std::int64_t channels = options_.width;
  entry_ = options_.reduce ? started(scope / "conv1", kColours, channels, 7, 2)
                           : started(scope / "conv1", kColours, channels, 3, 1);
  entry_norm_ = BatchNorm(scope / "bn1", channels);
  blocks_.clear();
  for (std::size_t stage = 0; stage < options_.blocks.size(); ++stage) {
    const std::int64_t outputs = options_.width << stage;
    for (std::int64_t i = 0; i < options_.blocks[stage]; ++i) {
      const int stride = stage > 0 && i == 0 ? 2 : 1;
      blocks_.emplace_back(scope / ("layer" + std::to_string(stage + 1)) / i, channels, outputs, stride);
      channels = outputs;
    }
  }
  head_weight_ = scope.take("fc.weight", {options_.outputs, channels}, uniform_start(channels, 1));
  head_bias_ = scope.take("fc.bias", {options_.outputs}, uniform_start(channels, 1));
}

Tensor FrameNet::images(Tape* tape, const Tensor& x, NormMode mode) const {
  check(x.shape().rank() == 4 && x.size(1) == kColours, "frame_net: x is {}, wanted (B, {}, Y, X)", x.shape(),
        kColours);
  Tensor y = relu(tape, entry_norm_(tape, entry_(tape, x), mode));
  if (options_.reduce) y = max_pool(tape, y, {3, 3, 2, 1});
  for (const Basic& block : blocks_) y = block(tape, y, mode);
  return linear(tape, global_average(tape, y), head_weight_, head_bias_);
}

Tensor FrameNet::clips(Tape* tape, const Tensor& x, NormMode mode) const {
  const Tensor logits = images(tape, frames_of(tape, x), mode);
  return masked_mean(tape, logits.reshape({x.size(0), x.size(2), logits.size(1)}), {});
}

}  // namespace stp

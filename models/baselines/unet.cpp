#include "models/baselines/unet.h"

#include <vector>

namespace stp {

namespace {

constexpr std::int64_t kCoarsest = 16;  // pixels of one value at the bottom, each way

Convolution convolution_3x3(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs) {
  return Convolution(scope, inputs, outputs, 3, {1, 1}, true, uniform_start(inputs, 3));
}

}  // namespace

void UNetOptions::validate() const { check(width > 0 && width % 2 == 0, "unet: width {}, wanted even", width); }

UNet::Double::Double(const ParameterScope& scope, std::int64_t inputs, std::int64_t middle,
                     std::int64_t outputs)
    : first(convolution_3x3(scope / "double_conv" / 0, inputs, middle)),
      first_norm(scope / "double_conv" / 1, middle) {
  second = convolution_3x3(scope / "double_conv" / 3, middle, outputs);
  second_norm = BatchNorm(scope / "double_conv" / 4, outputs);
}

Tensor UNet::Double::operator()(Tape* tape, const Tensor& x, NormMode mode) const {
  const Tensor middle = relu(tape, first_norm(tape, first(tape, x), mode));
  return relu(tape, second_norm(tape, second(tape, middle), mode));
}

UNet::UNet(const Backend& backend, const Seed& seed, const UNetOptions& options)
    : options_(options),
      parameters_(backend, seed, [this](const ParameterScope& scope) { construct(scope); }) {}

void UNet::construct(const ParameterScope& scope) {
  options_.validate();
  const std::int64_t w = options_.width;
  const std::array<std::int64_t, kSteps + 1> going_down = {w, 2 * w, 4 * w, 8 * w, 8 * w};
  const std::array<std::int64_t, kSteps> coming_up = {4 * w, 2 * w, w, w};
  entry_ = Double(scope / "inc", kColours, w, w);
  for (std::size_t i = 0; i < kSteps; ++i) {
    const ParameterScope step = scope / ("down" + std::to_string(i + 1)) / "maxpool_conv" / 1;
    down_[i] = Double(step, going_down[i], going_down[i + 1], going_down[i + 1]);
  }
  std::int64_t below = going_down[kSteps];
  for (std::size_t i = 0; i < kSteps; ++i) {
    const std::int64_t joined = below + going_down[kSteps - 1 - i];
    up_[i] = Double(scope / ("up" + std::to_string(i + 1)) / "conv", joined,
                    options_.narrow ? coming_up[i] : joined / 2, coming_up[i]);
    below = coming_up[i];
  }
  exit_ = Convolution(scope / "outc" / "conv", w, kColours, 1, {1, 0}, true, uniform_start(w, 1));
}

Tensor UNet::images(Tape* tape, const Tensor& x, NormMode mode) const {
  check(x.shape().rank() == 4 && x.size(1) == kColours && x.size(2) % kCoarsest == 0 &&
            x.size(3) % kCoarsest == 0,
        "unet: x is {}, wanted (B, {}, Y, X) with Y and X multiples of {}", x.shape(), kColours, kCoarsest);
  std::vector<Tensor> levels = {entry_(tape, x, mode)};
  for (const Double& step : down_) levels.push_back(step(tape, max_pool(tape, levels.back(), {2, 2, 2}), mode));
  Tensor below = levels.back();
  for (std::size_t i = 0; i < kSteps; ++i) {
    const Tensor& skip = levels[kSteps - 1 - i];
    const Tensor doubled = upsample(tape, below, skip.size(2), skip.size(3), true);
    below = up_[i](tape, concatenate_channels(tape, skip, doubled), mode);
  }
  return sigmoid(tape, exit_(tape, below));
}

Tensor UNet::clips(Tape* tape, const Tensor& x, NormMode mode) const {
  const Tensor frames = frames_of(tape, x);
  return clips_of(tape, images(tape, frames, mode), x.size(2));
}

}  // namespace stp

#include "models/baselines/itnet.h"

namespace stp {

namespace {

constexpr std::int64_t kDown = 4;  // pixels of one value between the two halves, each way
constexpr float kEpsilon = 1e-3f;  // the original's
const Init kStart = Init::normal(0.1);

Convolution plain(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, int side,
                  int stride) {
  return Convolution(scope, inputs, outputs, side, {stride, side / 2}, false, kStart);
}

}  // namespace

void ItNetOptions::validate() const {
  check(width > 0 && blocks >= 0, "itnet: width {}, {} residual blocks", width, blocks);
}

ItNet::ItNet(const Backend& backend, const Seed& seed, const ItNetOptions& options)
    : options_(options),
      parameters_(backend, seed, [this](const ParameterScope& scope) { construct(scope); }) {}

void ItNet::construct(const ParameterScope& scope) {
  options_.validate();
  const std::int64_t w = options_.width, bottom = 4 * w;
  const auto norm = [](const ParameterScope& place, std::int64_t channels) {
    return InstanceNorm(place / "norm", channels, kEpsilon);
  };
  const auto convolution = [&](const ParameterScope& place, std::int64_t inputs, std::int64_t outputs, int side,
                               int stride) {
    return Normed<Convolution>{plain(place / "conv", inputs, outputs, side, stride), norm(place, outputs)};
  };
  const auto doubling = [&](const ParameterScope& place, std::int64_t inputs, std::int64_t outputs) {
    return Normed<DoublingConvolution>{DoublingConvolution(place / "conv", inputs, outputs, kStart),
                                       norm(place, outputs)};
  };
  down_ = {convolution(scope / "down" / 0, kColours, w, 9, 1), convolution(scope / "down" / 1, w, 2 * w, 3, 2),
           convolution(scope / "down" / 2, 2 * w, bottom, 3, 2)};
  residual_.clear();
  for (std::int64_t i = 0; i < options_.blocks; ++i) {
    const ParameterScope place = scope / "residual" / i;
    residual_.push_back(
        {convolution(place / 0, bottom, bottom, 3, 1), convolution(place / 1, bottom, bottom, 3, 1)});
  }
  up_ = {doubling(scope / "up" / 0, bottom, 2 * w), doubling(scope / "up" / 1, 2 * w, w)};
  exit_ = convolution(scope / "exit", w, kColours, 9, 1);
}

Tensor ItNet::images(Tape* tape, const Tensor& x) const {
  check(x.shape().rank() == 4 && x.size(1) == kColours && x.size(2) % kDown == 0 && x.size(3) % kDown == 0,
        "itnet: x is {}, wanted (B, {}, Y, X) with Y and X multiples of {}", x.shape(), kColours, kDown);
  Tensor y = x;
  for (const auto& step : down_) y = relu(tape, step(tape, y));
  for (const Residual& block : residual_) {
    const Tensor branch = block.second(tape, relu(tape, block.first(tape, y)));
    y = add(tape, y, branch);
  }
  for (const auto& step : up_) y = relu(tape, step(tape, y));
  return sigmoid(tape, exit_(tape, y), 2);  // (tanh + 1) / 2
}

Tensor ItNet::clips(Tape* tape, const Tensor& x) const {
  const Tensor frames = frames_of(tape, x);
  return clips_of(tape, images(tape, frames), x.size(2));
}

}  // namespace stp

#include "models/baselines/image_layers.h"

#include <cmath>

namespace stp {

Init uniform_start(std::int64_t inputs, int side) {
  return Init::uniform(1 / std::sqrt(static_cast<double>(inputs * side * side)));
}

Convolution::Convolution(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs, int side,
                         const ConvolutionForm& how, bool with_bias, Init start)
    : weight(scope.take("weight", {outputs, inputs, side, side}, start)), form(how) {
  if (with_bias) bias = scope.take("bias", {outputs}, uniform_start(inputs, side));
}

DoublingConvolution::DoublingConvolution(const ParameterScope& scope, std::int64_t inputs, std::int64_t outputs,
                                         Init start)
    : weight(scope.take("weight", {inputs, outputs, 3, 3}, start)) {}

BatchNorm::BatchNorm(const ParameterScope& scope, std::int64_t channels)
    : weight(scope.take("weight", {channels}, Init::ones())),
      bias(scope.take("bias", {channels}, Init::zeros())) {
  running.mean = scope.take_statistic("running_mean", {channels}, Init::zeros());
  running.variance = scope.take_statistic("running_var", {channels}, Init::ones());
}

InstanceNorm::InstanceNorm(const ParameterScope& scope, std::int64_t channels, float eps)
    : weight(scope.take("weight", {channels}, Init::ones())),
      bias(scope.take("bias", {channels}, Init::zeros())),
      epsilon(eps) {}

Tensor frames_of(Tape* tape, const Tensor& clips) {
  check(clips.shape().rank() == 5, "frames_of: clips are {}, wanted (B, C, T, Y, X)", clips.shape());
  const Tensor turned = swap_axes(tape, clips);
  return turned.reshape({turned.size(0) * turned.size(1), turned.size(2), turned.size(3), turned.size(4)});
}

Tensor clips_of(Tape* tape, const Tensor& frames, std::int64_t T) {
  check(frames.shape().rank() == 4 && T > 0 && frames.size(0) % T == 0,
        "clips_of: frames are {}, wanted (B T, C, Y, X) with T {}", frames.shape(), T);
  const Tensor clips = frames.reshape({frames.size(0) / T, T, frames.size(1), frames.size(2), frames.size(3)});
  return swap_axes(tape, clips);
}

}  // namespace stp

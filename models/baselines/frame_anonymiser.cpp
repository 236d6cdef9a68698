#include "models/baselines/frame_anonymiser.h"

namespace stp {

namespace {

// One tubelet is one frame.
TubeletGeometry whole_frames(std::int64_t B, int T, int Y, int X) {
  return {static_cast<int>(B), 3, T, Y, X, 1, Y, X, TubeletLayout::channels_first};
}

}  // namespace

FrameAnonymiser::FrameAnonymiser(const Backend& backend, const Seed& seed,
                                 const FrameAnonymiserOptions& options)
    : options_(options) {
  if (options.network == FrameAnonymiserOptions::Network::unet) {
    unet_ = std::make_unique<UNet>(backend, seed, UNetOptions{.width = options.width});
  } else {
    itnet_ = std::make_unique<ItNet>(backend, seed, ItNetOptions{.width = options.width});
  }
  ones_ = Tensor::filled(backend, {3}, 1.0f);
  zeros_ = Tensor::filled(backend, {3}, 0.0f);
  std::vector<float> variance;
  for (const float d : options.deviation) variance.push_back(d * d);
  scale_.mean = Tensor::from(backend, {3}, std::vector<float>(options.mean, options.mean + 3));
  scale_.variance = Tensor::from(backend, {3}, variance);
}

Tensor FrameAnonymiser::clips(const ClipInput& input) const {
  check(static_cast<bool>(input.frames.pixels), "frame anonymiser: wanted decoded frames");
  FrameBatch frames = input.frames;
  for (std::size_t c = 0; c < 3; ++c) {
    frames.mean[c] = 0;
    frames.deviation[c] = 1;
  }
  const TubeletGeometry geometry = whole_frames(input.batch(), options_.T, options_.Y, options_.X);
  return tubelets_to_clip(nullptr, frames_to_tubelets(frames, geometry), geometry);
}

Tensor FrameAnonymiser::redraw(Tape* tape, const Tensor& clips, NormMode mode) const {
  return unet_ ? unet_->clips(tape, clips, mode) : itnet_->clips(tape, clips);
}

ClipInput FrameAnonymiser::normalised(Tape* tape, const Tensor& clips) const {
  // (v - mean) / deviation of every channel is a batch norm whose statistics are given.
  const Tensor frames =
      batch_norm(tape, frames_of(tape, clips), ones_, zeros_, scale_, NormMode::evaluation, 0);
  return {.clip = clips_of(tape, frames, clips.size(2))};
}

Tensor few_frames(const Tensor& clips, std::int64_t count) {
  const std::int64_t B = clips.size(0), T = clips.size(2), Y = clips.size(3), X = clips.size(4);
  if (count >= T) return clips;
  std::vector<int> rows;
  for (std::int64_t b = 0; b < B; ++b)
    for (std::int64_t i = 0; i < count; ++i) rows.push_back(static_cast<int>(b * T + i * T / count));
  const Tensor frames = frames_of(nullptr, clips).reshape({B * T, 3 * Y * X});
  const Tensor some = gather(nullptr, frames, Indices::from(clips.backend(), {B * count}, rows));
  return clips_of(nullptr, some.reshape({B * count, 3, Y, X}), count);
}

Tensor clip_of(Tape* tape, const ClipInput& input, const VitOptions& vit) {
  if (input.clip) return input.clip;
  if (input.pixel_tubelets)
    return tubelets_to_clip(tape, input.pixel_tubelets,
                            vit.geometry(input.batch(), TubeletLayout::channels_last));
  const TubeletGeometry geometry = whole_frames(input.batch(), vit.T, vit.Y, vit.X);
  return tubelets_to_clip(tape, frames_to_tubelets(input.frames, geometry), geometry);
}

}  // namespace stp

#include "tools/experiment/reconstruction.h"

#include <algorithm>

#include "tools/experiment/image_quality.h"

namespace stp {

namespace {

// Of frames that equal each other to the last of 8 bits, and better ones: PSNR has to stay finite in a mean.
constexpr double kHighestPsnr = 60;

FrameAnonymiserOptions options_for(const Recipe& recipe) {
  FrameAnonymiserOptions o = recipe.frame_anonymiser();
  o.network = FrameAnonymiserOptions::Network::unet;
  o.width = recipe.evaluate.reconstruction_width;
  return o;
}

}  // namespace

Reconstruction::Reconstruction(const Backend& backend, std::uint64_t seed, const Recipe& recipe)
    : vit_(recipe.vit()),
      network_(backend, seed, options_for(recipe)),
      learner_("reconstruction", network_.parameters(), recipe.optimizer, 1) {}

Tensor Reconstruction::rebuild(Tape* tape, const Delivered& seen, NormMode mode) const {
  const Tensor clips = clip_of(nullptr, seen.input, vit_);
  return network_.redraw(tape, tape ? few_frames(clips, kFramesOfStep) : clips, mode);
}

double Reconstruction::learn(const Delivered& seen, const ClipInput& raw, const std::string& where,
                             double rate) {
  Tape tape;
  const Tensor loss = squared_error(&tape, rebuild(&tape, seen, NormMode::training),
                                    few_frames(network_.clips(raw), kFramesOfStep));
  const double value = loss.item();
  check_finite(where, "reconstruction loss", value);
  tape.backward({{loss}});
  learner_.step(where, rate);
  return value;
}

void Reconstruction::judge(const Delivered& seen, const ClipInput& raw) {
  const auto planes = [](const Tensor& clips) { return frames_of(nullptr, clips).values(); };
  const std::vector<float> got = planes(rebuild(nullptr, seen, NormMode::evaluation)),
                           wanted = planes(network_.clips(raw));
  const auto plane = static_cast<std::size_t>(vit_.Y) * static_cast<std::size_t>(vit_.X);
  for (std::size_t at = 0; at < got.size(); at += 3 * plane) {
    const std::span<const float> a = std::span(got).subspan(at, 3 * plane),
                                 b = std::span(wanted).subspan(at, 3 * plane);
    psnr_ += std::min(psnr(a, b), kHighestPsnr);
    for (std::size_t c = 0; c < 3; ++c)
      ssim_ += ssim(a.subspan(c * plane, plane), b.subspan(c * plane, plane), vit_.Y, vit_.X) / 3;
    ++frames_;
  }
}

Rebuilt Reconstruction::result() const {
  const auto n = static_cast<double>(std::max<std::int64_t>(frames_, 1));
  return {psnr_ / n, ssim_ / n};
}

}  // namespace stp

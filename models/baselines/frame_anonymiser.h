// The anonymiser of the earlier methods: a network that rewrites every frame by itself and drops nothing.
#pragma once

#include <memory>

#include "models/baselines/itnet.h"
#include "models/baselines/unet.h"
#include "models/vit.h"

namespace stp {

struct FrameAnonymiserOptions {
  enum class Network { unet, itnet };
  Network network = Network::unet;
  std::int64_t width = 64;                              // of the network's first layer
  int T = 16, Y = 112, X = 112;                         // of a clip
  float mean[3] = {0, 0, 0}, deviation[3] = {1, 1, 1};  // how recognisers want their values
};

class FrameAnonymiser {
 public:
  FrameAnonymiser(const Backend& backend, const Seed& seed, const FrameAnonymiserOptions& options);

  // The frames of a batch as values in [0, 1]: (B, 3, T, Y, X).
  Tensor clips(const ClipInput& input) const;
  // Rewritten, in [0, 1]. Training moves the statistics of batch norms, where the network has some.
  Tensor redraw(Tape* tape, const Tensor& clips, NormMode mode) const;
  // Values in [0, 1] as recognisers take them.
  ClipInput normalised(Tape* tape, const Tensor& clips) const;

  const FrameAnonymiserOptions& options() const { return options_; }
  const Parameters& parameters() const { return unet_ ? unet_->parameters() : itnet_->parameters(); }

 private:
  FrameAnonymiserOptions options_;
  std::unique_ptr<UNet> unet_;
  std::unique_ptr<ItNet> itnet_;
  Tensor ones_, zeros_;  // (3)
  RunningStatistics scale_;
};

// Of clips (B, 3, T, Y, X) `count` frames each, evenly spread: (B, 3, count, Y, X), or all if there are fewer.
// What looks at frames one by one learns as much from a few of many clips. No gradient.
Tensor few_frames(const Tensor& clips, std::int64_t count);

// The clip (B, 3, T, Y, X) that an input shows, in normalised values: of frames, of redrawn tubelets (those
// that were dropped are zeros), or itself.
Tensor clip_of(Tape* tape, const ClipInput& input, const VitOptions& vit);

}  // namespace stp

// The attacker that wants the picture itself: a network that learns, frame by frame, to turn what a method
// delivers back into the clip it came from.
#pragma once

#include "models/baselines/frame_anonymiser.h"
#include "tools/experiment/networks.h"
#include "tools/experiment/results.h"
#include "tools/experiment/watchers.h"

namespace stp {

class Reconstruction {
 public:
  Reconstruction(const Backend& backend, std::uint64_t seed, const Recipe& recipe);

  // One step towards `raw`, the clips that `seen` was made from: mean squared error of values in [0, 1], which
  // is returned.
  double learn(const Delivered& seen, const ClipInput& raw, const std::string& where, double rate);
  // Rebuilds test clips and remembers how alike they are.
  void judge(const Delivered& seen, const ClipInput& raw);
  // Means over all frames (and colours) judged.
  Rebuilt result() const;

  void save(CheckpointBuilder& builder) const { learner_.save(builder, true); }
  void restore(const Checkpoint& checkpoint) { learner_.restore(checkpoint, true); }

 private:
  Tensor rebuild(Tape* tape, const Delivered& seen, NormMode mode) const;

  VitOptions vit_;
  FrameAnonymiser network_;
  Learner learner_;
  double psnr_ = 0, ssim_ = 0;
  std::int64_t frames_ = 0;
};

}  // namespace stp

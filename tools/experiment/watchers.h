// Who looks on: networks that start afresh and learn from what a method delivers, and the attackers among them
// that need no network.
#pragma once

#include <memory>
#include <string>

#include "models/baselines/frame_net.h"
#include "models/recogniser.h"
#include "tools/experiment/metrics.h"
#include "tools/experiment/recipe.h"

namespace stp {

// What a method leaves of a batch.
struct Delivered {
  ClipInput input;
  Kept kept;    // the tokens that are left
  Tensor keep;  // (B, N) the same as zeros and ones
};
// A batch as it is: every token is left.
Delivered untouched(const ClipInput& input, std::int64_t tokens);

// How many frames of each clip a network that looks at one frame at a time learns from in a step.
inline constexpr std::int64_t kFramesOfStep = 2;

class Watcher {
 public:
  virtual ~Watcher() = default;
  Watcher() = default;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // (B, outputs)
  virtual Tensor logits(Tape* tape, const Delivered& seen, const DropPathDraw& drop) const = 0;
  virtual const Parameters& parameters() const = 0;
  // Its transformer, or null if it has none: what image weights and starts apply to.
  virtual const VitOptions* vit() const { return nullptr; }
};

// The convolutional network that looks at single frames of clips like these: a ResNet-18, or a small one where
// it would reduce frames to nothing.
FrameNetOptions frame_net_for(const VitOptions& vit, std::int64_t outputs);

// `kind`: "vit", the recipe's recogniser on the kept tokens; "frame", convolutional, one frame at a time;
// "mask", which sees only what was dropped. Its start is a pure function of `seed`.
std::unique_ptr<Watcher> make_watcher(const std::string& kind, const Backend& backend, std::uint64_t seed,
                                      const Recipe& recipe, std::int64_t outputs);

// The attacker that only knows what an action recogniser says: attribute a of a clip is scored by the sum over
// classes of p(class) x the share of a among the training clips of the class. What is learnt from any video
// that leaves the action recognisable. probabilities: (n, C) of the test clips; returns (n, A). They may tell
// more than the action does: a recogniser that hesitates says between which classes, and what goes with classes
// may be why.
std::vector<double> posterior_scores(const std::vector<double>& probabilities, const LabelTable& train);
// The same of an attacker who is only told which action was recognised: (n) classes.
std::vector<double> action_named_scores(const std::vector<int>& actions, const LabelTable& train);

}  // namespace stp

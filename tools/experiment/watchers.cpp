#include "tools/experiment/watchers.h"

#include <numeric>
#include <span>

#include "engine/check.h"
#include "models/baselines/frame_anonymiser.h"
#include "models/mask_recogniser.h"

namespace stp {

namespace {

class VitWatcher : public Watcher {
 public:
  VitWatcher(const Backend& backend, std::uint64_t seed, const RecogniserOptions& options)
      : network_(backend, seed, options) {}
  Tensor logits(Tape* tape, const Delivered& seen, const DropPathDraw& drop) const override {
    return network_.gathered(tape, seen.input, seen.kept, drop);
  }
  const Parameters& parameters() const override { return network_.parameters(); }
  const VitOptions* vit() const override { return &network_.options().vit; }

 private:
  Recogniser network_;
};

// Convolutional, one frame at a time: it knows nothing of motion, and nothing of which tubelets were dropped
// but that they are grey.
class FrameWatcher : public Watcher {
 public:
  FrameWatcher(const Backend& backend, std::uint64_t seed, const VitOptions& vit, std::int64_t outputs)
      : vit_(vit), network_(backend, seed, frame_net_for(vit, outputs)) {}
  Tensor logits(Tape* tape, const Delivered& seen, const DropPathDraw&) const override {
    const Tensor clips = clip_of(nullptr, seen.input, vit_);
    if (!tape) return network_.clips(nullptr, clips, NormMode::evaluation);
    return network_.clips(tape, few_frames(clips, kFramesOfStep), NormMode::training);
  }
  const Parameters& parameters() const override { return network_.parameters(); }

 private:
  VitOptions vit_;
  FrameNet network_;
};

class MaskWatcher : public Watcher {
 public:
  MaskWatcher(const Backend& backend, std::uint64_t seed, const VitOptions& vit, std::int64_t outputs)
      : network_(backend, seed, vit.tokens(), vit.E, outputs) {}
  Tensor logits(Tape* tape, const Delivered& seen, const DropPathDraw&) const override {
    return network_(tape, seen.keep);
  }
  const Parameters& parameters() const override { return network_.parameters(); }

 private:
  MaskRecogniser network_;
};

}  // namespace

Delivered untouched(const ClipInput& input, std::int64_t tokens) {
  const Backend backend = input.clip ? input.clip.backend() : input.frames.pixels.backend();
  return {input, every_token(backend, input.batch(), tokens),
          Tensor::filled(backend, {input.batch(), tokens}, 1.0f)};
}

FrameNetOptions frame_net_for(const VitOptions& vit, std::int64_t outputs) {
  constexpr int kSmall = 64;  // rows and columns
  if (vit.Y <= kSmall && vit.X <= kSmall) return FrameNetOptions::small(outputs);
  FrameNetOptions resnet18;
  resnet18.outputs = outputs;
  return resnet18;
}

std::unique_ptr<Watcher> make_watcher(const std::string& kind, const Backend& backend, std::uint64_t seed,
                                      const Recipe& recipe, std::int64_t outputs) {
  const RecogniserOptions options = recipe.recogniser_for(outputs);
  if (kind == "mask") return std::make_unique<MaskWatcher>(backend, seed, options.vit, outputs);
  if (kind == "frame") return std::make_unique<FrameWatcher>(backend, seed, options.vit, outputs);
  check(kind == "vit", "watcher: no kind '{}'", kind);
  return std::make_unique<VitWatcher>(backend, seed, options);
}

std::vector<double> posterior_scores(const std::vector<double>& probabilities, const LabelTable& train) {
  const std::size_t C = train.classes, A = train.attributes;
  const std::vector<double> shares = class_shares(train);
  std::vector<double> scores(probabilities.size() / C * A, 0.0);
  for (std::size_t i = 0; i < probabilities.size() / C; ++i) {
    const std::span<const double> row = std::span(probabilities).subspan(i * C, C);
    // Of several actions a clip the probabilities do not sum up to 1.
    const double sum = train.shown.empty() ? 1 : std::accumulate(row.begin(), row.end(), 0.0);
    for (std::size_t c = 0; c < C; ++c) {
      for (std::size_t a = 0; a < A; ++a) scores[i * A + a] += row[c] * shares[c * A + a] / sum;
    }
  }
  return scores;
}

std::vector<double> action_named_scores(const std::vector<int>& actions, const LabelTable& train) {
  std::vector<double> certain(actions.size() * train.classes, 0.0);
  for (std::size_t i = 0; i < actions.size(); ++i)
    certain[i * train.classes + static_cast<std::size_t>(actions[i])] = 1;
  return posterior_scores(certain, train);
}

}  // namespace stp

// One training step of each phase: the losses of the paper (equations 7, 12, 13) and which network's parameters
// they reach. Every function here contributes gradients and returns losses, still on the device; stepping the
// optimizers and reading are the caller's.
#pragma once

#include "engine/readings.h"
#include "models/mask_recogniser.h"
#include "models/stprivacy.h"

namespace stp {

// A batch as the networks take it.
struct LabelledClips {
  ClipInput input;
  Indices labels;       // (B) action classes
  Tensor attributes;    // (B, A) zeros and ones
  Tensor actions = {};  // (B, C) zeros and ones where a clip may show several actions; else none
};

// L_Action of logits (B, C): softmax cross-entropy with the class of each clip; where clips may show several
// actions (the paper's Table 5), the mean sigmoid cross-entropy with all of them.
Tensor action_loss(Tape* tape, const Tensor& logits, const LabelledClips& batch);

// What a recogniser is shown: a clip and which of its tubelets count.
struct RecogniserView {
  ClipInput input;
  Tensor keep;  // (B, N)
  RecogniserView detach() const;
};

// The view of a training pass: the redrawn pixels, or the input itself with sparsification only.
RecogniserView view_of(const StprivacyPass& pass, const ClipInput& input);

enum class RatioScope {
  slot,
  clip
};  // equation 7 holds the ratio in each time slot; the clip as a whole was unstable
// Equation 7: the mean over scorers of the squared excess over the ratio of each slot.
std::vector<Tape::Term> ratio_terms(Tape* tape, const StprivacyPass& pass, const StprivacyOptions& options,
                                    RatioScope scope, double weight);

// What the anonymiser wants of the privacy recogniser.
enum class PrivacyTerm {
  negative,  // equation 13: its loss as large as can be; unbounded
  bounded,   // as large as guessing, ln 2 per attribute, and no further: beyond, a fresh attacker reads the
             // inverse
  confusion  // its outputs at one half
};

struct AdversaryOptions {
  double action_weight = 0.5, privacy_weight = 0.5, ratio_weight = 1;  // lambda_A, lambda_P, weight of L_Spars
  RatioScope ratio_scope = RatioScope::slot;
  PrivacyTerm privacy_term = PrivacyTerm::negative;
  bool gathered_update =
      true;  // recognisers learn on the kept tokens only: the same but for the softmax smoothing
};

// Phase 1 (equation 12): the anonymiser classifies the action itself, by a head of its own on the mean of its
// kept features: LayerNorm, linear. Not part of the released state dict, and gone after the phase.
class InitHead {
 public:
  InitHead(const Backend& backend, std::uint64_t seed, std::int64_t E, std::int64_t classes);
  Tensor operator()(Tape* tape, const StprivacyPass& pass) const;  // logits (B, classes)
  const Parameters& parameters() const { return parameters_; }

 private:
  LayerNorm norm_;
  Linear head_;
  Parameters parameters_;  // last: its construction binds the layers above
};

struct StepLosses {
  double action = 0, privacy = 0, ratio = 0, pixels = 0;
  std::vector<double> keep;  // share of tokens kept after each scorer
};

// The same while they are on the device: a step that is issued waits for none of its numbers.
class StepNumbers {
 public:
  Tensor action, privacy, pixels;  // (1) losses; not given: 0
  std::vector<Tape::Term> ratio;   // whose weighted sum is L_Spars

  void note_kept(const StprivacyPass& pass);
  // Notes all of them to be fetched, and makes the losses of what was fetched.
  void note(Readings& readings);
  StepLosses losses(const Readings& readings) const;

 private:
  std::vector<Tensor> kept_;  // (N) clips that kept a token, after each scorer
  std::int64_t clips_ = 0;
  std::size_t first_ = 0;  // place among the readings
};

// Waits for the step and fetches its numbers.
StepLosses read(StepNumbers numbers);

struct InitOptions {
  double ratio_weight = 1;
  RatioScope ratio_scope = RatioScope::slot;
  double pixel_weight = 0;  // of the mean squared difference between the redrawn pixels and the input: an extra
                            // start for the pixel head, which equation 12 leaves untrained
};

// Gradients of weight (L_Action + L_Spars) for the anonymiser and its phase-1 head.
StepNumbers init_gradients(const Stprivacy& anonymiser, const InitHead& head, const LabelledClips& batch,
                           const std::vector<Tensor>& noise, const DropPathDraw& drop,
                           const InitOptions& options, double weight);

// Gradients of weight x its own loss for one recogniser; nothing flows into the view. Returns the loss.
Tensor action_gradients(const Recogniser& action, const RecogniserView& view, const LabelledClips& batch,
                        const DropPathDraw& drop, bool gathered, double weight);
Tensor privacy_gradients(const Recogniser& privacy, const RecogniserView& view, const LabelledClips& batch,
                         const DropPathDraw& drop, bool gathered, double weight);
// The same for one that sees only which tubelets are kept, keep (B, N).
Tensor mask_gradients(const MaskRecogniser& mask, const Tensor& keep, const LabelledClips& batch,
                      double weight);

// The anonymiser's pass, kept until its gradients are wanted: the recognisers may learn in between, while its
// activations wait, or are `recomputed` when their turn comes.
class AnonymiserStep {
 public:
  AnonymiserStep(const Stprivacy& anonymiser, const LabelledClips& batch, const std::vector<Tensor>& noise,
                 const DropPathDraw& drop, Activations activations = Activations::kept);
  const StprivacyPass& pass() const { return pass_; }
  RecogniserView view() const { return view_of(pass_, batch_.input); }

  // Leaves in the decision the gradient of what the anonymiser wants of a recogniser of its mask, weight
  // lambda_P as of any other; one of the functions below passes it on. Returns that recogniser's loss. Not in
  // the paper.
  Tensor hide_from(const MaskRecogniser& mask, const AdversaryOptions& options, double weight);

  // Gradients of weight (L_Spars + lambda_A L_Action -+ lambda_P L_Privacy) for the anonymiser, through
  // recognisers that stay as they are (equation 13). Consumes the pass's tape.
  StepNumbers gradients(const Recogniser& action, const Recogniser& privacy, const AdversaryOptions& options,
                        double weight);
  // One forward and one backward for all three: each recogniser gets the gradient of its own loss, the
  // anonymiser the same gradients with its own signs and weights. The privacy term is the plain negative.
  StepNumbers joint_gradients(const Recogniser& action, const Recogniser& privacy, const DropPathDraw& drop,
                              const AdversaryOptions& options, double weight);

 private:
  void backward_privacy(Tape& tape, const Tensor& logits, const AdversaryOptions& options, double weight) const;
  StepNumbers finish(const AdversaryOptions& options, double weight);

  const Stprivacy& anonymiser_;
  LabelledClips batch_;
  Tape tape_;
  StprivacyPass pass_;
};

}  // namespace stp

// STPrivacy, the anonymiser: a vision transformer whose first blocks decide which tubelets go (privacy
// sparsification, three scorers) and whose last blocks and pixel head redraw the rest (privacy anonymisation).
// Li et al., ICCV 2023; the released core model (ming1993li/stprivacy) is the numerical reference.
#pragma once

#include <optional>
#include <vector>

#include "models/recogniser.h"
#include "models/scorer.h"

namespace stp {

enum class Selection { slot, clip };  // the k best of each time slot (released code) or of the clip (paper)
enum class Delivery { best, drawn };  // by scores alone (released code), or as in training (delivery_noise.h)
enum class PixelHead { unbounded, bounded };  // as released, or into the range of a real picture, 8-bit rounded
enum class Parts {
  both,
  sparsification,
  anonymisation
};  // Figure 4: without the redrawing, without the dropping

struct StprivacyOptions {
  VitOptions vit;
  ScorerOptions scorer;
  std::vector<std::int64_t> score_before = {3, 6, 9};  // a scorer runs before each of these blocks, ascending
  std::vector<double> keep = {0.7, 0.49, 0.343};  // ratio of all tokens kept after each scorer: alpha^1, ^2, ^3
  Selection selection = Selection::slot;
  Delivery delivery = Delivery::best;
  PixelHead pixel_head = PixelHead::unbounded;
  PixelRange pixel_range;  // of the bounded head, in normalised values
  Parts parts = Parts::both;
  double temperature = 1;  // of the Gumbel-softmax
  bool decide_on_probability =
      false;  // equation 6 to the letter: Gumbel noise on probabilities, not their logarithms

  void validate() const;
};

// alpha, alpha^2, ...: the ratios of a keep rate per block.
std::vector<double> cumulative_keep(double alpha, std::size_t scorers);

// What a training pass returns. Tensors not made are empty.
struct StprivacyPass {
  Tensor pixels;  // (B, N, values) normalised pixels of every tubelet, channels last; both or
                  // anonymisation only (with sparsification only the recognisers see the input itself)
  Tensor keep;    // (B, N) final decision
  std::vector<Tensor> decisions;  // (B, N) after each scorer
  Tensor features;                // (B, N, E) after the last block
};

// What is delivered.
struct Anonymised {
  Tensor pixels;  // (B, N, values) as above, zeros for dropped tubelets; empty with sparsification only
  Kept kept;      // which tokens are left, equal numbers in every clip, in token order
  Tensor keep;    // (B, N) the same as zeros and ones
  std::vector<Tensor> scores;  // keep log-probability of the tokens left before each scorer
};

class Stprivacy {
 public:
  Stprivacy(const Backend& backend, const Seed& seed, const StprivacyOptions& options);

  // Training: nothing is dropped, the decision travels along. noise: Gumbel noise (B, N, 2) for each scorer.
  // A pass whose backward has to wait may have its blocks recomputed then.
  StprivacyPass train(Tape* tape, const ClipInput& input, const std::vector<Tensor>& noise,
                      const DropPathDraw& drop = {}, const Observer& observe = {},
                      Activations activations = Activations::kept) const;
  // Inference: tokens really go. `keep` replaces the ratios of the options (the deployment dial); empty: as
  // trained.
  Anonymised anonymise(const ClipInput& input, const std::vector<double>& keep = {},
                       const Observer& observe = {}) const;

  // The input's own pixels, laid out as the pixel head's.
  Tensor pixel_targets(const ClipInput& input) const {
    return trunk_.tubelets(nullptr, input, TubeletLayout::channels_last);
  }

  const StprivacyOptions& options() const { return options_; }
  const Trunk& trunk() const { return trunk_; }
  const Parameters& parameters() const { return parameters_; }
  bool sparsifies() const { return options_.parts != Parts::anonymisation; }
  bool redraws() const { return options_.parts != Parts::sparsification; }

 private:
  // What the noise of a decision is added to.
  Tensor evidence(Tape* tape, const Tensor& logprob) const;
  // Log-probabilities (B, count, 2) of the tokens at `rows` (none: all N) under noise (B, N, 2): in their order
  // drawn decisions keep.
  Tensor disturbed(const Tensor& logprob, const Tensor& noise, const Indices& rows) const;
  Tensor head(Tape* tape, const Tensor& x, const Observer& observe) const;
  std::optional<std::size_t> scorer_before(std::size_t block) const;

  StprivacyOptions options_;
  Trunk trunk_;
  std::vector<Scorer> scorers_;  // score_predictor
  LayerNorm norm_recon_;
  Linear head_recon_;
  Parameters parameters_;  // last: its construction binds the layers above
};

}  // namespace stp

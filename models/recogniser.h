// Recognisers: a vision transformer on the (anonymised) clip and the decision which tubelets are there. One
// class for actions (softmax over classes) and for privacy (one sigmoid per attribute); only the loss differs.
#pragma once

#include "models/vit.h"

namespace stp {

struct RecogniserOptions {
  VitOptions vit;
  std::int64_t outputs = 2;   // classes or attributes
  double head_scale = 0.001;  // the head starts as a normal draw of 0.02 times this; the released default, 0,
                              // starts with no gradient into the trunk
  void validate() const;
};

class Recogniser {
 public:
  Recogniser(const Backend& backend, std::uint64_t seed, const RecogniserOptions& options);

  // Masked form, for training through the decision: all tokens pass, keep (B, N) weighs attention and the mean.
  // A keep that is not given counts as ones, smoothing included. Returns logits (B, outputs).
  Tensor masked(Tape* tape, const ClipInput& input, const Tensor& keep, const DropPathDraw& drop = {},
                const Observer& observe = {}) const;
  // Gathered form: only the tokens at `kept` pass, with plain attention. The same function but for the
  // smoothing of the masked softmax, at a fraction of the work; keep gets no gradient.
  Tensor gathered(Tape* tape, const ClipInput& input, const Kept& kept, const DropPathDraw& drop = {},
                  const Observer& observe = {}) const;

  const RecogniserOptions& options() const { return options_; }
  const Parameters& parameters() const { return parameters_; }

 private:
  Tensor classify(Tape* tape, Tensor x, const TokenView& view, std::int64_t B, const DropPathDraw& draw,
                  const Observer& observe) const;

  RecogniserOptions options_;
  Trunk trunk_;
  LayerNorm fc_norm_;
  Linear head_;            // head_new
  Parameters parameters_;  // last: its construction binds the layers above
};

}  // namespace stp

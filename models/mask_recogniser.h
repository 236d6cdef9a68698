// A recogniser that sees which tubelets were dropped and nothing else: what it reads is what the sparsifier
// itself gives away, however well the rest is redrawn.
#pragma once

#include "models/layers.h"

namespace stp {

// keep (B, N) -> linear, GELU, LayerNorm, linear -> logits (B, outputs).
class MaskRecogniser {
 public:
  MaskRecogniser(const Backend& backend, std::uint64_t seed, std::int64_t N, std::int64_t width,
                 std::int64_t outputs);
  Tensor operator()(Tape* tape, const Tensor& keep) const;
  const Parameters& parameters() const { return parameters_; }

 private:
  Linear in_, out_;
  LayerNorm norm_;
  Parameters parameters_;  // last: its construction binds the layers above
};

}  // namespace stp

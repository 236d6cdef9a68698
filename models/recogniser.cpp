#include "models/recogniser.h"

namespace stp {

void RecogniserOptions::validate() const {
  vit.validate();
  check(outputs > 0, "recogniser: {} outputs", outputs);
}

Recogniser::Recogniser(const Backend& backend, std::uint64_t seed, const RecogniserOptions& options)
    : options_(options),
      parameters_(
          backend, seed,
          [this](const ParameterScope& scope) {
            options_.validate();
            trunk_ = Trunk(scope, options_.vit);
            fc_norm_ = LayerNorm(scope / "fc_norm", options_.vit.E);
            head_ = Linear(scope / "head_new", options_.vit.E, options_.outputs,
                           Init::normal(0.02 * options_.head_scale));
          },
          options.vit.storage) {}

Tensor Recogniser::classify(Tape* tape, Tensor x, const TokenView& view, std::int64_t B,
                            const DropPathDraw& draw, const Observer& observe) const {
  const DropPath drop(x.backend(), options_.vit, B, view.packing, draw);
  for (std::size_t i = 0; i < trunk_.blocks.size(); ++i) {
    x = trunk_.block(tape, i, x, view, drop(i));
    show(observe, numbered("block.", i), x);
  }
  const Tensor pooled = fc_norm_(tape, masked_mean(tape, x, view.keep, view.packing));
  show(observe, "fc_norm", pooled);
  return head_(tape, pooled);
}

Tensor Recogniser::masked(Tape* tape, const ClipInput& input, const Tensor& keep, const DropPathDraw& drop,
                          const Observer& observe) const {
  const std::int64_t B = input.batch();
  const Tensor all = keep ? keep : Tensor::filled(parameters_.backend(), {B, options_.vit.tokens()}, 1.0f);
  const Tensor x = trunk_.embed(tape, input, observe);
  return classify(tape, x, {all, {}}, B, drop, observe);
}

Tensor Recogniser::gathered(Tape* tape, const ClipInput& input, const Kept& kept, const DropPathDraw& drop,
                            const Observer& observe) const {
  const std::int64_t B = input.batch(), tokens = kept.rows.shape().elements();
  Tensor x = trunk_.embed_rows(tape, input, kept.rows);
  show(observe, "embed", x);
  // Clips of equal length need no packing.
  if (tokens == B * kept.packing.longest) {
    return classify(tape, x.reshape({B, kept.packing.longest, x.size(1)}), {}, B, drop, observe);
  }
  return classify(tape, x, {{}, kept.packing}, B, drop, observe);
}

}  // namespace stp

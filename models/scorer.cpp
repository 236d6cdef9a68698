#include "models/scorer.h"

namespace stp {

Scorer::Scorer(const ParameterScope& scope, std::int64_t E, const ScorerOptions& scorer) : options(scorer) {
  check(E % 12 == 0, "scorer: width {} is not divisible by 12; three levels and two halvings share it", E);
  if (options.norm) norm = LayerNorm(scope / "in_conv" / "0", E, kScorerNormEpsilon);
  in = Linear(scope / "in_conv" / "1", E, E);
  out0 = Linear(scope / "out_conv" / "0", E, E / 2);
  out2 = Linear(scope / "out_conv" / "2", E / 2, E / 4);
  out4 = Linear(scope / "out_conv" / "4", E / 4, 2);
}

Tensor Scorer::operator()(Tape* tape, const Tensor& tokens, const Tensor& keep, std::int64_t slots,
                          const Indices& slot_of) const {
  const Tensor x = stored_as(tape, tokens, Element::f32);  // scores decide: they are never rounded
  const Tensor local = in(tape, options.norm ? norm(tape, x) : x, {}, Activation::gelu);
  const Tensor levels = aggregate(tape, local, keep, slots, slot_of, options.levels);
  const Tensor wide = out0(tape, levels, {}, Activation::gelu);
  return log_softmax(tape, out4(tape, out2(tape, wide, {}, Activation::gelu)));
}

}  // namespace stp

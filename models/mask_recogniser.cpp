#include "models/mask_recogniser.h"

#include <cmath>

namespace stp {

MaskRecogniser::MaskRecogniser(const Backend& backend, std::uint64_t seed, std::int64_t N, std::int64_t width,
                               std::int64_t outputs)
    : parameters_(backend, seed, [&](const ParameterScope& scope) {
        // Scaled to the width, so that both layers start with outputs of size 1 and 0.1.
        in_ = Linear(scope / "in", N, width, Init::normal(1 / std::sqrt(static_cast<double>(N))));
        norm_ = LayerNorm(scope / "norm", width);
        out_ = Linear(scope / "out", width, outputs, Init::normal(0.1 / std::sqrt(static_cast<double>(width))));
      }) {}

Tensor MaskRecogniser::operator()(Tape* tape, const Tensor& keep) const {
  return out_(tape, norm_(tape, in_(tape, keep, {}, Activation::gelu)));
}

}  // namespace stp

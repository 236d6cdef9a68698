// The model's work as its users run it, at any size: what bench_model times.
#pragma once

#include <functional>

#include "models/adversary.h"

namespace stp::bench {

struct Size {
  StprivacyOptions anonymiser;
  VitOptions recogniser;
  std::int64_t classes = 51, attributes = 5;
  Activations waiting = Activations::recomputed;  // of the anonymiser's blocks while the recognisers learn
  // A training step that is to be recorded and replayed: the recognisers learn on masked tokens, since the
  // number of gathered ones is a size, and nothing is read.
  bool recorded = false;
};
// ViT-S on clips of 16 x 112 x 112.
Size full_size(Element storage);
// tools/recipes/quickstart.toml.
Size tiny_size(Element storage);
// The full one with other clips and another number of blocks, scorers a quarter, a half and three quarters on
// the way.
Size full_size_but(Element storage, int T, int Y, int X, std::int64_t depth);

using Work = std::function<void()>;
// Each makes its networks and B clips on the device and returns what does one step with them.
// A whole adversarial step, order "sequential".
Work train_step(const Backend& backend, const Size& size, std::int64_t B);
// Tokens really dropped.
Work anonymise(const Backend& backend, const Size& size, std::int64_t B);
// One step of a recogniser of actions on all tokens, about a third of which count.
Work recogniser_step(const Backend& backend, const Size& size, std::int64_t B);

}  // namespace stp::bench

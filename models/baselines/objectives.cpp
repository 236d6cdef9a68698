#include "models/baselines/objectives.h"

#include <cmath>
#include <numeric>

namespace stp {

namespace {

// The mean of all elements, (1).
Tensor mean(Tape* tape, const Tensor& x) {
  return masked_mean(tape, x.reshape({1, x.elements(), 1}), {}).reshape({1});
}

// Negative entropy, sum over p and 1 - p of p log p: the mean of log p over the two outcomes, weighted by p.
Tensor negative_entropy(Tape* tape, const Tensor& logits) {
  const std::int64_t n = logits.elements();
  const Tensor against = Tensor::filled(logits.backend(), {n, 1}, 0.0f);
  const Tensor log_p = log_softmax(tape, concatenate_channels(tape, logits.reshape({n, 1}), against));
  const Tensor p = exponential(tape, log_p);
  return mean(tape, masked_mean(tape, log_p.reshape({n, 2, 1}), p.reshape({n, 2})));
}

// (2 B, E) of length 1: first on top of second.
Tensor unit_rows(Tape* tape, const Tensor& first, const Tensor& second) {
  const std::int64_t B = first.size(0), E = first.size(1);
  const Tensor both = concatenate_channels(tape, first.reshape({1, B, E}), second.reshape({1, B, E}));
  // A LayerNorm leaves rows of length sqrt(E).
  const float length = 1 / std::sqrt(static_cast<float>(E));
  const Tensor scale = Tensor::filled(first.backend(), {E}, length),
               zero = Tensor::filled(first.backend(), {E}, 0.0f);
  return layer_norm(tape, both.reshape({2 * B, E}), scale, zero, 1e-6f);
}

// (1, E, E): F^T F / N of features (1, N, E).
Tensor gram(Tape* tape, const Tensor& features) {
  const std::int64_t N = features.size(1), E = features.size(2);
  const auto turned = [&] { return swap_axes(tape, features.reshape({1, N, E, 1})).reshape({E, N}); };
  const Tensor over_N = linear(tape, turned(), turned(), {});  // each side with a gradient of its own
  const Tensor none = Tensor::filled(features.backend(), {1, E, E}, 0.0f),
               factor = Tensor::filled(features.backend(), {1}, 1 / static_cast<float>(N));
  return add_scaled(tape, none, over_N.reshape({1, E, E}), factor);
}

// Clip b of (B, N, E), as (1, N, E).
Tensor clip_at(Tape* tape, const Tensor& x, std::int64_t b) {
  std::vector<int> rows(static_cast<std::size_t>(x.size(1)));
  std::iota(rows.begin(), rows.end(), static_cast<int>(b * x.size(1)));
  const std::int64_t N = x.size(1), E = x.size(2);
  return gather(tape, x, Indices::from(x.backend(), {N}, rows)).reshape({1, N, E});
}

}  // namespace

Tensor confusion_loss(Tape* tape, const Tensor& logits, Confusion form) {
  if (form == Confusion::entropy) return negative_entropy(tape, logits);
  const float wanted = form == Confusion::half ? 0.5f : 1.0f;
  return binary_cross_entropy(tape, logits, Tensor::filled(logits.backend(), logits.shape(), wanted));
}

Tensor nt_xent(Tape* tape, const Tensor& first, const Tensor& second, float temperature) {
  check(first.shape().rank() == 2 && first.shape() == second.shape(),
        "nt_xent: views are {} and {}, wanted (B, E) twice", first.shape(), second.shape());
  const std::int64_t B = first.size(0), n = 2 * B;
  // Twice: a product's two sides each have a gradient of their own.
  const Tensor z = unit_rows(tape, first, second), w = unit_rows(tape, first, second);
  // A view is not told from itself: its own product is pushed out of the softmax.
  std::vector<float> own(static_cast<std::size_t>(n * n), 0.0f);
  std::vector<int> partner(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    own[static_cast<std::size_t>(i * n + i)] = -1e9f;
    partner[static_cast<std::size_t>(i)] = static_cast<int>((i + B) % n);
  }
  const Backend backend = first.backend();
  const Tensor factor = Tensor::filled(backend, {1}, 1 / temperature);
  const Tensor logits = add_scaled(tape, Tensor::from(backend, {1, n, n}, own),
                                   linear(tape, z, w, {}).reshape({1, n, n}), factor);
  return cross_entropy(tape, logits.reshape({n, n}), Indices::from(backend, {n}, partner));
}

Tensor style_loss(Tape* tape, const Tensor& features, const Tensor& target) {
  check(features.shape().rank() == 3 && features.shape() == target.shape(),
        "style: features are {} and {}, wanted (B, N, E) twice", features.shape(), target.shape());
  const std::int64_t B = features.size(0);
  Tensor all;
  Tensor wanted;
  for (std::int64_t b = 0; b < B; ++b) {
    const Tensor one = gram(tape, clip_at(tape, features, b)),
                 other = gram(nullptr, clip_at(nullptr, target, b));
    all = b == 0 ? one : concatenate_channels(tape, all, one);
    wanted = b == 0 ? other : concatenate_channels(nullptr, wanted, other);
  }
  return squared_error(tape, all, wanted);
}

}  // namespace stp

#include "models/stprivacy.h"

#include <algorithm>
#include <cmath>

#include "models/delivery_noise.h"

namespace stp {

namespace {

// k = floor(tokens x ratio), the product in double as in the released code.
std::int64_t kept_of(std::int64_t tokens, double ratio) {
  return static_cast<std::int64_t>(static_cast<double>(tokens) * ratio);
}

// The tokens that are left while they are gathered step by step.
struct Left {
  std::int64_t B, S, N;  // clips, time slots, tokens of a whole clip
  Indices rows;          // positions among all B N, (B count); empty: all
  std::int64_t count;    // of a clip

  // Positions `chosen` among the tokens left become what is left.
  Left choose(const Indices& chosen) const {
    const std::vector<int> picks = chosen.values(), before = rows ? rows.values() : std::vector<int>();
    std::vector<int> after(picks.size());
    for (std::size_t i = 0; i < picks.size(); ++i) {
      after[i] = before.empty() ? picks[i] : before[static_cast<std::size_t>(picks[i])];
    }
    const auto size = static_cast<std::int64_t>(after.size());
    return {B, S, N, Indices::from(chosen.backend(), {size}, after), size / B};
  }

  // The time slot of each token left, where slots hold different numbers.
  Indices slots() const {
    std::vector<int> of = rows.values();
    for (int& row : of) row = static_cast<int>(row % N / (N / S));
    return Indices::from(rows.backend(), {B, count}, of);
  }
};

}  // namespace

std::vector<double> cumulative_keep(double alpha, std::size_t scorers) {
  std::vector<double> keep;
  for (std::size_t m = 1; m <= scorers; ++m) keep.push_back(std::pow(alpha, static_cast<double>(m)));
  return keep;
}

void StprivacyOptions::validate() const {
  vit.validate();
  check(keep.size() == score_before.size(), "anonymiser: {} keep ratios for {} scorers", keep.size(),
        score_before.size());
  for (std::size_t m = 0; m < keep.size(); ++m) {
    check(keep[m] > 0 && keep[m] <= (m == 0 ? 1.0 : keep[m - 1]),
          "anonymiser: keep ratio {} is {}; ratios lie in (0, 1] and do not rise", m, keep[m]);
    check(score_before[m] >= 0 && score_before[m] < vit.depth &&
              (m == 0 || score_before[m] > score_before[m - 1]),
          "anonymiser: score_before has block {} in place {}, wanted rising blocks of 0 to {}", score_before[m],
          m, vit.depth - 1);
  }
  const std::int64_t whole = selection == Selection::slot ? vit.tokens_of_slot() : vit.tokens();
  check(keep.empty() || parts == Parts::anonymisation || kept_of(whole, keep.back()) > 0,
        "anonymiser: a keep ratio of {} leaves none of {} tokens; raise it", keep.back(), whole);
  check(temperature > 0, "anonymiser: temperature {} is not positive", temperature);
}

Stprivacy::Stprivacy(const Backend& backend, const Seed& seed, const StprivacyOptions& options)
    : options_(options),
      parameters_(
          backend, seed,
          [this](const ParameterScope& scope) {
            options_.validate();
            trunk_ = Trunk(scope, options_.vit);
            scorers_.clear();
            for (std::size_t m = 0; sparsifies() && m < options_.score_before.size(); ++m) {
              scorers_.emplace_back(scope / "score_predictor" / static_cast<std::int64_t>(m), options_.vit.E,
                                    options_.scorer);
            }
            if (!redraws()) return;
            norm_recon_ = LayerNorm(scope / "norm_recon", options_.vit.E);
            head_recon_ = Linear(scope / "head_recon", options_.vit.E, options_.vit.values());
          },
          options.vit.storage) {}

std::optional<std::size_t> Stprivacy::scorer_before(std::size_t block) const {
  for (std::size_t m = 0; m < scorers_.size(); ++m) {
    if (options_.score_before[m] == static_cast<std::int64_t>(block)) return m;
  }
  return std::nullopt;
}

Tensor Stprivacy::head(Tape* tape, const Tensor& x, const Observer& observe) const {
  const Tensor normal = norm_recon_(tape, x);
  show(observe, "norm_recon", normal);
  const Tensor raw = head_recon_.to_f32(tape, normal);
  show(observe, "tokens_pixels", raw);
  return options_.pixel_head == PixelHead::bounded ? bound_pixels(tape, raw, options_.pixel_range, true) : raw;
}

Tensor Stprivacy::evidence(Tape* tape, const Tensor& logprob) const {
  return options_.decide_on_probability ? exponential(tape, logprob) : logprob;
}

StprivacyPass Stprivacy::train(Tape* tape, const ClipInput& input, const std::vector<Tensor>& noise,
                               const DropPathDraw& draw, const Observer& observe,
                               Activations activations) const {
  const Backend& backend = parameters_.backend();
  const std::int64_t B = input.batch(), S = options_.vit.slots();
  check(noise.size() == scorers_.size(), "anonymiser: {} noise tensors for {} scorers", noise.size(),
        scorers_.size());
  const DropPath drop(backend, options_.vit, B, {}, draw);

  StprivacyPass pass;
  pass.keep = Tensor::filled(backend, {B, options_.vit.tokens()}, 1.0f);
  Tensor x = trunk_.embed(tape, input, observe);
  for (std::size_t i = 0; i < trunk_.blocks.size(); ++i) {
    if (const auto m = scorer_before(i)) {
      // Its layers, in f32, are computed again in backward: a thirtieth of the products of a pass.
      const auto score = [scorer = scorers_[*m], x, keep = pass.keep, S](Tape* t) {
        return scorer(t, x, keep, S);
      };
      const Tensor logprob = checkpointed(tape, score);
      show(observe, numbered("logprob.", *m), logprob);
      pass.keep =
          decide(tape, evidence(tape, logprob), noise[*m], pass.keep, static_cast<float>(options_.temperature));
      pass.decisions.push_back(pass.keep);
    }
    x = trunk_.block(tape, i, x, {pass.keep, {}}, drop(i), activations);
    show(observe, numbered("block.", i), x);
  }
  pass.features = x;
  if (redraws()) pass.pixels = head(tape, x, observe);
  return pass;
}

Tensor Stprivacy::disturbed(const Tensor& logprob, const Tensor& noise, const Indices& rows) const {
  const Tensor own = rows ? gather(nullptr, noise, rows) : noise;
  return log_softmax(nullptr, add(nullptr, evidence(nullptr, logprob), own.reshape(logprob.shape())));
}

Anonymised Stprivacy::anonymise(const ClipInput& input, const std::vector<double>& keep,
                                const Observer& observe) const {
  const std::vector<double>& ratios = keep.empty() ? options_.keep : keep;
  check(ratios.size() == options_.keep.size(), "anonymiser: {} keep ratios for {} scorers", ratios.size(),
        options_.keep.size());
  const Backend& backend = parameters_.backend();
  const std::int64_t B = input.batch(), S = options_.vit.slots(), N = options_.vit.tokens();
  const bool by_slot = options_.selection == Selection::slot;
  std::vector<Tensor> noise;
  if (options_.delivery == Delivery::drawn) noise = delivery_noise(input, N, scorers_.size());

  Anonymised result;
  Left left = {B, S, N, {}, N};
  Tensor x = trunk_.embed(nullptr, input, observe);
  for (std::size_t i = 0; i < trunk_.blocks.size(); ++i) {
    if (const auto m = scorer_before(i)) {
      const Indices slot_of = !by_slot && left.rows ? left.slots() : Indices();
      const Tensor logprob = scorers_[*m](nullptr, x, {}, S, slot_of);
      show(observe, numbered("logprob.", *m), logprob);
      result.scores.push_back(logprob);
      const std::int64_t segments = by_slot ? B * S : B, whole = by_slot ? N / S : N;
      const std::int64_t K = std::min(kept_of(whole, ratios[*m]), left.count * B / segments);
      check(K > 0, "anonymiser: a keep ratio of {} leaves none of {} tokens", ratios[*m], whole);
      const Tensor order = noise.empty() ? logprob : disturbed(logprob, noise[*m], left.rows);
      const Indices chosen = top_k(order.reshape({B * left.count, 2}), segments, K, false);
      left = left.choose(chosen);
      x = gather(nullptr, x, chosen.reshape({B * left.count})).reshape({B, left.count, x.size(2)});
    }
    x = trunk_.blocks[i](nullptr, x, {}, {});
    show(observe, numbered("block.", i), x);
  }
  result.kept = left.rows ? equal_parts(left.rows, B) : every_token(backend, B, N);
  result.keep = scatter(nullptr, Tensor::filled(backend, {B * left.count, 1}, 1.0f), result.kept.rows, B * N)
                    .reshape({B, N});
  if (redraws()) {
    const Tensor pixels = head(nullptr, x, observe).reshape({B * left.count, options_.vit.values()});
    result.pixels = scatter(nullptr, pixels, result.kept.rows, B * N).reshape({B, N, options_.vit.values()});
  }
  return result;
}

}  // namespace stp

// The anonymiser and a recogniser of its mask: what gradient the decision gets.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "models/adversary.h"
#include "tests/models/small.h"

using namespace stp;
using namespace stp::test;

namespace {

constexpr std::int64_t kB = 2, kN = 18, kAttributes = 2;
const std::vector<float> kLabels = {0, 1, 1, 0};

// Mean sigmoid cross-entropy of what the recogniser makes of a mask, in double from its logits on.
double loss_on(const MaskRecogniser& mask, const Backend& backend, const std::vector<float>& keep) {
  const std::vector<float> logits = mask(nullptr, Tensor::from(backend, {kB, kN}, keep)).values();
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i)
    sum += std::log1p(std::exp(logits[i])) - static_cast<double>(kLabels[i]) * static_cast<double>(logits[i]);
  return sum / static_cast<double>(logits.size());
}

}  // namespace

TEST_CASE("hiding the mask: the decision gets the gradient of the privacy term, the recogniser none") {
  const Backend backend(Device::cpu);
  const Stprivacy anonymiser(backend, 1, small_stprivacy());
  const MaskRecogniser mask(backend, 4, kN, 24, kAttributes);
  const LabelledClips batch = {{.clip = normal(backend, {kB, 3, 6, 8, 12}, "clip")},
                               Indices::from(backend, {kB}, std::vector<int>{0, 2}),
                               Tensor::from(backend, {kB, kAttributes}, kLabels)};
  std::vector<Tensor> noise;
  for (std::uint64_t m = 0; m < 3; ++m)
    noise.push_back(gumbel_noise(backend, {kB, kN, 2}, 5, stream_id("noise", {m})));
  AnonymiserStep step(anonymiser, batch, noise, {});
  const Tensor keep = step.pass().keep;
  const std::vector<float> kept = keep.values();

  AdversaryOptions options;
  options.privacy_weight = 0.7;
  const double part = 0.5, h = 1e-2;
  const double told = step.hide_from(mask, options, part).item();
  CHECK(std::abs(told - loss_on(mask, backend, kept)) <= 1e-5);
  for (const Parameter& p : mask.parameters().all()) CHECK_FALSE(p.tensor.has_gradient());

  const std::vector<float> gradient = keep.gradient_values();
  std::vector<double> wanted;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    std::vector<float> more = kept, less = kept;
    more[i] += static_cast<float>(h);
    less[i] -= static_cast<float>(h);
    const double slope = (loss_on(mask, backend, more) - loss_on(mask, backend, less)) / (2 * h);
    wanted.push_back(-options.privacy_weight * part * slope);  // PrivacyTerm::negative
  }
  double largest = 0;
  for (const double w : wanted) largest = std::max(largest, std::abs(w));
  CHECK(largest > 1e-3);
  // Logits in f32 are good to 1e-7, which differences over 2 h make 1e-5; their own error is of h^2.
  for (std::size_t i = 0; i < kept.size(); ++i)
    CHECK(std::abs(static_cast<double>(gradient[i]) - wanted[i]) <= 0.01 * largest + 1e-5);
}

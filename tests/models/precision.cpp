// Networks whose blocks store their activations in bf16, or multiply in tf32, beside the same networks in f32.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/optimizer.h"
#include "engine/rng.h"
#include "models/adversary.h"
#include "tests/models/small.h"

using namespace stp;
using namespace stp::test;

namespace {

constexpr std::int64_t kB = 3, kN = 18;

LabelledClips batch(const Backend& backend) {
  return {{.clip = normal(backend, {kB, 3, 6, 8, 12}, "clip")},
          Indices::from(backend, {kB}, std::vector<int>{0, 1, 2}),
          Tensor::from(backend, {kB, 2}, std::vector<float>{0, 1, 1, 0, 1, 1})};
}

// The step of equation 13 in one precision: losses, and the gradients of all parameters behind one another.
struct Step {
  StepLosses losses;
  std::vector<float> keep, gradients;
};
Step adversarial_step(Element storage, Math math = Math::exact, Device device = Device::cpu) {
  const Backend backend(device, {.guard = true, .poison = true});
  backend.multiply_in(math);
  const StprivacyOptions o = small_stprivacy(storage);
  const Stprivacy anonymiser(backend, 1, o);
  const Recogniser action(backend, 2, {o.vit, 3, 1.0}), privacy(backend, 3, {o.vit, 2, 1.0});
  std::vector<Tensor> noise;
  for (std::uint64_t m = 0; m < 3; ++m) noise.push_back(gumbel_noise(backend, {kB, kN, 2}, 5, m));
  const LabelledClips clips = batch(backend);
  AnonymiserStep pass(anonymiser, clips, noise, {});
  const RecogniserView view = pass.view();
  action_gradients(action, view, clips, {}, true, 1);
  privacy_gradients(privacy, view, clips, {}, true, 1);
  Step step;
  step.keep = view.keep.values();
  step.losses = read(pass.gradients(action, privacy, {}, 1));
  for (const Parameters* p : {&anonymiser.parameters(), &action.parameters(), &privacy.parameters()}) {
    for (const Parameter& parameter : p->all()) {
      const std::vector<float> g = parameter.tensor.gradient_values();
      step.gradients.insert(step.gradients.end(), g.begin(), g.end());
    }
  }
  CHECK(backend.damaged_blocks() == 0);
  return step;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("bf16: an adversarial step has the decisions, losses and gradients of f32, within roundings") {
  const Step whole = adversarial_step(Element::f32), rounded = adversarial_step(Element::bf16);
  CHECK(rounded.keep == whole.keep);  // no decision of these lies within a rounding of its border
  // Roundings of 2^-9 at some thirty places on the way to a loss, most of which cancel.
  CHECK(std::abs(rounded.losses.action - whole.losses.action) <= 0.01 * whole.losses.action);
  CHECK(std::abs(rounded.losses.privacy - whole.losses.privacy) <= 0.01 * whole.losses.privacy);
  CHECK(rounded.gradients != whole.gradients);
  // Independent relative errors of 1 % an element leave a cosine of 1 - 5e-5; twenty times that is room.
  CHECK(cosine(rounded.gradients, whole.gradients) >= 0.999);
}

TEST_CASE("tf32: an adversarial step has the bits of f32 on cpu, and its numbers within roundings on simt") {
  const Step whole = adversarial_step(Element::f32), same = adversarial_step(Element::f32, Math::tf32);
  CHECK(same.gradients == whole.gradients);
  if (!present(Device::simt)) return;
  const Step rounded = adversarial_step(Element::f32, Math::tf32, Device::simt);
  CHECK(rounded.keep == whole.keep);
  // Operands of 2^-11 where bf16 rounds by 2^-9: a quarter of its room for losses, a sixteenth for the cosine.
  CHECK(std::abs(rounded.losses.action - whole.losses.action) <= 0.0025 * whole.losses.action);
  CHECK(std::abs(rounded.losses.privacy - whole.losses.privacy) <= 0.0025 * whole.losses.privacy);
  CHECK(rounded.gradients != adversarial_step(Element::f32, Math::exact, Device::simt).gradients);
  CHECK(cosine(rounded.gradients, whole.gradients) >= 1 - 0.001 / 16);
}

TEST_CASE("bf16: the copy of the weights follows assignment, a restart and the optimizer") {
  const Backend backend(Device::cpu);
  const Recogniser model(backend, 1, {small_stprivacy(Element::bf16).vit, 3, 1.0});
  Optimizer optimizer(model.parameters(), OptimizerOptions(), [](const Parameter&) { return Treatment(); });
  const auto check_copy = [&] {
    for (const Parameter& p : model.parameters().all()) {
      const std::vector<float> values = p.tensor.values();
      const auto* copy = static_cast<const std::uint16_t*>(p.tensor.in(Element::bf16).data);
      for (std::size_t i = 0; i < values.size(); ++i) REQUIRE(copy[i] == to_bf16(values[i]));
    }
  };
  check_copy();
  const LabelledClips clips = batch(backend);
  action_gradients(model, {clips.input, Tensor::filled(backend, {kB, kN}, 1)}, clips, {}, true, 1);
  optimizer.step({1e-2});
  check_copy();
  model.parameters().initialise(7);
  check_copy();
}

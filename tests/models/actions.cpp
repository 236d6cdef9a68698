// L_Action where a clip has one action and where it may show several; and networks that are about to be loaded.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "models/adversary.h"
#include "tests/models/small.h"

using namespace stp;

TEST_CASE("action loss: the class of each clip, or all actions that it shows") {
  const Backend cpu(Device::cpu);
  const std::vector<float> x = {1.5f, -0.5f, 0.25f, -2.0f, 0.0f, 3.0f};
  const Tensor logits = Tensor::from(cpu, {2, 3}, x);
  LabelledClips batch;
  batch.labels = Indices::from(cpu, {2}, std::vector<int>{0, 1});
  double one = 0, several = 0;
  for (std::size_t b = 0; b < 2; ++b) {
    double sum = 0;
    for (std::size_t c = 0; c < 3; ++c) sum += std::exp(static_cast<double>(x[b * 3 + c]));
    one += (std::log(sum) - x[b * 3 + b]) / 2;
  }
  // 1e-6: a few roundings of f32 in values near 2.
  CHECK(!!(std::abs(action_loss(nullptr, logits, batch).item() - one) <= 1e-6));
  const std::vector<float> shown = {1, 0, 1, 0, 0, 1};
  batch.actions = Tensor::from(cpu, {2, 3}, shown);
  for (std::size_t i = 0; i < 6; ++i)
    several += (std::log1p(std::exp(static_cast<double>(x[i]))) - static_cast<double>(shown[i]) * x[i]) / 6;
  CHECK(!!(std::abs(action_loss(nullptr, logits, batch).item() - several) <= 1e-6));
}

TEST_CASE("parameters without a seed are zeros: nothing is drawn that a file will replace") {
  const Backend cpu(Device::cpu);
  const Stprivacy blank(cpu, std::nullopt, test::small_stprivacy()), drawn(cpu, 1, test::small_stprivacy());
  bool any = false;
  for (std::size_t i = 0; i < blank.parameters().all().size(); ++i) {
    const std::vector<float> zeros = blank.parameters().all()[i].tensor.values(),
                             values = drawn.parameters().all()[i].tensor.values();
    CHECK(std::ranges::all_of(zeros, [](float v) { return v == 0; }));
    any = any || std::ranges::any_of(values, [](float v) { return v != 0; });
  }
  CHECK(any);
}

// The whole adversarial step at full size (ViT-S, 392 tokens) through the CUDA kernels, on one clip: every
// gradient of every network agrees with cpu's.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "engine/rng.h"
#include "models/adversary.h"

namespace stp {
namespace {

std::vector<float> normal(const char* name, std::size_t count) {
  std::vector<float> values(count);
  Random random(1, stream_id(name));
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

using Gradients = std::map<std::string, std::vector<float>>;

void take(const std::string& network, const Parameters& parameters, Gradients& all) {
  for (const Parameter& p : parameters.all()) all[network + " " + p.name] = p.tensor.gradient_values();
}

Gradients adversarial_gradients(Device device) {
  const Backend backend(device);
  const Stprivacy anonymiser(backend, 1, {});
  const Recogniser action(backend, 2, {{}, 51, 1.0}), privacy(backend, 3, {{}, 5, 1.0});
  LabelledClips batch;
  batch.input.clip = Tensor::from(backend, {1, 3, 16, 112, 112}, normal("clip", 3UL * 16 * 112 * 112));
  batch.labels = Indices::from(backend, {1}, std::vector<int>{7});
  batch.attributes = Tensor::from(backend, {1, 5}, std::vector<float>{0, 1, 0, 1, 1});
  std::vector<Tensor> noise;
  for (const char* name : {"noise 0", "noise 1", "noise 2"})
    noise.push_back(Tensor::from(backend, {1, 392, 2}, normal(name, 784)));

  Gradients all;
  AnonymiserStep pass(anonymiser, batch, noise, {});
  const RecogniserView view = pass.view();
  action_gradients(action, view, batch, {}, true, 1);
  privacy_gradients(privacy, view, batch, {}, true, 1);
  take("action", action.parameters(), all);
  take("privacy", privacy.parameters(), all);
  pass.gradients(action, privacy, {}, 1);
  take("anonymiser", anonymiser.parameters(), all);
  return all;
}

TEST_CASE("simt: the adversarial step at full size has cpu's gradients") {
  const Gradients wanted = adversarial_gradients(Device::cpu), found = adversarial_gradients(Device::simt);
  REQUIRE(wanted.size() == found.size());
  double largest = 0;  // of any network
  for (const auto& [name, values] : wanted)
    for (float v : values) largest = std::max(largest, std::abs(static_cast<double>(v)));
  CHECK(largest > 0);
  for (const auto& [name, values] : wanted) {
    double error = 0, size = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      error += std::pow(static_cast<double>(found.at(name)[i]) - static_cast<double>(values[i]), 2);
      size += std::pow(static_cast<double>(values[i]), 2);
    }
    // Two orders of summation over up to 1536 terms, through twelve blocks; what is all but zero is compared
    // with the largest gradient there is.
    const double count = static_cast<double>(values.size());
    CHECK_MESSAGE(std::sqrt(error) <= 1e-3 * std::sqrt(size) + 1e-7 * largest * std::sqrt(count), name);
  }
}

}  // namespace
}  // namespace stp

#include "engine/optimizer.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace stp;

namespace {

struct Pair {
  Backend backend{Device::cpu};
  Parameters parameters{backend, 1, [](const ParameterScope& scope) {
                          scope.take("a", {5}, Init::ones());
                          scope.take("b", {7}, Init::ones());
                        }};
  Tensor a = parameters.find("a")->tensor, b = parameters.find("b")->tensor;

  Optimizer optimizer(double clip = std::numeric_limits<double>::infinity()) {
    OptimizerOptions options;
    options.clip_norm = clip;
    return {parameters, options, [](const Parameter& p) -> Treatment {
              return {.group = p.name == "a" ? 0u : 1u, .scale = 1, .decay = 0};
            }};
  }
  void gradient(const Tensor& t, float value) const {
    const std::vector<float> values(static_cast<std::size_t>(t.elements()), value);
    backend.kernels().memory.upload(t.grad().data, values.data(), values.size() * sizeof(float));
  }
};

}  // namespace

TEST_CASE(
    "groups have their own rate; rate 0 and frozen parameters stay, and all gradients are zero afterwards") {
  Pair p;
  Optimizer optimizer = p.optimizer();
  p.gradient(p.a, 1);
  p.gradient(p.b, 1);
  optimizer.step({0, 0.1});
  CHECK(p.a.values() == std::vector<float>(5, 1.0f));
  for (float b : p.b.values())
    CHECK(b == doctest::Approx(0.9).epsilon(1e-6));  // the first step is the whole rate
  CHECK(p.a.gradient_values() == std::vector<float>(5, 0.0f));
  CHECK(p.b.gradient_values() == std::vector<float>(7, 0.0f));
  p.gradient(p.b, 1);
  p.b.set_wants_gradient(false);
  const std::vector<float> before = p.b.values();
  optimizer.step({0.1, 0.1});
  CHECK(p.b.values() == before);
}

TEST_CASE("the norm is that of all gradients, and clipping scales them") {
  Pair p;
  Optimizer optimizer = p.optimizer(1.0);
  p.gradient(p.a, 2);
  p.gradient(p.b, 0);
  CHECK(optimizer.step({0.1, 0.1}) == doctest::Approx(2 * std::sqrt(5.0)));
  // After clipping each gradient is 1 / sqrt 5, of which the first moment holds a tenth.
  CHECK(optimizer.first_moments()[0] == doctest::Approx(0.1 / std::sqrt(5.0)));
}

TEST_CASE("a gradient that is not finite changes nothing and is named") {
  Pair p;
  Optimizer optimizer = p.optimizer();
  p.gradient(p.a, 1);
  p.gradient(p.b, std::numeric_limits<float>::quiet_NaN());
  CHECK_FALSE(std::isfinite(optimizer.step({0.1, 0.1})));
  CHECK(optimizer.first_non_finite() == "b");
  CHECK(p.a.values() == std::vector<float>(5, 1.0f));
  CHECK(optimizer.steps() == 0);
}

TEST_CASE("restored moments continue to the same bits") {
  const auto run = [](bool interrupted) {
    Pair p;
    Optimizer optimizer = p.optimizer();
    for (int step = 0; step < 6; ++step) {
      if (interrupted && step == 3) {
        const auto first = optimizer.first_moments(), second = optimizer.second_moments();
        const auto steps = optimizer.steps();
        optimizer.reset();
        optimizer.restore(steps, first, second);
      }
      p.gradient(p.a, 0.3f * static_cast<float>(step - 2));
      p.gradient(p.b, 0.1f);
      optimizer.step({0.01, 0.02});
    }
    return p.a.values();
  };
  CHECK(run(false) == run(true));
}

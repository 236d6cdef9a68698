// Tensors, the tape, and what happens to gradients between ops.
#include "engine/tensor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/ops.h"
#include "engine/parameters.h"

using namespace stp;

namespace {

Backend watched() { return Backend(Device::cpu, {.guard = true, .poison = true}); }

std::vector<float> counting(std::int64_t n) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(static_cast<float>(i + 1));
  return values;
}

// Gives `tensor` a gradient of all ones.
void seed_ones(const Tensor& tensor) {
  const std::vector<float> ones(static_cast<std::size_t>(tensor.elements()), 1.0f);
  tensor.backend().kernels().memory.upload(tensor.grad().data, ones.data(), ones.size() * sizeof(float));
}

}  // namespace

TEST_CASE("shapes") {
  const Shape s = {2, 3, 4};
  CHECK(s.elements() == 24);
  CHECK(s.rows() == 6);
  CHECK(s[-1] == 4);
  CHECK(s.text() == "(2, 3, 4)");
  CHECK(Shape({2, 0}).elements() == 0);
  CHECK_THROWS_AS(Shape({1, 1, 1, 1, 1, 1, 1}), Error);
  CHECK_THROWS_AS(Shape({-1}), Error);
}

TEST_CASE("values go to the device and come back; reshape shares, detach shares values only") {
  const Backend backend = watched();
  const Tensor x = Tensor::from(backend, {2, 3}, counting(6));
  CHECK(x.reshape({3, 2}).values() == counting(6));
  CHECK_THROWS_AS(x.reshape({4, 2}), Error);
  x.set_wants_gradient(true);
  seed_ones(x.reshape({6}));
  CHECK(x.has_gradient());
  CHECK_FALSE(x.detach().has_gradient());
  CHECK(x.detach().values() == counting(6));
  CHECK_FALSE(x.slot().in());
  CHECK(x.slot().has_gradient());
}

TEST_CASE("bf16 storage rounds to nearest even and keeps NaN") {
  const Backend backend = watched();
  const Tensor x(backend, {4}, Element::bf16);
  x.assign(std::vector<float>{1.0f, 1.00390625f, 1.01171875f, std::numeric_limits<float>::quiet_NaN()});
  const std::vector<float> back = x.values();
  CHECK(back[0] == 1.0f);
  CHECK(back[1] == 1.0f);       // half way between 1 and 1 + 2^-7: to even
  CHECK(back[2] == 1.015625f);  // half way between 1 + 2^-7 and 1 + 2^-6: to even
  CHECK(std::isnan(back[3]));
}

TEST_CASE("a gradient begins with the first contribution and adds from the second on") {
  const Backend backend = watched();
  const Tensor x(backend, {3});
  CHECK_FALSE(x.grad());
  x.set_wants_gradient(true);
  CHECK_FALSE(x.grad().add);
  CHECK(x.grad().add);
  x.clear_gradient();
  CHECK_FALSE(x.grad().add);
}

TEST_CASE("an identity hands its gradient on, unless someone wants to read it") {
  const Backend backend = watched();
  for (const bool kept : {false, true}) {
    const Tensor from(backend, {3}), to(backend, {3});
    from.set_wants_gradient(true);
    to.set_wants_gradient(true);
    if (kept) from.keep_gradient();
    seed_ones(from);
    to.take_gradient(from);
    CHECK(to.gradient_values() == std::vector<float>(3, 1.0f));
    CHECK(from.has_gradient() == kept);
    seed_ones(from);
    to.take_gradient(from);  // now there is something to add to
    CHECK(to.gradient_values() == std::vector<float>(3, 2.0f));
  }
}

TEST_CASE("the tape runs backwards once, skips what no gradient reached, and frees as it goes") {
  const Backend backend = watched();
  const Tensor x = Tensor::from(backend, {2, 2}, counting(4)).set_wants_gradient(true);
  Tape tape;
  const Tensor used = exponential(&tape, x);
  int unused_runs = 0;
  const Tensor unused(backend, {1});
  tape.record({unused}, [&] { ++unused_runs; });
  seed_ones(used);
  tape.backward();
  CHECK(unused_runs == 0);
  CHECK(tape.empty());
  CHECK(x.gradient_values() == used.values());
}

TEST_CASE("without a tape, or without a wanted gradient, nothing is recorded") {
  const Backend backend = watched();
  Tape tape;
  const Tensor x = Tensor::from(backend, {2}, counting(2));
  CHECK_FALSE(exponential(&tape, x).wants_gradient());
  CHECK(tape.empty());
  x.set_wants_gradient(true);
  CHECK_FALSE(exponential(nullptr, x).wants_gradient());
}

TEST_CASE("fan-out: both uses contribute") {
  const Backend backend = watched();
  const Tensor x = Tensor::from(backend, {1, 2}, counting(2)).set_wants_gradient(true);
  Tape tape;
  const Tensor a = squared_error(&tape, x, Tensor::filled(backend, {1, 2}, 0));
  const Tensor b = squared_error(&tape, x, Tensor::filled(backend, {1, 2}, 1));
  tape.backward({{a, 1}, {b, 2}});  // (x1^2 + x2^2)/2 + 2 ((x1-1)^2 + (x2-1)^2)/2
  CHECK(x.gradient_values() == std::vector<float>{1.0f, 4.0f});
}

TEST_CASE("memory comes from a pool: a second round takes nothing from the device") {
  const Backend backend(Device::cpu);
  const auto round = [&] {
    const Tensor x = Tensor::filled(backend, {64, 64}, 1).set_wants_gradient(true);
    Tape tape;
    tape.backward({{squared_error(&tape, exponential(&tape, x), x.detach())}});
  };
  round();
  const std::size_t held = backend.memory_use().held;
  round();
  CHECK(backend.memory_use().held == held);
  CHECK(backend.memory_use().in_use == 0);
}

TEST_CASE("checkpointed: nothing of the way is kept, and values and gradients are the same bits") {
  const auto run = [](bool checkpoint, std::size_t& waiting) {
    const Backend backend = watched();
    const Tensor x = Tensor::from(backend, {4, 64}, counting(256)).set_wants_gradient(true);
    const Tensor weight = Tensor::filled(backend, {64}, 0.5f), bias = Tensor::filled(backend, {64}, 0.1f);
    weight.set_wants_gradient(true);
    bias.set_wants_gradient(true);
    const auto layers = [=](Tape* tape) {
      return layer_norm(tape, gelu(tape, gelu(tape, layer_norm(tape, x, weight, bias, 1e-6f))), weight, bias,
                        1e-6f);
    };
    const std::size_t before = backend.memory_use().in_use;
    Tape tape;
    const Tensor out = checkpoint ? checkpointed(&tape, layers) : layers(&tape);
    waiting = backend.memory_use().in_use - before;
    tape.backward({{squared_error(&tape, out, x.detach()), 1}});
    std::vector<float> all = out.values();
    for (const Tensor& t : {x, weight, bias}) {
      const std::vector<float> gradient = t.gradient_values();
      all.insert(all.end(), gradient.begin(), gradient.end());
    }
    return all;
  };
  std::size_t kept = 0, recomputed = 0;
  CHECK(run(true, recomputed) == run(false, kept));
  CHECK(recomputed < kept / 2);
}

TEST_CASE("checkpointed: nothing is recorded where no gradient is wanted, nor without a tape") {
  const Backend backend = watched();
  const Tensor x = Tensor::from(backend, {2}, counting(2));
  Tape tape;
  CHECK_FALSE(checkpointed(&tape, [=](Tape* t) { return exponential(t, x); }).wants_gradient());
  CHECK(tape.empty());
  x.set_wants_gradient(true);
  CHECK_FALSE(checkpointed(nullptr, [=](Tape* t) { return exponential(t, x); }).wants_gradient());
}

TEST_CASE("values that can be computed again need not be kept, and come back to the bit") {
  const Backend backend = watched();
  const Tensor x = Tensor::from(backend, {1, 3}, counting(3)).set_wants_gradient(true);
  const Tensor ones = Tensor::filled(backend, {3}, 1), zeros = Tensor::filled(backend, {3}, 0);
  Tape tape;
  const Tensor normal = layer_norm(&tape, x, ones, zeros, 1e-6f);
  CHECK_FALSE(normal.lean().in());
  CHECK(normal.lean().whole().values() == normal.values());
  CHECK(x.lean().in().data == x.in().data);  // nothing is known to compute x
  CHECK_FALSE(normal.slot().whole().in());
}

TEST_CASE("a write outside a block is seen") {
  const Backend backend = watched();
  {
    const Tensor x(backend, {3});
    x.out().f32()[3] = 0;
  }
  CHECK(backend.damaged_blocks() == 1);
}

TEST_CASE("gradients of parameters begin with a contribution each; what got none is zeros for who reads all") {
  const Backend backend(Device::cpu);
  Tensor weight, bias;
  const Parameters parameters(backend, 1, [&](const ParameterScope& scope) {
    weight = scope.take("weight", {3, 5}, Init::zeros());
    bias = scope.take("bias", {3}, Init::zeros());
  });
  const Tensor ones = Tensor::filled(backend, {15}, 1);
  const auto contribute = [&](const Tensor& to) {
    backend.run(&KernelTable::accumulate, {.from = ones.in(), .to = to.grad(), .count = to.elements()});
  };
  const std::size_t count = static_cast<std::size_t>(parameters.elements());
  const auto holds = [&](float in_weight, float in_bias) {
    std::vector<float> expected(count, 0.0f);
    std::fill_n(expected.begin(), 15, in_weight);
    std::fill_n(expected.begin() + 16, 3, in_bias);
    return std::equal(expected.begin(), expected.end(), parameters.gradients());
  };
  for (int taking = 0; taking < 2; ++taking) {  // the second is of memory that is full of NaN
    contribute(weight);
    CHECK(holds(1, 0));
    contribute(weight);
    contribute(bias);
    CHECK(holds(2, 1));
    bias.clear_gradient();
    CHECK_FALSE(bias.has_gradient());
    CHECK(holds(2, 0));
    std::fill_n(parameters.gradients(), count, std::numeric_limits<float>::quiet_NaN());
    parameters.clear_gradients();
    CHECK_FALSE(weight.has_gradient());
  }
}

TEST_CASE("parameters: names once, windows of one allocation, frozen on request") {
  const Backend backend(Device::cpu);
  Tensor weight, bias;
  const Parameters parameters(backend, 1, [&](const ParameterScope& scope) {
    weight = (scope / "layer" / 0).take("weight", {3, 5}, Init::normal(0.02));
    bias = (scope / "layer" / 0).take("bias", {3}, Init::ones());
  });
  CHECK(parameters.all().size() == 2);
  CHECK(parameters.find("layer.0.weight")->tensor.values() == weight.values());
  CHECK(parameters.find("layer.1.weight") == nullptr);
  CHECK(bias.values() == std::vector<float>(3, 1.0f));
  for (float w : weight.values()) CHECK(std::abs(w) <= 0.04f);
  CHECK_FALSE(weight.grad().add);
  CHECK(weight.has_gradient());
  CHECK_FALSE(bias.has_gradient());
  const std::size_t with_gradients = backend.memory_use().in_use;
  parameters.clear_gradients();  // their memory goes
  CHECK(backend.memory_use().in_use < with_gradients);
  CHECK_FALSE(weight.has_gradient());
  CHECK(weight.gradient_values() == std::vector<float>(15, 0.0f));
  parameters.freeze(true);
  CHECK_FALSE(weight.grad());
  parameters.freeze(false);
  const std::vector<float> before = weight.values();
  parameters.initialise(2);
  CHECK(weight.values() != before);
  parameters.initialise(1);
  CHECK(weight.values() == before);
  CHECK_THROWS_AS(Parameters(backend, 1,
                             [](const ParameterScope& scope) {
                               scope.take("twice", {1}, Init::zeros());
                               scope.take("twice", {1}, Init::zeros());
                             }),
                  Error);
}

// The ops of convolutional networks beside PyTorch's numbers (tests/facts/image_ops.py).
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "engine/ops.h"

using namespace stp;

namespace {

struct Fact {
  Shape shape;
  std::vector<float> values;
};
using Facts = std::map<std::string, Fact>;

Shape shape_of(const std::string& text) {
  Shape shape;
  std::istringstream sizes(text);
  for (std::string size; std::getline(sizes, size, 'x');) shape.append(std::stoll(size));
  return shape;
}

// The tensors of each case, by name.
const std::map<std::string, Facts>& all_facts() {
  static const std::map<std::string, Facts> facts = [] {
    std::map<std::string, Facts> read;
    std::ifstream file(STP_SOURCE_DIR "/tests/facts/image_ops.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string name, tensor, shape;
      words >> name >> tensor >> shape;
      Fact& fact = read[name][tensor];
      fact.shape = shape_of(shape);
      for (float value; words >> value;) fact.values.push_back(value);
      REQUIRE(static_cast<std::int64_t>(fact.values.size()) == fact.shape.elements());
    }
    return read;
  }();
  return facts;
}

// Both sides compute from the same floats; ours rounds sums of up to 27 products of order one.
void check_close(const std::vector<float>& got, const Fact& wanted, const std::string& what) {
  REQUIRE_MESSAGE(got.size() == wanted.values.size(), what);
  double largest = 0;
  for (const float w : wanted.values) largest = std::max(largest, std::abs(static_cast<double>(w)));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - wanted.values[i]);
    CHECK_MESSAGE(error <= 5e-6 * (1 + largest), what, " [", i, "] is ", got[i], ", PyTorch's ",
                  wanted.values[i]);
  }
}

// One case on one device.
class Run {
 public:
  Run(const std::string& name, Device device) : name_(name), backend_(device), facts_(all_facts().at(name)) {}

  Tensor given(const std::string& tensor) const {
    const Fact& fact = facts_.at(tensor);
    return Tensor::from(backend_, fact.shape, fact.values);
  }
  // The op on `inputs`, then backward from PyTorch's dout.
  void compare(const std::vector<std::string>& inputs,
               const std::function<Tensor(Tape*, const std::vector<Tensor>&)>& op) const {
    std::vector<Tensor> tensors;
    for (const std::string& input : inputs) tensors.push_back(given(input).set_wants_gradient(true));
    Tape tape;
    const Tensor out = op(&tape, tensors), dout = given("dout");
    CHECK(out.shape() == facts_.at("out").shape);
    check("out", out.values());
    out.backend().run(&KernelTable::accumulate, {.from = dout.in(), .to = out.grad(), .count = out.elements()});
    tape.backward();
    for (std::size_t i = 0; i < inputs.size(); ++i) check("d" + inputs[i], tensors[i].gradient_values());
  }
  void check(const std::string& tensor, const std::vector<float>& got) const {
    check_close(got, facts_.at(tensor),
                name_ + " on " + std::string(name_of(backend_.device())) + ": " + tensor);
  }

 private:
  std::string name_;
  Backend backend_;
  const Facts& facts_;
};

// Calls body(run) for every device that is here.
void on_devices(const std::string& name, const std::function<void(const Run&)>& body) {
  for (const Device device : {Device::cpu, Device::simt, Device::cuda}) {
    const char* const only = std::getenv("STP_DEVICE");
    if (present(device) && (!only || name_of(device) == only)) body(Run(name, device));
  }
}

using Tensors = std::vector<Tensor>;
using Op = std::function<Tensor(Tape*, const Tensors&)>;

void compare(const std::string& name, const std::vector<std::string>& inputs, const Op& op) {
  on_devices(name, [&](const Run& run) { run.compare(inputs, op); });
}

void compare(const std::string& name, const std::function<Tensor(Tape*, const Tensor&)>& op) {
  compare(name, {"x"}, [&](Tape* tape, const Tensors& in) { return op(tape, in[0]); });
}

TEST_CASE("torch: convolution and transposed convolution") {
  const std::vector<std::string> inputs = {"x", "weight", "bias"};
  compare("convolution", inputs, [](Tape* t, const Tensors& in) {
    return convolution(t, in[0], in[1], in[2], {2, 1});
  });
  compare("transposed_convolution", inputs, [](Tape* t, const Tensors& in) {
    return transposed_convolution(t, in[0], in[1], in[2], {2, 1}, 1);
  });
}

TEST_CASE("torch: batch norm and instance norm") {
  const std::vector<std::string> inputs = {"x", "weight", "bias"};
  on_devices("batch_norm_training", [&](const Run& run) {
    const RunningStatistics running = {run.given("mean_before"), run.given("variance_before"), 0.1f};
    run.compare(inputs, [&](Tape* t, const Tensors& in) {
      return batch_norm(t, in[0], in[1], in[2], running, NormMode::training);
    });
    run.check("mean_after", running.mean.values());
    run.check("variance_after", running.variance.values());
  });
  on_devices("batch_norm_evaluation", [&](const Run& run) {
    const RunningStatistics running = {run.given("mean_before"), run.given("variance_before"), 0.1f};
    run.compare(inputs, [&](Tape* t, const Tensors& in) {
      return batch_norm(t, in[0], in[1], in[2], running, NormMode::evaluation);
    });
    run.check("mean_before", running.mean.values());
    run.check("variance_before", running.variance.values());
  });
  compare("instance_norm", inputs,
          [](Tape* t, const Tensors& in) { return instance_norm(t, in[0], in[1], in[2], 1e-3f); });
}

TEST_CASE("torch: pooling") {
  const Window window = {3, 3, 2, 1};
  for (const char* name : {"max_pool", "max_pool_ties"})
    compare(name, [&](Tape* t, const Tensor& x) { return max_pool(t, x, window); });
  compare("average_pool", [&](Tape* t, const Tensor& x) { return average_pool(t, x, window); });
  compare("global_average", [](Tape* t, const Tensor& x) { return global_average(t, x); });
}

TEST_CASE("torch: bilinear up-sampling") {
  compare("upsample_corners", [](Tape* t, const Tensor& x) { return upsample(t, x, 8, 6, true); });
  compare("upsample_areas", [](Tape* t, const Tensor& x) { return upsample(t, x, 7, 8, false); });
  compare("upsample_down", [](Tape* t, const Tensor& x) { return upsample(t, x, 3, 4, false); });
}

TEST_CASE("torch: activations, sums, channels") {
  compare("relu", [](Tape* t, const Tensor& x) { return relu(t, x); });
  compare("sigmoid", [](Tape* t, const Tensor& x) { return sigmoid(t, x); });
  compare("sigmoid_as_tanh", [](Tape* t, const Tensor& x) { return sigmoid(t, x, 2); });
  compare("swap_axes", [](Tape* t, const Tensor& x) { return swap_axes(t, x); });
  compare("add", {"a", "b"}, [](Tape* t, const Tensors& in) { return add(t, in[0], in[1]); });
  compare("concatenate_channels", {"a", "b"},
          [](Tape* t, const Tensors& in) { return concatenate_channels(t, in[0], in[1]); });
}

// What the definitions in double do not show.
TEST_CASE("images: NaN stays NaN, and sizes that do not fit are refused") {
  const float nan = std::nanf("");
  for (const Device device : {Device::cpu, Device::simt}) {
    if (!present(device)) continue;
    const Backend backend(device);
    const Tensor x = Tensor::from(backend, {1, 1, 2, 2}, std::vector<float>{1, nan, -1, 2});
    CHECK(std::isnan(relu(nullptr, x).values()[1]));
    CHECK(relu(nullptr, x).values()[2] == 0);
    CHECK(std::isnan(sigmoid(nullptr, x).values()[1]));
    CHECK(std::isnan(max_pool(nullptr, x, {2, 2}).item()));
    const Tensor weight = Tensor::zeros(backend, {1, 1, 3, 3});
    CHECK_THROWS_AS(convolution(nullptr, x, weight, {}, {1, 0}), Error);
    CHECK_THROWS_AS(convolution(nullptr, x, Tensor::zeros(backend, {1, 2, 1, 1}), {}, {}), Error);
    CHECK_THROWS_AS(transposed_convolution(nullptr, x, weight, {}, {2, 1}, 2), Error);
    CHECK_THROWS_AS(max_pool(nullptr, x, {3, 3}), Error);
    CHECK_THROWS_AS(max_pool(nullptr, x, {2, 2, 1, 2}), Error);
    CHECK_THROWS_AS(upsample(nullptr, x, 0, 4, true), Error);
  }
}

}  // namespace

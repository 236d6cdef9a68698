// The convolutional networks beside PyTorch's numbers (tests/facts/image_models.py), and what must hold
// whatever their weights are.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "engine/optimizer.h"
#include "models/baselines/frame_net.h"
#include "models/baselines/itnet.h"
#include "models/baselines/unet.h"

using namespace stp;

namespace {

struct Fact {
  std::size_t count = 0, step = 1;
  double largest = 0;
  std::vector<double> values;  // every step-th
};

const std::map<std::string, std::map<std::string, Fact>>& all_facts() {
  static const auto facts = [] {
    std::map<std::string, std::map<std::string, Fact>> read;
    std::ifstream file(STP_SOURCE_DIR "/tests/facts/image_models.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string network, tensor;
      words >> network >> tensor;
      Fact& fact = read[network][tensor];
      words >> fact.count >> fact.step >> fact.largest;
      for (double value; words >> value;) fact.values.push_back(value);
    }
    return read;
  }();
  return facts;
}

std::vector<float> wave(std::size_t count, double phase, double scale = 1, double middle = 0) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(middle + scale * std::sin(0.61 * static_cast<double>(i) + phase));
  return values;
}

// As `fill` of the script.
void fill(const Parameters& parameters) {
  for (const Parameter& p : parameters.all()) {
    if (!p.learns) continue;
    const std::size_t count = static_cast<std::size_t>(p.shape.elements());
    const double phase = 1 + 0.37 * static_cast<double>(p.name.size());
    if (p.shape.rank() > 1) {
      const double inputs = static_cast<double>(count) / static_cast<double>(p.shape[0]);
      p.tensor.assign(wave(count, phase, std::sqrt(2 / inputs)));
    } else if (p.name.ends_with("weight")) {
      p.tensor.assign(wave(count, phase, 0.3, 1));
    } else {
      p.tensor.assign(wave(count, phase, 0.2));
    }
  }
}

void seed_gradient(const Tensor& out, const std::vector<float>& values) {
  const Tensor dout = Tensor::from(out.backend(), out.shape(), values);
  out.backend().run(&KernelTable::accumulate, {.from = dout.in(), .to = out.grad(), .count = out.elements()});
}

void check_close(const std::vector<float>& got, const Fact& wanted, double tolerance, const std::string& what) {
  REQUIRE_MESSAGE(got.size() == wanted.count, what);
  for (std::size_t i = 0; i < wanted.values.size(); ++i) {
    const double value = got[i * wanted.step], error = std::abs(value - wanted.values[i]);
    CHECK_MESSAGE(error <= tolerance, what, " [", i * wanted.step, "] is ", value, ", PyTorch's ",
                  wanted.values[i], ", largest ", wanted.largest);
  }
}

using Pass = std::function<Tensor(Tape*, const Tensor&, NormMode)>;

// Training pass, backward, running statistics, and then an evaluation, against the facts of `name`.
void compare(const std::string& name, const Parameters& parameters, const Shape& shape, const Pass& pass) {
  const auto& facts = all_facts().at(name);
  fill(parameters);
  const Tensor x = Tensor::from(parameters.backend(), shape,
                                wave(static_cast<std::size_t>(shape.elements()), 0.3, 0.5, 0.5));
  x.set_wants_gradient(true);
  Tape tape;
  const Tensor out = pass(&tape, x, NormMode::training);
  // Outputs pass through up to twenty norms, each of which scales what the sums before it were rounded by.
  constexpr double kOut = 1e-4, kGradient = 2e-3;
  check_close(out.values(), facts.at("out"), kOut * (1 + facts.at("out").largest), name + " out");
  seed_gradient(out, wave(static_cast<std::size_t>(out.elements()), 2));
  tape.backward();
  check_close(x.gradient_values(), facts.at("dx"), kGradient * facts.at("dx").largest, name + " dx");
  double largest = 0;
  for (const Parameter& p : parameters.all()) {
    if (p.learns) largest = std::max(largest, facts.at(p.name).largest);
  }
  // The gradient of a bias in front of a norm is zero: a difference of large numbers.
  for (const Parameter& p : parameters.all()) {
    const Fact& fact = facts.at(p.name);
    if (p.learns)
      check_close(p.tensor.gradient_values(), fact, kGradient * fact.largest + 1e-5 * largest,
                  name + " d " + p.name);
    else
      check_close(p.tensor.values(), fact, kOut * (1 + fact.largest), name + " " + p.name);
  }
  const Fact& evaluated = facts.at("evaluated");
  check_close(pass(nullptr, x, NormMode::evaluation).values(), evaluated, kOut * (1 + evaluated.largest),
              name + " evaluated");
}

std::vector<Device> devices() {
  std::vector<Device> found;
  for (const Device device : {Device::cpu, Device::simt, Device::cuda}) {
    const char* const only = std::getenv("STP_DEVICE");
    if (present(device) && (!only || name_of(device) == only)) found.push_back(device);
  }
  return found;
}

std::int64_t learning(const Parameters& parameters) {
  std::int64_t count = 0;
  for (const Parameter& p : parameters.all()) count += p.learns ? p.shape.elements() : 0;
  return count;
}

void check_count(const char* name, const Parameters& parameters) {
  CHECK(learning(parameters) == static_cast<std::int64_t>(all_facts().at(name).at("parameters").count));
}

Tensor waves(const Backend& backend, const Shape& shape) {
  return Tensor::from(backend, shape, wave(static_cast<std::size_t>(shape.elements()), 0.3, 0.5, 0.5));
}

bool in_unit_range(const Tensor& x) {
  for (const float v : x.values())
    if (!(v >= 0 && v <= 1)) return false;
  return true;
}

}  // namespace

TEST_CASE("baselines: as many parameters as PyTorch counts, and as published") {
  const Backend backend(Device::cpu);
  const UNet unet(backend, 1);
  check_count("unet_whole", unet.parameters());
  const UNet narrow(backend, 1, {.narrow = true});
  check_count("unet_narrow", narrow.parameters());
  CHECK(std::abs(static_cast<double>(learning(narrow.parameters())) - 13.4e6) < 0.05e6);
  const ItNet itnet(backend, 1);
  check_count("itnet_whole", itnet.parameters());
  CHECK(std::abs(static_cast<double>(learning(itnet.parameters())) - 1.7e6) < 0.05e6);
  check_count("frame_net_whole", FrameNet(backend, 1, {.outputs = 1000}).parameters());
  check_count("frame_net_small", FrameNet(backend, 1, FrameNetOptions::small(2)).parameters());
}

TEST_CASE("baselines: forward, every gradient and the running statistics as PyTorch's") {
  for (const Device device : devices()) {
    const Backend backend(device);
    const UNet unet(backend, 1, {.width = 4});
    compare("unet", unet.parameters(), {2, 3, 32, 48},
            [&](Tape* tape, const Tensor& x, NormMode mode) { return unet.images(tape, x, mode); });
    const ItNet itnet(backend, 1, {.width = 4, .blocks = 2});
    compare("itnet", itnet.parameters(), {2, 3, 12, 16},
            [&](Tape* tape, const Tensor& x, NormMode) { return itnet.images(tape, x); });
    const FrameNet small(backend, 1, {3, 4, {1, 2}, false}), reduced(backend, 1, {5, 4, {2, 1}, true});
    compare("frame_net", small.parameters(), {2, 3, 3, 13, 10},
            [&](Tape* tape, const Tensor& x, NormMode mode) { return small.clips(tape, x, mode); });
    compare("frame_net_reduced", reduced.parameters(), {2, 3, 2, 33, 30},
            [&](Tape* tape, const Tensor& x, NormMode mode) { return reduced.clips(tape, x, mode); });
  }
}

TEST_CASE("baselines: clips go frame by frame") {
  const Backend backend(Device::cpu);
  const Tensor clip = waves(backend, {2, 3, 2, 16, 32});
  const UNet unet(backend, 1, {.width = 2});
  const ItNet itnet(backend, 1, {.width = 2, .blocks = 1});
  const std::vector<Tensor> rewritten = {unet.clips(nullptr, clip, NormMode::evaluation),
                                         itnet.clips(nullptr, clip)};
  const Tensor frames = frames_of(nullptr, clip);
  CHECK(frames.shape() == Shape{4, 3, 16, 32});
  CHECK((clips_of(nullptr, frames, 2).values() == clip.values()));
  CHECK((frames_of(nullptr, rewritten[0]).values() ==
         unet.images(nullptr, frames, NormMode::evaluation).values()));
  CHECK((frames_of(nullptr, rewritten[1]).values() == itnet.images(nullptr, frames).values()));
  for (const Tensor& video : rewritten) {
    CHECK(video.shape() == clip.shape());
    CHECK(in_unit_range(video));
  }
  const FrameNet net(backend, 1, FrameNetOptions::small(4));
  CHECK(net.clips(nullptr, clip, NormMode::evaluation).shape() == Shape{2, 4});
}

TEST_CASE("baselines: sizes that do not fit are refused") {
  const Backend backend(Device::cpu);
  const UNet unet(backend, 1, {.width = 2});
  CHECK_THROWS_AS(unet.images(nullptr, waves(backend, {1, 3, 16, 24}), NormMode::evaluation), Error);
  CHECK_THROWS_AS(unet.images(nullptr, waves(backend, {1, 1, 16, 16}), NormMode::evaluation), Error);
  CHECK_THROWS_AS(unet.clips(nullptr, waves(backend, {1, 3, 16, 16}), NormMode::evaluation), Error);
  CHECK_THROWS_AS(ItNet(backend, 1, {.width = 2}).images(nullptr, waves(backend, {1, 3, 8, 10})), Error);
  CHECK_THROWS_AS(UNet(backend, 1, {.width = 3}), Error);
  CHECK_THROWS_AS(ItNet(backend, 1, {.width = 0}), Error);
  CHECK_THROWS_AS(FrameNet(backend, 1, {.outputs = 2, .blocks = {}}), Error);
}

TEST_CASE("baselines: a frozen network passes gradients on and keeps its statistics out of training") {
  const Backend backend(Device::cpu);
  const FrameNet net(backend, 1, {3, 4, {1, 1}, false});
  const Parameter& mean = *net.parameters().find("bn1.running_mean");
  const Tensor x = waves(backend, {2, 3, 2, 12, 12});
  x.set_wants_gradient(true);
  net.parameters().freeze(true);
  Tape tape;
  const Tensor logits = net.clips(&tape, x, NormMode::evaluation);
  seed_gradient(logits, wave(6, 1));
  tape.backward();
  CHECK(x.has_gradient());
  CHECK((mean.tensor.values() == std::vector<float>(4, 0.0f)));
  net.parameters().freeze(false);
  CHECK_FALSE(mean.tensor.wants_gradient());
  CHECK(net.parameters().find("bn1.weight")->tensor.wants_gradient());

  // Decay would shrink a running variance that the optimizer took for a parameter.
  Optimizer optimizer(net.parameters(), {}, [](const Parameter&) { return Treatment{0, 1, 0.5}; });
  optimizer.step({0.1});
  CHECK((net.parameters().find("bn1.running_var")->tensor.values() == std::vector<float>(4, 1.0f)));
}

TEST_CASE("baselines: the small classifier learns a batch by heart") {
  const Backend backend(Device::cpu);
  const FrameNet net(backend, 7, {2, 8, {1, 1}, false});
  const Tensor clips = waves(backend, {4, 3, 2, 12, 12});
  const std::vector<int> answers = {0, 1, 1, 0};
  const Indices labels = Indices::from(backend, {4}, answers);
  Optimizer optimizer(net.parameters(), {}, [](const Parameter&) { return Treatment{}; });
  float first = 0, last = 0;
  for (int step = 0; step < 40; ++step) {
    Tape tape;
    const Tensor loss = cross_entropy(&tape, net.clips(&tape, clips, NormMode::training), labels);
    last = loss.item();
    if (step == 0) first = last;
    tape.backward({{loss}});
    optimizer.step({0.01});
  }
  CHECK(first > 0.4);
  CHECK(last < 0.05);
}

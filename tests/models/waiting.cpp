// A training step issues its work and waits once, at its end: no allocation from the device after the first
// step, one download, no upload of what could be made there.
#include <doctest/doctest.h>

#include "engine/optimizer.h"
#include "engine/rng.h"
#include "models/adversary.h"
#include "tests/models/small.h"

using namespace stp;
using namespace stp::test;

namespace {

constexpr std::int64_t kB = 2, kN = 18;

struct Calls {
  int allocations = 0, downloads = 0, uploads = 0, waits = 0;
};
// A kernel table's functions have no state of their own.
Calls calls;

template <Device device>
const KernelTable& counting() {
  static const KernelTable table = [] {
    KernelTable counted = kernels(device);
    DeviceMemory& memory = counted.memory;
    memory.allocate = [](std::size_t bytes) {
      ++calls.allocations;
      return kernels(device).memory.allocate(bytes);
    };
    memory.download = [](void* to, const void* from, std::size_t bytes) {
      ++calls.downloads;
      kernels(device).memory.download(to, from, bytes);
    };
    memory.upload = [](void* to, const void* from, std::size_t bytes) {
      ++calls.uploads;
      kernels(device).memory.upload(to, from, bytes);
    };
    memory.wait = [] {
      ++calls.waits;
      kernels(device).memory.wait();
    };
    return counted;
  }();
  return table;
}

// Equation 13 in order sequential, three optimizers and all.
class Training {
 public:
  Training(const Backend& backend, bool gathered)
      : backend_(backend),
        gathered_(gathered),
        anonymiser_(backend, 1, small_stprivacy()),
        action_(backend, 2, {small_vit(), 3, 1.0}),
        privacy_(backend, 3, {small_vit(), 2, 1.0}),
        for_anonymiser_(adamw(anonymiser_.parameters())),
        for_action_(adamw(action_.parameters())),
        for_privacy_(adamw(privacy_.parameters())) {
    batch_ = {{.clip = normal(backend, {kB, 3, 6, 8, 12}, "clip")},
              Indices::from(backend, {kB}, std::vector<int>{0, 2}),
              Tensor::from(backend, {kB, 2}, std::vector<float>{0, 1, 1, 0})};
  }

  StepLosses step(std::uint64_t number) {
    std::vector<Tensor> noise;
    for (std::uint64_t m = 0; m < 3; ++m)
      noise.push_back(gumbel_noise(backend_, {kB, kN, 2}, 5, stream_id("noise", {number, m})));
    AnonymiserStep pass(anonymiser_, batch_, noise, {});
    const RecogniserView view = pass.view();
    action_gradients(action_, view, batch_, {}, gathered_, 1);
    for_action_.issue({1e-3});
    privacy_gradients(privacy_, view, batch_, {}, gathered_, 1);
    for_privacy_.issue({1e-3});
    StepNumbers numbers = pass.gradients(action_, privacy_, {}, 1);
    Readings readings;
    numbers.note(readings);
    const std::size_t norm = readings.note(for_anonymiser_.issue({1e-3}));
    readings.fetch();
    CHECK(readings.number(norm) > 0);
    return numbers.losses(readings);
  }

 private:
  static Optimizer adamw(const Parameters& parameters) {
    return {parameters, OptimizerOptions(), [](const Parameter&) { return Treatment(); }};
  }

  Backend backend_;
  bool gathered_;
  Stprivacy anonymiser_;
  Recogniser action_, privacy_;
  Optimizer for_anonymiser_, for_action_, for_privacy_;
  LabelledClips batch_;
};

template <Device device>
void check_waits(bool gathered, int downloads) {
  if (!present(device)) return;
  CAPTURE(name_of(device));
  Training training(Backend(device, counting<device>()), gathered);
  training.step(0);
  for (std::uint64_t number = 1; number < 4; ++number) {
    calls = {};
    const StepLosses losses = training.step(number);
    CHECK(losses.action > 0);
    CHECK(losses.keep.size() == 3);
    CHECK(calls.downloads == downloads);
    CHECK(calls.uploads == 0);
    CHECK(calls.waits == 0);
    if (!gathered) CHECK(calls.allocations == 0);
  }
}

}  // namespace

TEST_CASE("an adversarial step after the first allocates nothing and waits for the device once") {
  check_waits<Device::cpu>(false, 1);
  check_waits<Device::simt>(false, 1);
}

TEST_CASE("recognisers that learn on gathered tokens wait once more each: their number is a size") {
  check_waits<Device::cpu>(true, 3);
  check_waits<Device::simt>(true, 3);
}

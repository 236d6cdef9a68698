// What a training step keeps in memory: recomputed blocks give the same bits, and steps after the first take
// nothing from the device.
#include <doctest/doctest.h>

#include "engine/optimizer.h"
#include "engine/rng.h"
#include "models/adversary.h"
#include "tests/models/small.h"

using namespace stp;
using namespace stp::test;

namespace {

constexpr std::int64_t kB = 2;

StprivacyOptions options(Element storage) {
  StprivacyOptions o = small_stprivacy(storage);
  o.vit.drop_path = 0.5;
  return o;
}

// Three networks and what their steps are made of.
struct Players {
  Backend backend;
  StprivacyOptions chosen;
  Activations waiting;
  Stprivacy anonymiser;
  Recogniser action, privacy;
  LabelledClips clips;

  Players(const Backend& device, const StprivacyOptions& o, Activations while_waiting)
      : backend(device),
        chosen(o),
        waiting(while_waiting),
        anonymiser(device, 1, o),
        action(device, 2, {o.vit, 3, 1.0}),
        privacy(device, 3, {o.vit, 2, 1.0}),
        clips{{.clip = normal(device, {kB, 3, 6, 8, 12}, "clip")},
              Indices::from(device, {kB}, std::vector<int>{0, 2}),
              Tensor::from(device, {kB, 2}, std::vector<float>{0, 1, 1, 1})} {}

  std::vector<Tensor> noise(std::uint64_t step) const {
    std::vector<Tensor> drawn;
    for (std::uint64_t m = 0; m < 3; ++m)
      drawn.push_back(gumbel_noise(backend, {kB, chosen.vit.tokens(), 2}, step, m));
    return drawn;
  }
  // What every parameter's gradient is after both kinds of update: recognisers on clips of different lengths,
  // the anonymiser through the decisions.
  std::vector<float> gradients(bool joint) {
    const DropPathDraw drop = {true, 7, 1};
    AnonymiserStep pass(anonymiser, clips, noise(5), drop, waiting);
    if (joint) {
      pass.joint_gradients(action, privacy, drop, {}, 1);
    } else {
      action_gradients(action, pass.view(), clips, drop, true, 1);
      privacy_gradients(privacy, pass.view(), clips, drop, false, 1);
      pass.gradients(action, privacy, {}, 1);
    }
    std::vector<float> all;
    for (const Parameters* p : {&anonymiser.parameters(), &action.parameters(), &privacy.parameters()}) {
      for (const Parameter& parameter : p->all()) {
        const std::vector<float> g = parameter.tensor.gradient_values();
        all.insert(all.end(), g.begin(), g.end());
      }
    }
    return all;
  }
};

}  // namespace

TEST_CASE("blocks recomputed in backward give the same gradients to the bit") {
  for (const Element storage : {Element::f32, Element::bf16}) {
    for (const bool joint : {false, true}) {
      const auto run = [&](Activations blocks, Activations waiting) {
        const Backend backend(Device::cpu, {.guard = true, .poison = true});
        StprivacyOptions o = options(storage);
        o.vit.activations = blocks;
        std::vector<float> gradients = Players(backend, o, waiting).gradients(joint);
        CHECK(backend.damaged_blocks() == 0);
        return gradients;
      };
      const std::vector<float> kept = run(Activations::kept, Activations::kept);
      CHECK(kept != std::vector<float>(kept.size(), 0.0f));
      CHECK(run(Activations::recomputed, Activations::kept) == kept);
      CHECK(run(Activations::kept, Activations::recomputed) == kept);
    }
  }
}

TEST_CASE("a frozen sparsifier stays without gradients when blocks are recomputed") {
  const Backend backend(Device::cpu);
  StprivacyOptions o = options(Element::f32);
  o.vit.drop_path = 0;
  const auto run = [&](Activations waiting) {
    Players players(backend, o, waiting);
    for (const Parameter& p : players.anonymiser.parameters().all())
      p.tensor.set_wants_gradient(p.name.starts_with("blocks.3.") || p.name.starts_with("head_recon."));
    std::vector<float> gradients = players.gradients(false);
    const Tensor early = players.anonymiser.parameters().find("blocks.0.attn.qkv.weight")->tensor;
    CHECK(early.gradient_values() == std::vector<float>(static_cast<std::size_t>(early.elements()), 0.0f));
    return gradients;
  };
  CHECK(run(Activations::recomputed) == run(Activations::kept));
}

TEST_CASE("recomputed blocks leave less waiting for backward") {
  const auto waiting = [](Activations activations) {
    const Backend backend(Device::cpu);
    const Players players(backend, options(Element::f32), activations);
    const std::size_t before = backend.memory_use().in_use;
    const AnonymiserStep pass(players.anonymiser, players.clips, players.noise(5), {}, activations);
    return backend.memory_use().in_use - before;
  };
  CHECK(waiting(Activations::recomputed) < waiting(Activations::kept) / 2);
}

// Under the address sanitizer blocks lie apart, and the recognisers' ragged sizes seldom come again.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kCut = false;
#else
constexpr bool kCut = true;
#endif

TEST_CASE("steps after the first take nothing from the device") {
  const Backend backend(Device::cpu);
  StprivacyOptions o = options(Element::f32);
  o.vit.E = 96;  // so that parameters and activations need several segments
  o.vit.T = 96;
  Players players(backend, o, Activations::kept);
  players.clips.input.clip = normal(backend, {kB, 3, 96, 8, 12}, "clip");
  const auto adamw = [](const Parameters& p) {
    return Optimizer(p, OptimizerOptions(), [](const Parameter&) { return Treatment(); });
  };
  Optimizer for_anonymiser = adamw(players.anonymiser.parameters());
  Optimizer for_action = adamw(players.action.parameters()), for_privacy = adamw(players.privacy.parameters());
  std::size_t held = 0, resting = 0;
  for (std::uint64_t step = 0; step < 5; ++step) {
    {
      AnonymiserStep pass(players.anonymiser, players.clips, players.noise(step), {});
      action_gradients(players.action, pass.view(), players.clips, {}, true, 1);
      for_action.step({1e-4});
      privacy_gradients(players.privacy, pass.view(), players.clips, {}, true, 1);
      for_privacy.step({1e-4});
      pass.gradients(players.action, players.privacy, {}, 1);
      for_anonymiser.step({1e-4});
    }
    const MemoryUse use = backend.memory_use();
    if (step == 0) {
      held = use.held;
      resting = use.in_use;
    }
    if (kCut) CHECK(use.held == held);
    CHECK(use.in_use == resting);  // values and moments; no gradient is left:
    for (const Parameters* learnt :
         {&players.anonymiser.parameters(), &players.action.parameters(), &players.privacy.parameters()})
      CHECK(!learnt->all().front().tensor.has_gradient());
  }
}

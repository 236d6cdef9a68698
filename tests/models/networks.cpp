// Properties that hold for any weights: what the golden tensors cannot show for one set of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/optimizer.h"
#include "engine/rng.h"
#include "models/adversary.h"
#include "models/delivery_noise.h"
#include "tests/models/small.h"

using namespace stp;
using namespace stp::test;

namespace {

ClipInput small_clip(const Backend& backend, std::int64_t B = 2) {
  return {.clip = normal(backend, {B, 3, 6, 8, 12}, "clip")};
}

std::vector<Tensor> small_noise(const Backend& backend, std::int64_t B = 2) {
  std::vector<Tensor> noise;
  for (std::uint64_t m = 0; m < 3; ++m) noise.push_back(gumbel_noise(backend, {B, 18, 2}, 5, m));
  return noise;
}

// Parameters large enough that decisions and outputs vary.
void spread(const Parameters& parameters) {
  for (const Parameter& p : parameters.all()) {
    if (p.shape.rank() > 1) p.tensor.assign(normal(parameters.backend(), p.shape, p.name).values());
  }
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("masked and gathered recognisers agree but for the smoothing, on clips that keep different numbers") {
  const Backend backend(Device::cpu);
  const Recogniser model(backend, 1, {small_vit(), 4, 1.0});
  std::vector<float> kept(36, 0.0f);
  for (std::size_t n : {0u, 5u, 6u, 17u, 20u, 35u}) kept[n] = 1;  // four of the first clip, two of the second
  const Tensor keep = Tensor::from(backend, {2, 18}, kept);
  const ClipInput clip = small_clip(backend);
  const std::vector<float> masked = model.masked(nullptr, clip, keep).values();
  const std::vector<float> gathered = model.gathered(nullptr, clip, compact(keep)).values();
  CHECK(largest_difference(masked, gathered) <= 1e-5);  // smoothing 1e-6 over 18 tokens, logits of order one
}

TEST_CASE("a keep ratio of one keeps every token, a lower one keeps a subset of each scorer's choice") {
  const Backend backend(Device::cpu);
  Stprivacy model(backend, 1, small_stprivacy());
  spread(model.parameters());
  const ClipInput clip = small_clip(backend);
  const auto kept = [&](double alpha) {
    return model.anonymise(clip, cumulative_keep(alpha, 3)).keep.values();
  };
  CHECK(kept(1.0) == std::vector<float>(36, 1.0f));
  // With one scorer the same scores are cut at another place.
  StprivacyOptions one = small_stprivacy();
  one.score_before = {1};
  one.keep = {0.7};
  const Stprivacy single(backend, 2, one);
  spread(single.parameters());
  const std::vector<float> more = single.anonymise(clip, {0.7}).keep.values(),
                           less = single.anonymise(clip, {0.4}).keep.values();
  for (std::size_t i = 0; i < more.size(); ++i) CHECK(less[i] <= more[i]);
  CHECK(std::count(less.begin(), less.end(), 1.0f) == 2 * 3 * 2);  // floor(6 x 0.4) in each of three slots
}

TEST_CASE("selection by slot keeps equal numbers in each slot, by clip the best of all") {
  const Backend backend(Device::cpu);
  for (const Selection selection : {Selection::slot, Selection::clip}) {
    StprivacyOptions options = small_stprivacy();
    options.selection = selection;
    options.keep = {0.67, 0.5, 0.34};
    const Stprivacy model(backend, 1, options);
    spread(model.parameters());
    const std::vector<float> keep = model.anonymise(small_clip(backend)).keep.values();
    for (std::size_t b = 0; b < 2; ++b) {
      const auto begin = keep.begin() + static_cast<std::ptrdiff_t>(18 * b);
      CHECK(std::count(begin, begin + 18, 1.0f) == 6);
      for (std::ptrdiff_t s = 0; selection == Selection::slot && s < 3; ++s) {
        CHECK(std::count(begin + 6 * s, begin + 6 * s + 6, 1.0f) == 2);
      }
    }
  }
}

TEST_CASE("drawn delivery: as many as the best, the same for the same clip in any company, else by chance") {
  const Backend backend(Device::cpu);
  const std::int64_t B = 200, K = 2;
  StprivacyOptions options = small_stprivacy();
  options.delivery = Delivery::drawn;
  options.score_before = {1};
  options.keep = {static_cast<double>(K) / 6};
  const Stprivacy model(backend, 1, options);
  for (const Parameter& p : model.parameters().all()) {  // all tokens score alike: the choice is the noise's
    if (p.name.starts_with("score_predictor."))
      p.tensor.assign(std::vector<float>(static_cast<std::size_t>(p.shape.elements()), 0.0f));
  }
  const Tensor clips = normal(backend, {B, 3, 6, 8, 12}, "clip");
  const std::vector<float> all = clips.values(), keep = model.anonymise({.clip = clips}).keep.values();
  const std::size_t of_clip = all.size() / static_cast<std::size_t>(B);
  std::vector<int> times(18);
  for (std::size_t i = 0; i < keep.size(); ++i) times[i % 18] += keep[i] > 0.5f ? 1 : 0;
  for (std::size_t slot = 0; slot < keep.size(); slot += 6) {
    const auto first = keep.begin() + static_cast<std::ptrdiff_t>(slot);
    CHECK(std::count(first, first + 6, 1.0f) == K);
  }
  // Of 200 clips each place is kept in a third: 66.7, deviation 6.7; five of them.
  for (const int n : times) CHECK(std::abs(n - 66.7) <= 34);
  // Alone, the eighth clip gets the decision that it got among the others.
  const auto begin = all.begin() + static_cast<std::ptrdiff_t>(7 * of_clip);
  const std::vector<float> eighth(begin, begin + static_cast<std::ptrdiff_t>(of_clip));
  const std::vector<float> alone =
      model.anonymise({.clip = Tensor::from(backend, {1, 3, 6, 8, 12}, eighth)}).keep.values();
  CHECK(std::equal(alone.begin(), alone.end(), keep.begin() + 7 * 18));
}

TEST_CASE("drawn delivery: noise is drawn from what is read of frames, and scores count beside it") {
  const Backend backend(Device::cpu);
  std::vector<std::uint8_t> pixels(6 * 10 * 14 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7 % 251);
  const auto frames = [&](const std::vector<std::uint8_t>& values, int left, std::uint8_t mirrored) {
    ClipInput input;
    input.frames.pixels = Bytes::from(backend, {1, 6, 10, 14, 3}, values);
    input.frames.crop = Indices::from(backend, {1, 2}, std::vector<int>{0, left});
    input.frames.flip = Bytes::from(backend, {1}, std::vector<std::uint8_t>{mirrored});
    return delivery_noise(input, 18, 2)[1].values();
  };
  const std::vector<float> noise = frames(pixels, 1, 0);
  CHECK(noise == frames(pixels, 1, 0));
  CHECK(noise != frames(pixels, 2, 0));
  CHECK(noise != frames(pixels, 1, 1));
  ++pixels.back();
  CHECK(noise != frames(pixels, 1, 0));
  // Scores that differ by more than noise can: the best stay.
  StprivacyOptions options = small_stprivacy();
  options.delivery = Delivery::drawn;
  options.keep = {0.67, 0.5, 0.34};
  const Stprivacy drawn(backend, 1, options);
  options.delivery = Delivery::best;
  const Stprivacy best(backend, 1, options);
  for (const Stprivacy* model : {&drawn, &best}) {
    spread(model->parameters());
    for (const Parameter& p : model->parameters().all()) {
      if (!p.name.ends_with("out_conv.4.weight")) continue;
      std::vector<float> far = p.tensor.values();
      for (float& v : far) v *= 1e4f;
      p.tensor.assign(far);
    }
  }
  CHECK(drawn.anonymise(small_clip(backend)).keep.values() ==
        best.anonymise(small_clip(backend)).keep.values());
}

TEST_CASE("dropped tubelets are exact zeros, and the bounded head stays in the range of a picture at 8 bits") {
  const Backend backend(Device::cpu);
  StprivacyOptions options = small_stprivacy();
  options.pixel_head = PixelHead::bounded;
  options.pixel_range = {{-2, -2, -2}, {3, 3, 3}};
  const Stprivacy model(backend, 1, options);
  spread(model.parameters());
  const Anonymised out = model.anonymise(small_clip(backend));
  const std::vector<float> pixels = out.pixels.values(), keep = out.keep.values();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const bool kept = keep[i / static_cast<std::size_t>(options.vit.values())] > 0.5f;
    if (!kept) CHECK(pixels[i] == 0.0f);
    const double level = (pixels[i] + 2.0) / 5.0 * 255;
    if (kept) CHECK(std::abs(level - std::round(level)) < 1e-3);  // 255 levels over a range of 5, in f32
  }
}

TEST_CASE("decisions never bring a token back") {
  const Backend backend(Device::cpu);
  const Stprivacy model(backend, 1, small_stprivacy());
  spread(model.parameters());
  const StprivacyPass pass = model.train(nullptr, small_clip(backend), small_noise(backend));
  for (std::size_t m = 1; m < 3; ++m) {
    const std::vector<float> before = pass.decisions[m - 1].values(), after = pass.decisions[m].values();
    for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i] <= before[i]);
  }
}

TEST_CASE("a batch is its clips: order and company do not matter") {
  const Backend backend(Device::cpu);
  const Stprivacy model(backend, 1, small_stprivacy());
  spread(model.parameters());
  const std::vector<float> both = model.anonymise(small_clip(backend)).pixels.values();
  const std::vector<float> clips = small_clip(backend).clip.values();
  const std::size_t half = clips.size() / 2;
  const std::vector<float> second(clips.begin() + static_cast<std::ptrdiff_t>(half), clips.end());
  const ClipInput alone = {.clip = Tensor::from(backend, {1, 3, 6, 8, 12}, second)};
  const std::vector<float> single = model.anonymise(alone).pixels.values();
  const std::vector<float> wanted(both.begin() + static_cast<std::ptrdiff_t>(both.size() / 2), both.end());
  CHECK(largest_difference(single, wanted) <=
        1e-3);  // products may be blocked differently; values are up to 100
}

TEST_CASE("each part alone") {
  const Backend backend(Device::cpu);
  for (const Parts parts : {Parts::sparsification, Parts::anonymisation}) {
    StprivacyOptions options = small_stprivacy();
    options.parts = parts;
    const Stprivacy model(backend, 1, options);
    const bool sparsifies = parts == Parts::sparsification;
    CHECK((model.parameters().find("head_recon.weight") == nullptr) == sparsifies);
    CHECK((model.parameters().find("score_predictor.0.in_conv.1.weight") != nullptr) == sparsifies);
    const Recogniser action(backend, 2, {small_vit(), 3, 1.0}), privacy(backend, 3, {small_vit(), 5, 1.0});
    const LabelledClips batch = {small_clip(backend), Indices::from(backend, {2}, std::vector<int>{0, 2}),
                                 Tensor::filled(backend, {2, 5}, 1)};
    const std::vector<Tensor> noise = sparsifies ? small_noise(backend) : std::vector<Tensor>();
    AnonymiserStep step(model, batch, noise, {});
    action_gradients(action, step.view(), batch, {}, true, 1);
    privacy_gradients(privacy, step.view(), batch, {}, true, 1);
    const StepLosses losses = read(step.gradients(action, privacy, {}, 1));
    CHECK(std::isfinite(losses.action));
    double moved = 0;
    for (const Parameter& p : model.parameters().all()) {
      for (float g : p.tensor.gradient_values()) moved += std::abs(g);
    }
    CHECK(moved > 0);
    const Anonymised out = model.anonymise(batch.input);
    CHECK(static_cast<bool>(out.pixels) == !sparsifies);
  }
}

TEST_CASE("the whole stays finite when a slot, a clip, or everything is dropped") {
  const Backend backend(Device::cpu);
  const Stprivacy model(backend, 1, small_stprivacy());
  const Recogniser action(backend, 2, {small_vit(), 3, 1.0}), privacy(backend, 3, {small_vit(), 5, 1.0});
  const LabelledClips batch = {small_clip(backend), Indices::from(backend, {2}, std::vector<int>{0, 2}),
                               Tensor::filled(backend, {2, 5}, 1)};
  // Noise that decides: drop everything of the first clip, and one slot of the second.
  std::vector<float> push(72, 0.0f);
  for (std::size_t n = 0; n < 36; ++n) push[2 * n + (n < 24 ? 1 : 0)] = 100;
  std::vector<Tensor> noise(3, Tensor::from(backend, {2, 18, 2}, push));
  AnonymiserStep step(model, batch, noise, {});
  for (const bool gathered : {true, false}) {
    CHECK(std::isfinite(action_gradients(action, step.view(), batch, {}, gathered, 1).item()));
    CHECK(std::isfinite(privacy_gradients(privacy, step.view(), batch, {}, gathered, 1).item()));
  }
  CHECK(std::isfinite(step.gradients(action, privacy, {}, 1).action.item()));
  for (const Parameters* parameters : {&model.parameters(), &action.parameters(), &privacy.parameters()}) {
    for (const Parameter& p : parameters->all()) {
      for (float g : p.tensor.gradient_values()) REQUIRE_MESSAGE(std::isfinite(g), p.name);
    }
  }
}

TEST_CASE("a tiny recogniser overfits a batch") {
  const Backend backend(Device::cpu);
  const Recogniser model(backend, 1, {small_vit(), 4, 1.0});
  Optimizer optimizer(model.parameters(), OptimizerOptions(), [](const Parameter&) { return Treatment(); });
  const LabelledClips batch = {
      small_clip(backend, 4), Indices::from(backend, {4}, std::vector<int>{0, 1, 2, 3}), {}};
  const RecogniserView view = {batch.input, Tensor::filled(backend, {4, 18}, 1)};
  double loss = 0;
  for (int i = 0; i < 60; ++i) {
    loss = action_gradients(model, view, batch, {}, i % 2 == 0, 1).item();
    optimizer.step({3e-3});
  }
  CHECK(loss < 0.05);
}

TEST_CASE("drop path takes whole branches of whole clips, the same for packed tokens") {
  const Backend backend(Device::cpu);
  VitOptions vit = small_vit();
  vit.drop_path = 0.5;
  const Packing packing = {Indices::from(backend, {3}, std::vector<int>{0, 4, 9}), 2, 5};
  const DropPathDraw draw = {true, 1, 2};
  const DropPath dense(backend, vit, 2, {}, draw), packed(backend, vit, 2, packing, draw);
  CHECK_FALSE(dense(0).attention);  // the first block is never dropped
  const std::vector<float> factors = dense(3).mlp.values(), repeated = packed(3).mlp.values();
  REQUIRE(repeated.size() == 9);
  for (std::size_t i = 0; i < 9; ++i) CHECK(repeated[i] == factors[i < 4 ? 0 : 1]);
  for (float f : factors) CHECK((f == 0.0f || f == 2.0f));
}

TEST_CASE("options that cannot work are refused with the cure") {
  StprivacyOptions options = small_stprivacy();
  options.vit.X = 13;
  CHECK_THROWS_WITH_AS(
      options.validate(),
      "model: a clip of 6 x 8 x 13 is not divisible by the tubelet 2 x 4 x 4; choose a size of whole "
      "tubelets",
      Error);
  options = small_stprivacy();
  options.keep = {0.7, 0.8, 0.3};
  CHECK_THROWS_AS(options.validate(), Error);
  options = small_stprivacy();
  options.score_before = {1, 2, 4};
  CHECK_THROWS_AS(options.validate(), Error);
  options = small_stprivacy();
  options.vit.heads = 5;
  CHECK_THROWS_AS(options.validate(), Error);
}

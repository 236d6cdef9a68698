#include "bench/steps.h"

#include <memory>
#include <utility>

#include "engine/optimizer.h"
#include "engine/rng.h"

namespace stp::bench {

namespace {

constexpr double kRate = 1e-5;

Tensor random_tensor(const Backend& backend, const Shape& shape, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  Random random(1, stream_id(name));
  for (float& v : values) v = static_cast<float>(random.normal());
  return Tensor::from(backend, shape, values);
}

LabelledClips random_clips(const Backend& backend, const Size& size, std::int64_t B) {
  const VitOptions& v = size.recogniser;
  LabelledClips clips;
  clips.input.clip = random_tensor(backend, {B, 3, v.T, v.Y, v.X}, "clip");
  std::vector<int> labels;
  std::vector<float> attributes;
  for (std::int64_t b = 0; b < B; ++b) {
    labels.push_back(static_cast<int>(b * 7 % size.classes));
    for (std::int64_t k = 0; k < size.attributes; ++k) attributes.push_back(static_cast<float>((b + k) % 2));
  }
  clips.labels = Indices::from(backend, {B}, labels);
  clips.attributes = Tensor::from(backend, {B, size.attributes}, attributes);
  return clips;
}

Optimizer adamw(const Parameters& parameters) {
  return {parameters, OptimizerOptions(), [](const Parameter& p) -> Treatment {
            return {.group = 0, .scale = 1, .decay = p.shape.rank() > 1 && p.name != "pos_embed" ? 0.05 : 0.0};
          }};
}

// Three networks, their optimizers, and clips.
struct Training {
  Backend backend;
  std::int64_t B;
  LabelledClips batch;
  Stprivacy anonymiser;
  Recogniser action, privacy;
  Optimizer for_anonymiser, for_action, for_privacy;
  Activations waiting;
  bool recorded;
  std::uint64_t steps = 0;

  Training(const Backend& device, const Size& size, std::int64_t clips)
      : backend(device),
        B(clips),
        batch(random_clips(device, size, clips)),
        anonymiser(device, 1, size.anonymiser),
        action(device, 2, {size.recogniser, size.classes, 1.0}),
        privacy(device, 3, {size.recogniser, size.attributes, 1.0}),
        for_anonymiser(adamw(anonymiser.parameters())),
        for_action(adamw(action.parameters())),
        for_privacy(adamw(privacy.parameters())),
        waiting(size.waiting),
        recorded(size.recorded) {}

  void step() {
    std::vector<Tensor> noise;
    for (std::uint64_t m = 0; m < anonymiser.options().keep.size(); ++m) {
      const Shape shape = {B, anonymiser.options().vit.tokens(), 2};
      noise.push_back(gumbel_noise(backend, shape, 1, stream_id("noise", {steps, m})));
    }
    ++steps;
    AnonymiserStep pass(anonymiser, batch, noise, {}, waiting);
    const RecogniserView view = pass.view();
    action_gradients(action, view, batch, {}, !recorded, 1);
    for_action.issue({kRate});
    privacy_gradients(privacy, view, batch, {}, !recorded, 1);
    for_privacy.issue({kRate});
    StepNumbers numbers = pass.gradients(action, privacy, {}, 1);
    for_anonymiser.issue({kRate});
    if (!recorded) read(std::move(numbers));
  }
};

// A recogniser, its optimizer, and clips of which it is to see a part.
struct Recognising {
  LabelledClips batch;
  RecogniserView view;
  Recogniser action;
  Optimizer optimizer;

  Recognising(const Backend& backend, const Size& size, std::int64_t B)
      : batch(random_clips(backend, size, B)),
        action(backend, 2, {size.recogniser, size.classes, 1.0}),
        optimizer(adamw(action.parameters())) {
    const Shape shape = {B, size.recogniser.tokens()};
    std::vector<float> kept(static_cast<std::size_t>(shape.elements()));
    Random random(1, stream_id("kept"));
    for (float& k : kept) k = random.chance(0.343) ? 1.0f : 0.0f;
    view = {batch.input, Tensor::from(backend, shape, kept)};
  }

  void step() {
    action_gradients(action, view, batch, {}, false, 1);
    optimizer.step({kRate});
  }
};

}  // namespace

Size full_size(Element storage) {
  Size size;
  size.anonymiser.vit.storage = size.recogniser.storage = storage;
  return size;
}

Size tiny_size(Element storage) {
  Size size = full_size(storage);
  for (VitOptions* vit : {&size.anonymiser.vit, &size.recogniser}) {
    vit->T = 8;
    vit->Y = vit->X = 48;
    vit->y = vit->x = 8;
    vit->E = 48;
    vit->heads = 3;
  }
  size.anonymiser.vit.depth = 4;
  size.anonymiser.score_before = {1, 2, 3};
  size.anonymiser.keep = cumulative_keep(0.5, 3);
  size.recogniser.depth = 3;
  size.classes = 8;
  return size;
}

Size full_size_but(Element storage, int T, int Y, int X, std::int64_t depth) {
  Size size = full_size(storage);
  for (VitOptions* vit : {&size.anonymiser.vit, &size.recogniser}) {
    vit->T = T;
    vit->Y = Y;
    vit->X = X;
    vit->depth = depth;
  }
  size.anonymiser.score_before = {depth / 4, depth / 2, 3 * depth / 4};
  return size;
}

Work train_step(const Backend& backend, const Size& size, std::int64_t B) {
  return [training = std::make_shared<Training>(backend, size, B)] { training->step(); };
}

Work anonymise(const Backend& backend, const Size& size, std::int64_t B) {
  return
      [input = random_clips(backend, size, B).input,
       anonymiser = std::make_shared<Stprivacy>(backend, 1, size.anonymiser)] { anonymiser->anonymise(input); };
}

Work recogniser_step(const Backend& backend, const Size& size, std::int64_t B) {
  return [recognising = std::make_shared<Recognising>(backend, size, B)] { recognising->step(); };
}

}  // namespace stp::bench

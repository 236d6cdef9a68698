// The networks against the released model: outputs, decisions, losses, every gradient.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/golden/golden.h"

using namespace stp;
using namespace stp::test;

namespace {

ClipInput clip_input(const Tensor& clip) { return {.clip = clip}; }

std::vector<Tensor> noise_of(GoldenFile& file, const Backend& backend, std::size_t scorers) {
  std::vector<Tensor> noise;
  for (std::size_t m = 0; m < scorers; ++m) noise.push_back(file.tensor(backend, numbered("noise.", m)));
  return noise;
}

Tensor video_of(Tape* tape, const GoldenConfig& config, const Tensor& pixels) {
  return tubelets_to_clip(tape, pixels, config.anonymiser.geometry(config.batch, TubeletLayout::channels_last));
}

// Compares each observed stage, and asks for its gradient.
struct Stages {
  GoldenFile& file;
  std::map<std::string, Tensor> seen;

  Observer observer() {
    return [this](const std::string& name, const Tensor& value) { seen[name] = value.keep_gradient(); };
  }
  void outputs() {
    for (const auto& [name, value] : seen) file.output("stage." + name, value.values());
  }
  void gradients() {
    for (const auto& [name, value] : seen) file.gradient("grad.stage." + name, value.gradient_values());
  }
};

// Rows of a pruned stage in the released order (slot by slot, highest score first) -> token order.
std::vector<float> in_token_order(const std::vector<float>& rows, const std::vector<int>& keep,
                                  std::int64_t B) {
  const std::size_t count = keep.size() / static_cast<std::size_t>(B), width = rows.size() / keep.size();
  std::vector<float> sorted;
  for (std::size_t b = 0; b < static_cast<std::size_t>(B); ++b) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), b * count);
    std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return keep[i] < keep[j]; });
    for (std::size_t i : order) {
      const auto from = rows.begin() + static_cast<std::ptrdiff_t>(i * width);
      sorted.insert(sorted.end(), from, from + static_cast<std::ptrdiff_t>(width));
    }
  }
  return sorted;
}

void check_eval(const GoldenConfig& config, const std::string& name, const std::vector<double>& keep) {
  const Backend backend = golden_backend();
  const Stprivacy model(backend, 1, config.stprivacy());
  load_parameters(model.parameters(), config.file("anonymiser_params"));
  GoldenFile file(config, name);
  std::map<std::string, Tensor> stages;
  const Observer observe = [&](const std::string& stage, const Tensor& value) { stages[stage] = value; };
  const Anonymised out = model.anonymise(clip_input(file.tensor(backend, "clip")), keep, observe);

  file.output("video", video_of(nullptr, config, out.pixels).values());
  file.rounded("mask", out.keep.values());
  const std::size_t scorers = config.score_before.size();
  const std::vector<int> k = file.integers("k");
  for (std::size_t m = 0; m < scorers; ++m) {
    const std::vector<int> left = file.integers(numbered("keep.", m));
    CHECK(left.size() == static_cast<std::size_t>(config.batch * config.anonymiser.slots() * k[m]));
  }
  // The last list of tokens equals ours; the ones before are implied by the stages, compared in token order.
  std::vector<int> ours = out.kept.rows.values(), last = file.integers(numbered("keep.", scorers - 1));
  for (std::size_t i = 0; i < ours.size(); ++i) ours[i] %= static_cast<int>(config.anonymiser.tokens());
  std::vector<float> last_sorted = in_token_order({last.begin(), last.end()}, last, config.batch);
  CHECK(std::vector<float>(ours.begin(), ours.end()) == last_sorted);

  for (const auto& [stage, value] : stages) {
    const std::string full = "stage." + stage;
    const std::vector<float> golden = file.floats(full);
    std::vector<float> wanted = golden;
    for (std::size_t m = 0; m < scorers; ++m) {
      const std::vector<int> left = file.integers(numbered("keep.", m));
      const auto rows = static_cast<std::size_t>(value.shape().rows());
      if (left.size() == rows) wanted = in_token_order(golden, left, config.batch);
    }
    const std::vector<float> got = value.values();
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (!(std::abs(got[i] - wanted[i]) <= 1e-5 + 1e-4 * std::abs(wanted[i]))) {
        FAIL_CHECK(name << " " << full << "[" << i << "] is " << got[i] << ", wanted " << wanted[i]);
        break;
      }
    }
  }
  file.everything_was_compared();
}

// alpha0.5 -> {0.5, 0.25, 0.125}
std::vector<double> keep_of_name(const std::string& name, std::size_t scorers) {
  const std::size_t at = name.find("alpha");
  return at == std::string::npos ? std::vector<double>()
                                 : cumulative_keep(std::stod(name.substr(at + 5)), scorers);
}

// The recognisers' share of the gradient of the mask, which also steers the anonymiser's last blocks and the
// ratio loss.
std::vector<float> mask_gradient(const Recogniser& action, const Recogniser& privacy,
                                 const RecogniserView& seen, const LabelledClips& batch,
                                 const AdversaryOptions& options) {
  const RecogniserView view = seen.detach();
  view.keep.set_wants_gradient(true);
  Tape tape;
  const Tensor a = cross_entropy(&tape, action.masked(&tape, view.input, view.keep), batch.labels);
  const Tensor p = binary_cross_entropy(&tape, privacy.masked(&tape, view.input, view.keep), batch.attributes);
  tape.backward(
      {{a, static_cast<float>(options.action_weight)}, {p, static_cast<float>(-options.privacy_weight)}});
  return view.keep.gradient_values();
}

}  // namespace

TEST_CASE("golden: the anonymiser at inference, at every keep ratio") {
  for (const GoldenConfig& config : golden_configs()) {
    for (const auto& entry : std::filesystem::directory_iterator(config.folder)) {
      const std::string name = entry.path().stem().string();
      if (name.starts_with("anonymiser_eval")) check_eval(config, name, keep_of_name(name, config.keep.size()));
    }
  }
}

TEST_CASE("golden: the anonymiser in training, with every gradient") {
  for (const GoldenConfig& config : golden_configs()) {
    const Backend backend = golden_backend();
    const Stprivacy model(backend, 1, config.stprivacy());
    load_parameters(model.parameters(), config.file("anonymiser_params"));
    GoldenFile file(config, "anonymiser_train");
    Stages stages{file, {}};
    const Tensor clip = file.tensor(backend, "clip").set_wants_gradient(true);
    Tape tape;
    const StprivacyPass pass = model.train(&tape, clip_input(clip), noise_of(file, backend, config.keep.size()),
                                           {}, stages.observer());
    const Tensor video = video_of(&tape, config, pass.pixels);

    file.output("video", video.values());
    file.rounded("mask", pass.keep.values());
    stages.outputs();
    // loss = sum(video up) + sum(mask up) + sum over decisions
    double loss = 0;
    const auto seed = [&](const Tensor& tensor, const std::string& name) {
      const std::vector<float> up = file.floats(name), values = tensor.values();
      for (std::size_t i = 0; i < up.size(); ++i) loss += static_cast<double>(up[i]) * values[i];
      contribute(tensor, up);
    };
    seed(video, "up.video");
    seed(pass.keep, "up.mask");
    for (std::size_t m = 0; m < pass.decisions.size(); ++m) {
      file.rounded(numbered("decision.", m), pass.decisions[m].values());
      seed(pass.decisions[m], numbered("up.decision.", m));
    }
    file.output("loss", {static_cast<float>(loss)});
    tape.backward();
    stages.gradients();
    file.gradient("grad.clip", clip.gradient_values());
    compare_gradients(file, "grad.", model.parameters());
    file.everything_was_compared();
  }
}

TEST_CASE("golden: both recognisers in both forms, with every gradient") {
  for (const GoldenConfig& config : golden_configs()) {
    for (const bool action : {true, false}) {
      for (const bool gathered : {true, false}) {
        const Backend backend = golden_backend();
        const std::string kind = action ? "action" : "privacy";
        RecogniserOptions options = {config.recogniser, action ? config.classes : config.attributes, 1.0};
        const Recogniser model(backend, 1, options);
        load_parameters(model.parameters(), config.file(kind + "_params"));
        GoldenFile file(config, kind + (gathered ? "_gathered" : "_masked"));
        Stages stages{file, {}};

        const Tensor clip = file.tensor(backend, "clip").set_wants_gradient(true);
        const Tensor keep =
            Tensor::from(backend, {config.batch, config.recogniser.tokens()}, file.floats("mask"));
        keep.set_wants_gradient(!gathered);
        Tape tape;
        const Tensor logits =
            gathered ? model.gathered(&tape, clip_input(clip), compact(keep), {}, stages.observer())
                     : model.masked(&tape, clip_input(clip), keep, {}, stages.observer());
        logits.keep_gradient();
        const Tensor loss =
            action
                ? cross_entropy(&tape, logits, Indices::from(backend, {config.batch}, file.integers("label")))
                : binary_cross_entropy(&tape, logits, file.tensor(backend, "privacy_label"));
        tape.backward({{loss}});

        file.output("logits", logits.values());
        file.output("loss", loss.values());
        stages.outputs();
        file.gradient("grad.logits", logits.gradient_values());
        file.gradient("grad.clip", clip.gradient_values());
        if (gathered) {
          file.ignore("stage.patch_embed");  // of all tokens; here only the kept ones are embedded
        } else {
          file.gradient("grad.mask", keep.gradient_values());
        }
        compare_gradients(file, "grad.", model.parameters());
        file.everything_was_compared();
      }
    }
  }
}

TEST_CASE("golden: one adversarial iteration, recognisers on kept tokens or on all") {
  for (const GoldenConfig& config : golden_configs()) {
    for (const bool gathered_update : {true, false}) {
      for (const bool joint : {true, false}) {
        const Backend backend = golden_backend();
        const Stprivacy anonymiser(backend, 1, config.stprivacy());
        const Recogniser action(backend, 1, {config.recogniser, config.classes, 1.0});
        const Recogniser privacy(backend, 1, {config.recogniser, config.attributes, 1.0});
        load_parameters(anonymiser.parameters(), config.file("anonymiser_params"));
        load_parameters(action.parameters(), config.file("action_params"));
        load_parameters(privacy.parameters(), config.file("privacy_params"));
        GoldenFile file(config, "adversarial");
        const LabelledClips batch = {clip_input(file.tensor(backend, "clip")),
                                     Indices::from(backend, {config.batch}, file.integers("label")),
                                     file.tensor(backend, "privacy_label")};

        AnonymiserStep step(anonymiser, batch, noise_of(file, backend, config.keep.size()), {});
        step.pass().pixels.keep_gradient();
        AdversaryOptions options;
        options.gathered_update = gathered_update;
        StepLosses losses;
        if (joint) {
          losses = read(step.joint_gradients(action, privacy, {}, options, 1));
        } else {
          action_gradients(action, step.view(), batch, {}, gathered_update, 1);
          privacy_gradients(privacy, step.view(), batch, {}, gathered_update, 1);
          losses = read(step.gradients(action, privacy, options, 1));
        }
        compare_gradients(file, "grad.action.", action.parameters());
        compare_gradients(file, "grad.privacy.", privacy.parameters());
        compare_gradients(file, "grad.anonymiser.", anonymiser.parameters());

        file.output("video", video_of(nullptr, config, step.pass().pixels).values());
        file.rounded("mask", step.pass().keep.values());
        file.output("loss.sparsification", {static_cast<float>(losses.ratio)});
        file.output("loss.action", {static_cast<float>(losses.action)});
        file.output("loss.privacy", {static_cast<float>(losses.privacy)});
        const double whole = losses.ratio + 0.5 * losses.action - 0.5 * losses.privacy;
        file.output("loss.anonymiser", {static_cast<float>(whole)});
        file.output("logits.action", action.masked(nullptr, step.view().input, step.view().keep).values());
        file.output("logits.privacy", privacy.masked(nullptr, step.view().input, step.view().keep).values());
        const Tensor dpixels =
            Tensor::from(backend, step.pass().pixels.shape(), step.pass().pixels.gradient_values());
        file.gradient("grad.video", video_of(nullptr, config, dpixels).values());
        file.gradient("grad.mask", mask_gradient(action, privacy, step.view(), batch, options));
        file.everything_was_compared();
      }
    }
  }
}

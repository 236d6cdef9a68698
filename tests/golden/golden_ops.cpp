// Operators against the released modules.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/optimizer.h"
#include "models/scorer.h"
#include "models/weights.h"
#include "tests/golden/golden.h"

using namespace stp;
using namespace stp::test;

namespace {

// q, k, v (B, H, N, D) -> packed (B, N, 3, H, D), and back for one part.
struct Heads {
  std::int64_t B, H, N, D;

  explicit Heads(const Shape& q) : B(q[0]), H(q[1]), N(q[2]), D(q[3]) {}

  template <class Visit>
  void each(
      const Visit& visit) const {  // visit(index in (B, H, N, D), token, head and component in (B, N, ., H, D))
    for (std::int64_t b = 0; b < B; ++b) {
      for (std::int64_t h = 0; h < H; ++h) {
        for (std::int64_t n = 0; n < N; ++n) {
          for (std::int64_t d = 0; d < D; ++d) {
            visit(static_cast<std::size_t>(((b * H + h) * N + n) * D + d), b * N + n, h * D + d);
          }
        }
      }
    }
  }

  // `parts` arrays of (B, H, N, D) into (B, N, parts, H, D).
  std::vector<float> pack(const std::vector<std::vector<float>>& parts) const {
    const auto count = static_cast<std::int64_t>(parts.size());
    std::vector<float> packed(parts[0].size() * parts.size());
    for (std::int64_t p = 0; p < count; ++p) {
      each([&](std::size_t i, std::int64_t token, std::int64_t component) {
        packed[static_cast<std::size_t>((token * count + p) * H * D + component)] =
            parts[static_cast<std::size_t>(p)][i];
      });
    }
    return packed;
  }

  std::vector<float> unpack(const std::vector<float>& packed, std::int64_t part, std::int64_t parts) const {
    std::vector<float> out(packed.size() / static_cast<std::size_t>(parts));
    each([&](std::size_t i, std::int64_t token, std::int64_t component) {
      out[i] = packed[static_cast<std::size_t>((token * parts + part) * H * D + component)];
    });
    return out;
  }
};

void check_attention(const GoldenConfig& config, const std::string& name) {
  const Backend backend = golden_backend();
  GoldenFile file(config, name);
  const Heads heads(file.shape("q"));
  const bool masked = file.has("policy");
  const Shape packed = {heads.B, heads.N, 3 * heads.H * heads.D};
  const Tensor qkv =
      Tensor::from(backend, packed, heads.pack({file.floats("q"), file.floats("k"), file.floats("v")}));
  qkv.set_wants_gradient(true);
  Tensor keep;
  if (masked) keep = Tensor::from(backend, {heads.B, heads.N}, file.floats("policy")).set_wants_gradient(true);
  Tape tape;
  const Tensor out = attention(&tape, qkv, keep,
                               {.heads = heads.H, .smoothing = masked ? AttentionOptions().smoothing : 0.0f});
  file.output("out", heads.unpack(out.values(), 0, 1));
  contribute(out, heads.pack({file.floats("up")}));
  tape.backward();
  const std::vector<float> gradient = qkv.gradient_values();
  file.gradient("grad.q", heads.unpack(gradient, 0, 3));
  file.gradient("grad.k", heads.unpack(gradient, 1, 3));
  file.gradient("grad.v", heads.unpack(gradient, 2, 3));
  if (masked) file.gradient("grad.policy", keep.gradient_values());
  file.everything_was_compared();
}

// The masked softmax alone, seen through attention: with scores S given, take D = N, q = S sqrt(N), k =
// identity; with v = identity the output is A itself.
void check_softmax(const GoldenConfig& config, const std::string& name, double absolute_gradient) {
  const Backend backend = golden_backend();
  GoldenFile file(config, name);
  const Shape scores = file.shape("scores");
  const std::int64_t B = scores[0], H = scores[1], N = scores[2];
  std::vector<float> q = file.floats("scores"), identity(q.size(), 0.0f);
  for (std::int64_t bh = 0; bh < B * H; ++bh) {
    for (std::int64_t n = 0; n < N; ++n) identity[static_cast<std::size_t>((bh * N + n) * N + n)] = 1;
  }
  const Heads heads(scores);
  const Tensor qkv =
      Tensor::from(backend, {B, N, 3 * H * N}, heads.pack({q, identity, identity})).set_wants_gradient(true);
  const Tensor keep = Tensor::from(backend, {B, N}, file.floats("policy")).set_wants_gradient(true);
  Tape tape;
  const Tensor out =
      attention(&tape, qkv, keep, {.heads = H, .smoothing = AttentionOptions().smoothing, .scale = 1});
  file.output("out", heads.unpack(out.values(), 0, 1));
  contribute(out, heads.pack({file.floats("up")}));
  tape.backward();
  file.gradient("grad.scores", heads.unpack(qkv.gradient_values(), 0, 3), absolute_gradient);
  file.gradient("grad.policy", keep.gradient_values(), absolute_gradient);
  file.everything_was_compared();
}

// A module whose parameters stand in its file as param.*: loads them, runs `forward`, compares out and all
// gradients.
void check_module(const GoldenConfig& config, const std::string& name, const std::string& input,
                  const std::function<void(ParameterScope)>& construct,
                  const std::function<Tensor(Tape*, const Tensor& x, const Tensor& keep)>& forward,
                  double absolute = 1e-5) {
  const Backend backend = golden_backend();
  GoldenFile file(config, name);
  const Parameters parameters(backend, 1, construct);
  for (const Parameter& p : parameters.all()) p.tensor.assign(file.floats("param." + p.name));
  const Tensor x = file.tensor(backend, input).set_wants_gradient(true);
  Tensor keep;
  if (file.has("policy")) {
    const Shape shape = file.shape("policy");
    keep = Tensor::from(backend, {shape[0], shape[1]}, file.floats("policy")).set_wants_gradient(true);
  }
  Tape tape;
  const Tensor out = forward(&tape, x, keep);
  file.output("out", out.values(), absolute);
  contribute(out, file.floats("up"));
  tape.backward();
  file.gradient("grad." + input, x.gradient_values());
  if (keep) file.gradient("grad.policy", keep.gradient_values());
  for (const Parameter& p : parameters.all()) file.gradient("grad.param." + p.name, p.tensor.gradient_values());
  file.everything_was_compared();
}

}  // namespace

TEST_CASE("golden: policy attention") {
  for (const GoldenConfig& config : golden_configs()) {
    for (const char* name : {"op_policy_attention", "op_policy_attention_soft", "op_policy_attention_eps",
                             "op_policy_attention_none"}) {
      check_attention(config, name);
    }
    check_softmax(config, "op_masked_softmax", 2e-5);
    check_softmax(config, "op_masked_softmax_large", 2e-5);
    check_softmax(config, "op_masked_softmax_all_dropped", 1e-3);  // its sums cancel (README, step 3)
  }
}

TEST_CASE("golden: layers") {
  for (const GoldenConfig& config : golden_configs()) {
    const std::int64_t E = config.anonymiser.E, heads = config.anonymiser.heads;
    Block block;
    const auto whole_block = [&](const ParameterScope& scope) { block = Block(scope, E, heads, 4 * E, {}); };
    const auto run_block = [&](Tape* tape, const Tensor& x, const Tensor& keep) {
      return block(tape, x, {keep, {}});
    };
    check_module(config, "op_block", "x", whole_block, run_block);
    check_module(config, "op_block_none", "x", whole_block, run_block);

    Linear qkv, proj;
    const auto construct_attention = [&](const ParameterScope& scope) {
      qkv = Linear(scope / "qkv", E, 3 * E);
      proj = Linear(scope / "proj", E, E);
    };
    check_module(config, "op_attention", "x", construct_attention,
                 [&](Tape* tape, const Tensor& x, const Tensor& keep) {
                   return proj(tape, attention(tape, qkv(tape, x), keep,
                                               {.heads = heads, .smoothing = AttentionOptions().smoothing}));
                 });

    Linear fc1, fc2;
    const auto construct_mlp = [&](const ParameterScope& scope) {
      fc1 = Linear(scope / "fc1", E, 4 * E);
      fc2 = Linear(scope / "fc2", 4 * E, E);
    };
    check_module(config, "op_mlp", "x", construct_mlp, [&](Tape* tape, const Tensor& x, const Tensor&) {
      return mlp(tape, x, {fc1.weight, fc1.bias, fc2.weight, fc2.bias});
    });

    LayerNorm norm;
    // The second half of its input has mean 5 and spread 0.05 (README, step 3).
    check_module(
        config, "op_layernorm", "x", [&](const ParameterScope& scope) { norm = LayerNorm(scope, E); },
        [&](Tape* tape, const Tensor& x, const Tensor&) { return norm(tape, x); }, 1e-4);

    Scorer scorer;
    check_module(
        config, "op_score_predictor", "x",
        [&](const ParameterScope& scope) { scorer = Scorer(scope, E, ScorerOptions()); },
        [&](Tape* tape, const Tensor& x, const Tensor& keep) {
          return scorer(tape, x, keep, config.anonymiser.slots());
        });

    check_module(
        config, "op_gelu", "x", [](const ParameterScope&) {},
        [](Tape* tape, const Tensor& x, const Tensor&) { return gelu(tape, x); });

    Tensor weight, bias;
    check_module(
        config, "op_tubelet_embedding", "clip",
        [&](const ParameterScope& scope) {
          const VitOptions& v = config.anonymiser;
          weight = (scope / "proj").take("weight", {v.E, 3, v.t, v.y, v.x}, Init::zeros());
          bias = (scope / "proj").take("bias", {v.E}, Init::zeros());
        },
        [&](Tape* tape, const Tensor& clip, const Tensor&) {
          const VitOptions& v = config.anonymiser;
          const TubeletGeometry g = v.geometry(config.batch, TubeletLayout::channels_first);
          return linear(tape, clip_to_tubelets(tape, clip, g), weight.reshape({v.E, v.values()}), bias);
        });
  }
}

TEST_CASE("golden: decisions and losses") {
  for (const GoldenConfig& config : golden_configs()) {
    const Backend backend = golden_backend();
    for (const bool hard : {true, false}) {
      GoldenFile file(config, hard ? "op_gumbel_hard" : "op_gumbel_soft");
      const Tensor logprob = file.tensor(backend, "logprob").set_wants_gradient(true);
      const Shape shape = {logprob.size(0), logprob.size(1)};
      const Tensor previous = Tensor::from(backend, shape, file.floats("previous")).set_wants_gradient(true);
      Tape tape;
      const Tensor keep = decide(&tape, logprob, file.tensor(backend, "noise"), previous, 1, hard);
      file.output("out", keep.values());
      contribute(keep, file.floats("up"));
      tape.backward();
      file.gradient("grad.logprob", logprob.gradient_values());
      file.gradient("grad.previous", previous.gradient_values());
      file.everything_was_compared();
    }

    GoldenFile ratio(config, "op_sparsification_loss");
    StprivacyPass pass;
    for (std::size_t m = 0; m < config.keep.size(); ++m) {
      const std::string name = numbered("decision.", m);
      const Shape s = ratio.shape(name);
      pass.decisions.push_back(
          Tensor::from(backend, {s[0], s[1] * s[2]}, ratio.floats(name)).set_wants_gradient(true));
    }
    StprivacyOptions options = config.stprivacy();
    const std::vector<float> given = ratio.floats("ratio");
    options.keep.assign(given.begin(), given.end());
    Tape tape;
    const std::vector<Tape::Term> terms = ratio_terms(&tape, pass, options, RatioScope::slot, 1);
    StepNumbers numbers;
    numbers.ratio = terms;
    ratio.output("loss", {static_cast<float>(read(numbers).ratio)});
    tape.backward(terms);
    for (std::size_t m = 0; m < config.keep.size(); ++m) {
      ratio.gradient(numbered("grad.decision.", m), pass.decisions[m].gradient_values());
    }
    ratio.everything_was_compared();

    GoldenFile losses(config, "op_losses");
    const Tensor action = losses.tensor(backend, "logits.action").set_wants_gradient(true);
    const Tensor privacy = losses.tensor(backend, "logits.privacy").set_wants_gradient(true);
    Tape both;
    const Tensor ce =
        cross_entropy(&both, action, Indices::from(backend, {action.size(0)}, losses.integers("label")));
    const Tensor bce = binary_cross_entropy(&both, privacy, losses.tensor(backend, "privacy_label"));
    losses.output("loss.action", ce.values());
    losses.output("loss.privacy", bce.values());
    both.backward({{ce}, {bce}});
    losses.gradient("grad.logits.action", action.gradient_values());
    losses.gradient("grad.logits.privacy", privacy.gradient_values());
    losses.everything_was_compared();
  }
}

TEST_CASE("golden: selection and layout") {
  for (const GoldenConfig& config : golden_configs()) {
    const Backend backend = golden_backend();
    for (double ratio : config.keep) {
      GoldenFile file(config, fmt::format("op_select_{}", ratio));
      const Shape s = file.shape("score");
      const std::int64_t segments = s[0] * s[1], P = s[2], K = file.shape("index")[2];
      CHECK(K == static_cast<std::int64_t>(static_cast<double>(P) * ratio));
      const Tensor score = Tensor::from(backend, {segments * P, 1}, file.floats("score"));
      const Indices chosen = top_k(score, segments, K, true);
      std::vector<int> within = chosen.values();
      for (std::size_t i = 0; i < within.size(); ++i) within[i] %= static_cast<int>(P);
      CHECK(within == file.integers("index"));
      const Tensor tokens = file.tensor(backend, "tokens");
      const Tensor gathered = gather(nullptr, tokens, chosen);
      file.output("gathered", gathered.values(), 0);
      file.everything_was_compared();
    }
    GoldenFile layout(config, "op_tokens_to_video");
    const TubeletGeometry g = config.anonymiser.geometry(config.batch, TubeletLayout::channels_last);
    layout.output("video", tubelets_to_clip(nullptr, layout.tensor(backend, "tokens"), g).values(), 0);
    layout.everything_was_compared();
  }
}

TEST_CASE("golden: image weights for videos") {
  for (const GoldenConfig& config : golden_configs()) {
    GoldenFile file(config, "op_image_to_video");
    const Shape w = file.shape("weight2d");
    const std::vector<float> weight = file.floats("weight2d");
    for (const std::int64_t frames : {2, 3}) {
      for (const Inflation inflation : {Inflation::averaging, Inflation::central}) {
        const std::string kind = inflation == Inflation::averaging ? "averaging." : "central.";
        const std::vector<float> inflated = inflate_kernel(weight, w[0] * w[1], w[2] * w[3], frames, inflation);
        file.output(kind + std::to_string(frames), inflated);
      }
    }
    const std::int64_t E = file.shape("pos_embed_4")[2];
    file.output("pos_14_to_7_slots3", inflate_position(file.floats("pos_embed_14"), E, 3, 7, 7));
    file.output("pos_4_to_7_slots2", inflate_position(file.floats("pos_embed_4"), E, 2, 7, 7));
    file.output("pos_4_to_4_slots2", inflate_position(file.floats("pos_embed_4"), E, 2, 4, 4));
    file.everything_was_compared();
  }
}

TEST_CASE("golden: AdamW, four steps") {
  for (const GoldenConfig& config : golden_configs()) {
    const Backend backend = golden_backend();
    GoldenFile file(config, "op_adamw");
    const Shape matrix = file.shape("weight.0"), vector = file.shape("bias.0");
    const Parameters parameters(backend, 1, [&](const ParameterScope& scope) {
      scope.take("weight", matrix, Init::zeros());
      scope.take("bias", vector, Init::zeros());
    });
    const Tensor weight = parameters.find("weight")->tensor, bias = parameters.find("bias")->tensor;
    weight.assign(file.floats("weight.0"));
    bias.assign(file.floats("bias.0"));
    Optimizer optimizer(parameters, OptimizerOptions(), [](const Parameter& p) -> Treatment {
      return {.group = 0, .scale = 1, .decay = p.shape.rank() > 1 ? 0.05 : 0.0};
    });
    const auto count = static_cast<std::ptrdiff_t>(matrix.elements());
    for (std::size_t step = 1; step <= 4; ++step) {
      contribute(weight, file.floats(numbered("grad.weight.", step)));
      contribute(bias, file.floats(numbered("grad.bias.", step)));
      optimizer.step({0.01});
      file.output(numbered("weight.", step), weight.values());
      file.output(numbered("bias.", step), bias.values());
      const std::vector<float> first = optimizer.first_moments(), second = optimizer.second_moments();
      file.output(numbered("exp_avg.weight.", step), {first.begin(), first.begin() + count});
      file.output(numbered("exp_avg_sq.weight.", step), {second.begin(), second.begin() + count});
    }
    file.everything_was_compared();
  }
}

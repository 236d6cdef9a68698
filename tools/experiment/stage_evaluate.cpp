// Phase 3: the method stays as it is; an action recogniser and several attackers start afresh on what it
// delivers (or on raw clips), learn for a fixed number of steps on the training split, and are judged on the
// test split by their last state. All learn side by side on the same batches, so each clip is anonymised once.
#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/rng.h"
#include "tools/experiment/reconstruction.h"
#include "tools/experiment/stage.h"
#include "tools/experiment/watchers.h"

namespace stp {

namespace {

// Mean probabilities over the views of each test clip.
class ViewAverage {
 public:
  ViewAverage(std::size_t items, std::size_t outputs)
      : outputs_(outputs), sums_(items * outputs, 0.0), views_(items, 0) {}

  // logits (B, outputs) of views of `items`; softmax over classes, or a sigmoid each.
  void add(const Tensor& logits, const std::vector<std::uint32_t>& items, bool softmax) {
    const std::vector<float> values = logits.values();
    for (std::size_t b = 0; b < items.size(); ++b) {
      const float* row = values.data() + b * outputs_;
      double sum = 0;
      const double highest = *std::max_element(row, row + outputs_);
      for (std::size_t o = 0; o < outputs_; ++o) sum += std::exp(row[o] - highest);
      for (std::size_t o = 0; o < outputs_; ++o) {
        const double p =
            softmax ? std::exp(row[o] - highest) / sum : 1 / (1 + std::exp(-static_cast<double>(row[o])));
        sums_[items[b] * outputs_ + o] += p;
      }
      ++views_[items[b]];
    }
  }

  std::vector<double> mean() const {
    std::vector<double> values = sums_;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] /= std::max(1, views_[i / outputs_]);
    return values;
  }

 private:
  std::size_t outputs_;
  std::vector<double> sums_;
  std::vector<int> views_;
};

// The recipe under which clips are shown: as they are, or as the method leaves them.
Recipe shown_by(Recipe recipe, bool raw) {
  if (raw) recipe.method.name = "raw";
  return recipe;
}

class EvaluationStage : public Stage {
 public:
  EvaluationStage(Experiment& e, bool raw)
      : e_(e),
        recipe_(shown_by(e.recipe, raw)),
        anonymises_(recipe_.method.name == "stprivacy"),
        batch_(recipe_.evaluate.batch > 0 ? recipe_.evaluate.batch : recipe_.train.batch),
        steps_(e.steps(recipe_.evaluate.steps, recipe_.evaluate.epochs, batch_)),
        feed_(e.backend, recipe_, e.data.train, batch_, stream_id("evaluate")),
        raw_recipe_(shown_by(e.recipe, true)) {
    add("action", "vit", 0, e.data.classes.size());
    const int attackers = raw ? recipe_.evaluate.raw_attackers : recipe_.evaluate.attackers;
    for (int i = 0; i < attackers; ++i) add_attacker("attacker", "vit", i);
    for (int i = 0; i < recipe_.evaluate.frame_attackers; ++i) add_attacker("frame", "frame", i);
    if (recipe_.evaluate.reconstruction) rebuild();
    if (!anonymises_ || !e.anonymiser->sparsifies()) return;  // nothing is dropped
    for (int i = 0; i < recipe_.evaluate.mask_attackers; ++i) add_attacker("mask", "mask", i);
  }

  std::string name() const override { return "evaluate " + recipe_.method_label(); }
  std::int64_t steps() const override { return steps_; }
  const Loader& loader() const override { return feed_.loader(); }

  std::vector<LogField> step(std::int64_t number) override {
    const LabelledClips batch = feed_.batch(number);
    const Delivered seen = deliver(batch.input);
    const std::string where = fmt::format("{}, step {}", name(), number);
    const double rate = rate_at(recipe_.evaluate.rate, number, steps_);
    std::vector<LogField> fields = {{"rate", rate}};
    for (Player& player : players_) {
      Tape tape;
      const DropPathDraw drop = drop_draw(e_, "evaluate " + player.name, number, 0);
      const Tensor logits = player.network->logits(&tape, seen, drop);
      const Tensor loss = player.is_action() ? cross_entropy(&tape, logits, batch.labels)
                                             : binary_cross_entropy(&tape, logits, batch.attributes);
      check_finite(where, player.name + " loss", loss.item());
      fields.push_back({player.name + "_loss", static_cast<double>(loss.item())});
      tape.backward({{loss}});
      player.learner->step(where, rate);
    }
    if (rebuilder_) {
      const ClipInput raw = raw_feed_ ? raw_feed_->batch(number).input : batch.input;
      fields.push_back({"reconstruction_loss", rebuilder_->learn(seen, raw, where, rate)});
    }
    return fields;
  }

  bool finish(const Stop& stop) override {
    std::vector<ViewAverage> averages;
    for (const Player& p : players_) averages.emplace_back(e_.data.test.size(), p.outputs);
    TestFeed test(e_.backend, recipe_, e_.data.test, batch_);
    std::optional<TestFeed> raw_test;
    if (raw_feed_) raw_test.emplace(e_.backend, raw_recipe_, e_.data.test, batch_);
    LabelledClips batch, raw_batch;
    std::vector<std::uint32_t> items;
    double kept = 0, all = 0;
    while (test.next(batch, items)) {
      if (stop()) return false;
      const Delivered seen = deliver(batch.input);
      kept += static_cast<double>(seen.kept.rows.shape().elements());
      all += static_cast<double>(batch.input.batch() * recipe_.vit().tokens());
      if (raw_test) raw_test->next(raw_batch, items);  // the same clips
      if (rebuilder_) rebuilder_->judge(seen, raw_test ? raw_batch.input : batch.input);
      for (std::size_t p = 0; p < players_.size(); ++p) {
        averages[p].add(players_[p].network->logits(nullptr, seen, {}), items, players_[p].is_action());
      }
    }
    e_.results.methods.push_back(judge(averages, kept / all));
    return true;
  }

  void save(CheckpointBuilder& builder) const override {
    for (const Player& p : players_) p.learner->save(builder, true);
    if (rebuilder_) rebuilder_->save(builder);
  }
  void restore(const Checkpoint& checkpoint) override {
    for (Player& p : players_) p.learner->restore(checkpoint, true);
    if (rebuilder_) rebuilder_->restore(checkpoint);
  }

 private:
  struct Player {
    std::string name, kind;
    std::uint64_t seed;
    std::size_t outputs;
    std::unique_ptr<Watcher> network;
    std::unique_ptr<Learner> learner;

    bool is_action() const { return name == "action"; }
  };

  // Of methods that the loader applies the raw clips come beside what they leave: the same draws, the same
  // views.
  void rebuild() {
    rebuilder_ = std::make_unique<Reconstruction>(e_.backend, stream_id("evaluate reconstruction", {e_.seed()}),
                                                  recipe_);
    if (recipe_.trains() || recipe_.method.name == "raw") return;
    raw_feed_ = std::make_unique<Feed>(e_.backend, raw_recipe_, e_.data.train, batch_, stream_id("evaluate"));
  }

  void add_attacker(const std::string& who, const std::string& kind, int i) {
    add(fmt::format("{}_{}", who, i), kind, i + 1, e_.data.attributes.size());
  }

  void add(const std::string& who, const std::string& kind, int index, std::size_t outputs) {
    const std::uint64_t seed = stream_id("evaluate " + who, {e_.seed(), static_cast<std::uint64_t>(index)});
    Player p{who, kind, seed, outputs, nullptr, nullptr};
    p.network = make_watcher(kind, e_.backend, seed, recipe_, static_cast<std::int64_t>(outputs));
    if (p.network->vit()) e_.start_network(p.network->parameters(), *p.network->vit());
    p.learner =
        std::make_unique<Learner>(who, p.network->parameters(), recipe_.optimizer, recipe_.recogniser.depth);
    players_.push_back(std::move(p));
  }

  Delivered deliver(const ClipInput& input) const {
    if (recipe_.rewrites()) return rewritten(input);
    if (!anonymises_) return untouched(input, recipe_.vit().tokens());
    const Anonymised out = e_.anonymiser->anonymise(input);
    return {e_.anonymiser->redraws() ? ClipInput{.pixel_tubelets = out.pixels} : input, out.kept, out.keep};
  }

  Delivered rewritten(const ClipInput& input) const {
    const FrameAnonymiser& net = *e_.rewriter;
    const Tensor clips = net.redraw(nullptr, net.clips(input), NormMode::evaluation);
    return untouched(net.normalised(nullptr, clips), recipe_.vit().tokens());
  }

  MethodResult judge(const std::vector<ViewAverage>& averages, double kept) const {
    MethodResult result;
    result.method = recipe_.method_label();
    result.kept = kept;
    const LabelTable train = label_table(e_.data, e_.data.train), truth = label_table(e_.data, e_.data.test);
    const std::uint64_t seed = stream_id("bootstrap", {e_.seed()});
    std::vector<AttributeScores> scores;
    const auto add_result = [&](const std::string& kind, std::uint64_t of_attacker,
                                std::vector<double> values) {
      scores.push_back({truth.attributes, std::move(values), truth.positive});
      const AttributeScores& s = scores.back();
      result.attackers.push_back({kind, of_attacker, s.cmap(), s.f1(), s.f1(kLogitRule), s.precisions()});
    };
    for (std::size_t p = 0; p < players_.size(); ++p) {
      if (!players_[p].is_action()) {
        add_result(players_[p].kind, players_[p].seed, averages[p].mean());
        continue;
      }
      const ActionScores actions = {truth.classes, averages[p].mean(), truth.actions};
      result.top1 = actions.top1();
      result.top1_interval = bootstrap_interval(
          truth.actions.size(), [&](std::span<const std::size_t> clips) { return actions.rows(clips).top1(); },
          seed);
      add_result("posterior", players_[p].seed, posterior_scores(averages[p].mean(), train));
      add_result("action", players_[p].seed, action_named_scores(actions.predictions(), train));
    }
    if (rebuilder_) result.rebuilt = rebuilder_->result();
    const auto worst = static_cast<std::size_t>(&result.worst() - result.attackers.data());
    result.cmap_interval = bootstrap_interval(
        truth.actions.size(),
        [&](std::span<const std::size_t> clips) { return scores[worst].rows(clips).cmap(); }, seed);
    return result;
  }

  Experiment& e_;
  Recipe recipe_;
  bool anonymises_;
  int batch_;
  std::int64_t steps_;
  std::vector<Player> players_;
  Feed feed_;
  Recipe raw_recipe_;
  std::unique_ptr<Feed> raw_feed_;  // where the method's own feed does not show them
  std::unique_ptr<Reconstruction> rebuilder_;
};

}  // namespace

std::unique_ptr<Stage> make_evaluation(Experiment& experiment, bool raw) {
  return std::make_unique<EvaluationStage>(experiment, raw);
}

}  // namespace stp

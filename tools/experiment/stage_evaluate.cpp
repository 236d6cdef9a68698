// Phase 3: the method stays as it is; an action recogniser and several attackers start afresh on what it
// delivers (or on raw clips), learn for a fixed number of steps on the training split, and are judged on the
// test split by their last state. All learn side by side on the same batches, so each clip is anonymised once.
#include <functional>
#include <optional>

#include "engine/rng.h"
#include "tools/experiment/frame_attack.h"
#include "tools/experiment/reconstruction.h"
#include "tools/experiment/stage.h"
#include "tools/experiment/view_average.h"
#include "tools/experiment/watchers.h"

namespace stp {

namespace {

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
        feed_(e.backend, recipe_, e.data.train, batch_, stream_id("evaluate"), e.footage),
        raw_recipe_(shown_by(e.recipe, true)) {
    add("action", "vit", 0, e.data.classes.size());
    const int attackers = raw ? recipe_.evaluate.raw_attackers : recipe_.evaluate.attackers;
    if (recipe_.evaluate.reconstruction) rebuild();
    if (e.frames) {
      by_frames_ = std::make_unique<FrameAttack>(e, recipe_, batch_, attackers);
      return;
    }
    for (int i = 0; i < attackers; ++i) add_attacker("attacker", "vit", i);
    for (int i = 0; i < recipe_.evaluate.frame_attackers; ++i) add_attacker("frame", "frame", i);
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
      const Tensor loss = player.is_action() ? action_loss(&tape, logits, batch)
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
    if (by_frames_) fields.push_back({"frame_level_loss", by_frames_->learn(number, delivery(), where, rate)});
    return fields;
  }

  bool finish(const Stop& stop) override {
    std::vector<ViewAverage> averages;
    for (const Player& p : players_) averages.emplace_back(p.outputs);
    TestFeed test(e_.backend, recipe_, e_.data.test, batch_, e_.footage);
    std::optional<TestFeed> raw_test;
    if (raw_feed_) raw_test.emplace(e_.backend, raw_recipe_, e_.data.test, batch_, e_.footage);
    LabelledClips batch, raw_batch;
    ClipSources sources;
    double kept = 0, all = 0;
    while (test.next(batch, sources)) {
      if (stop()) return false;
      const Delivered seen = deliver(batch.input);
      kept += static_cast<double>(seen.kept.rows.shape().elements());
      all += static_cast<double>(batch.input.batch() * recipe_.vit().tokens());
      if (raw_test) raw_test->next(raw_batch, sources);  // the same clips
      if (rebuilder_) rebuilder_->judge(seen, raw_test ? raw_batch.input : batch.input);
      for (std::size_t p = 0; p < players_.size(); ++p)
        averages[p].add(players_[p].network->logits(nullptr, seen, {}), sources.items,
                        players_[p].is_action() && !e_.data.many_actions);
    }
    std::optional<FrameAttack::Judged> frames;
    if (by_frames_) {
      const Watcher& action = *players_.front().network;
      frames = by_frames_->judge(
          delivery(), [&](const Delivered& seen) { return action.logits(nullptr, seen, {}); }, stop);
      if (!frames) return false;
    }
    MethodResult result = judge(averages, frames);
    result.kept = kept / all;
    e_.results.methods.push_back(std::move(result));
    return true;
  }

  void save(CheckpointBuilder& builder) const override {
    for (const Player& p : players_) p.learner->save(builder, true);
    if (rebuilder_) rebuilder_->save(builder);
    if (by_frames_) by_frames_->save(builder);
  }
  void restore(const Checkpoint& checkpoint) override {
    for (Player& p : players_) p.learner->restore(checkpoint, true);
    if (rebuilder_) rebuilder_->restore(checkpoint);
    if (by_frames_) by_frames_->restore(checkpoint);
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
    raw_feed_ = std::make_unique<Feed>(e_.backend, raw_recipe_, e_.data.train, batch_, stream_id("evaluate"),
                                       e_.footage);
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

  FrameAttack::Deliver delivery() const {
    return [this](const ClipInput& input) { return deliver(input); };
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

  MethodResult judge(const std::vector<ViewAverage>& averages,
                     const std::optional<FrameAttack::Judged>& frames) const {
    MethodResult result;
    result.method = recipe_.method_label();
    const std::vector<double> actions = averages.front().mean();
    judge_actions(actions, result);

    const JudgedLabels labels = judged_labels(e_.data, e_.frames);
    const LabelTable& truth = frames ? frames->truth : labels.test;
    std::vector<AttributeScores> scores;
    const auto add_result = [&](const std::string& kind, std::uint64_t of_attacker,
                                std::vector<double> values) {
      scores.push_back({truth.attributes, std::move(values), truth.positive});
      const AttributeScores& s = scores.back();
      result.attackers.push_back(
          {kind, of_attacker, s.cmap_of_present(), s.f1(), s.f1(kLogitRule), s.precisions()});
    };
    const std::vector<double>& told = frames ? frames->actions : actions;
    const std::uint64_t of_action = players_.front().seed;
    add_result("posterior", of_action, posterior_scores(told, labels.train));
    if (!e_.data.many_actions)
      add_result(
          "action", of_action,
          action_named_scores(ActionScores{truth.classes, told, truth.actions}.predictions(), labels.train));
    for (std::size_t p = 1; p < players_.size(); ++p)
      add_result(players_[p].kind, players_[p].seed, averages[p].mean());
    if (frames)
      for (const FrameAttack::Judged::Attacker& a : frames->attackers) add_result("frame", a.seed, a.scores);
    if (rebuilder_) result.rebuilt = rebuilder_->result();

    const auto worst = static_cast<std::size_t>(&result.worst() - result.attackers.data());
    const auto cmap_of = [&](std::span<const std::size_t> rows) {
      return scores[worst].rows(rows).cmap_of_present();
    };
    if (!frames) {
      result.cmap_interval = interval(truth.actions.size(), truth.attributes, cmap_of);
      return result;
    }
    // Frames of a video are alike: what is drawn is videos.
    const auto cmap_of_videos = [&](std::span<const std::size_t> videos) {
      std::vector<std::size_t> rows;
      for (const std::size_t video : videos)
        rows.insert(rows.end(), frames->videos[video].begin(), frames->videos[video].end());
      return cmap_of(rows);
    };
    result.cmap_interval = interval(frames->videos.size(), truth.attributes, cmap_of_videos);
    return result;
  }

  // Top-1, or the cMAP of actions where clips may show several; probabilities (n, C) of the test clips.
  void judge_actions(const std::vector<double>& probabilities, MethodResult& result) const {
    const LabelTable truth = label_table(e_.data, e_.data.test);
    const std::size_t n = truth.actions.size();
    if (e_.data.many_actions) {
      const AttributeScores scores = {truth.classes, probabilities, truth.shown};
      result.top1 = scores.cmap_of_present();
      result.top1_interval = interval(n, truth.classes, [&](std::span<const std::size_t> clips) {
        return scores.rows(clips).cmap_of_present();
      });
    } else {
      const ActionScores scores = {truth.classes, probabilities, truth.actions};
      result.top1 = scores.top1();
      result.top1_interval =
          interval(n, 1, [&](std::span<const std::size_t> clips) { return scores.rows(clips).top1(); });
    }
  }

  // Over the n clips (or videos) judged, of so many labels each; thousands of labels are drawn less often, or
  // sorting them would take hours.
  Interval interval(std::size_t n, std::size_t labels,
                    const std::function<double(std::span<const std::size_t>)>& statistic) const {
    constexpr std::size_t kMany = 1'000'000;
    return bootstrap_interval(n, statistic, stream_id("bootstrap", {e_.seed()}),
                              n * labels > kMany ? 100 : 1000);
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
  std::unique_ptr<FrameAttack> by_frames_;  // where privacy is judged frame by frame
};

}  // namespace

std::unique_ptr<Stage> make_evaluation(Experiment& experiment, bool raw) {
  return std::make_unique<EvaluationStage>(experiment, raw);
}

}  // namespace stp

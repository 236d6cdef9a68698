// The phases of the earlier methods, whose networks rewrite videos frame by frame: Collective, VITA and SPAct
// with their own objectives, against the recognisers that every method here is judged by. Where a method's own
// recognisers were others (C3D, R3D-18, ResNet-50), ours take their place, as in the paper's comparison.
#include <cmath>
#include <limits>
#include <optional>

#include "engine/rng.h"
#include "models/baselines/frame_net.h"
#include "models/baselines/objectives.h"
#include "tools/experiment/rival.h"

namespace stp {

namespace {

// Every method begins with a network that copies: it learns the identity.
class RewriterInit : public Stage {
 public:
  explicit RewriterInit(Experiment& e)
      : e_(e),
        steps_(e.steps(e.recipe.init.steps, e.recipe.init.epochs, e.recipe.train.batch)),
        learner_("rewriter", e.rewriter->parameters(), e.recipe.optimizer, 1),
        feed_(e.backend, e.recipe, e.data.train, e.recipe.train.batch, stream_id("init"), e.footage) {}

  std::string name() const override { return "init"; }
  std::int64_t steps() const override { return steps_; }
  const Loader& loader() const override { return feed_.loader(); }

  std::vector<LogField> step(std::int64_t number) override {
    const std::string where = fmt::format("init, step {}", number);
    const Tensor clips = e_.rewriter->clips(feed_.batch(number).input);
    Tape tape;
    const Tensor loss = squared_error(&tape, e_.rewriter->redraw(&tape, clips, NormMode::training), clips);
    check_finite(where, "pixel loss", loss.item());
    const double value = loss.item(), rate = rate_at(e_.recipe.init.rate, number, steps_);
    tape.backward({{loss}});
    learner_.step(where, rate);
    return {{"pixel_loss", value}, {"rate", rate}};
  }

  void save(CheckpointBuilder& builder) const override { learner_.save(builder, false); }
  void restore(const Checkpoint& checkpoint) override { learner_.restore(checkpoint, false); }

 private:
  Experiment& e_;
  std::int64_t steps_;
  Learner learner_;
  Feed feed_;
};

// One adversarial phase for all three: an action recogniser, the anonymiser, and whoever reads what is private.
class RewriterAdversarial : public Stage {
 public:
  explicit RewriterAdversarial(Experiment& e)
      : e_(e),
        recipe_(e.recipe.adversarial),
        steps_(e.steps(recipe_.steps, recipe_.epochs, e.recipe.train.batch)),
        action_(action_rival(e)),
        learner_("rewriter", e.rewriter->parameters(), e.recipe.optimizer, 1),
        feed_(e.backend, e.recipe, e.data.train, e.recipe.train.batch, stream_id("adversarial"), e.footage) {}

  std::string name() const override { return "adversarial"; }
  std::int64_t steps() const override { return steps_; }
  const Loader& loader() const override { return feed_.loader(); }

  std::vector<LogField> step(std::int64_t number) override {
    number_ = number;
    fields_ = {{"rate", rate(recipe_.anonymiser)}};
    const LabelledClips batch = feed_.batch(number);
    learn(batch, number < recipe_.recogniser_warmup);
    return fields_;
  }

  void save(CheckpointBuilder& builder) const override {
    learner_.save(builder, false);
    action_->learner().save(builder, true);
    for (const Learner* other : others()) other->save(builder, true);
  }
  void restore(const Checkpoint& checkpoint) override {
    learner_.restore(checkpoint, false);
    action_->learner().restore(checkpoint, true);
    for (Learner* other : others()) other->restore(checkpoint, true);
  }

 protected:
  // One step of whoever's turn it is. In the warm-up only recognisers learn.
  virtual void learn(const LabelledClips& batch, bool warm_up) = 0;
  virtual std::vector<Learner*> others() const { return {}; }

  const FrameAnonymiser& rewriter() const { return *e_.rewriter; }
  std::string where() const { return fmt::format("adversarial, step {}", number_); }
  double rate(const RateRecipe& r) const { return rate_at(r, number_, steps_); }
  Kept all_tokens(const LabelledClips& batch) const {
    return every_token(e_.backend, batch.input.batch(), e_.recipe.vit().tokens());
  }
  Tensor logits_of(Tape* tape, const Recogniser& recogniser, const ClipInput& shown, const LabelledClips& batch,
                   const DropPathDraw& drop = {}) const {
    return recogniser.gathered(tape, shown, all_tokens(batch), drop);
  }
  // Remembers a loss for the log and passes it on as a term of a backward pass.
  Tape::Term term(const std::string& what, const Tensor& loss, double weight) {
    const double value = loss.item();
    check_finite(where(), what, value);
    fields_.push_back({what + "_loss", value});
    return {loss, static_cast<float>(weight)};
  }

  void learn_action(const ClipInput& shown, const LabelledClips& batch) {
    Tape tape;
    const DropPathDraw drop = drop_draw(e_, action_->name(), number_, 0);
    const Tensor loss = action_loss(&tape, logits_of(&tape, action_->network(), shown, batch, drop), batch);
    tape.backward({term("action", loss, 1)});
    action_->learner().step(where(), rate(recipe_.action));
  }

  Experiment& e_;
  AdversarialRecipe recipe_;
  std::int64_t steps_;
  std::unique_ptr<ClipRival> action_;
  Learner learner_;
  Feed feed_;
  std::int64_t number_ = 0;
  std::vector<LogField> fields_;
};

// VITA (Wu et al., TPAMI 2020): an ensemble of privacy recognisers, the one that is least confused counts; they
// start afresh every restart_every steps and then catch up.
class Vita : public RewriterAdversarial {
 public:
  explicit Vita(Experiment& e) : RewriterAdversarial(e) {
    for (int i = 0; i < e.recipe.method.attackers; ++i) attackers_.push_back(privacy_rival(e, i));
  }

 protected:
  void learn(const LabelledClips& batch, bool warm_up) override {
    restart_where_due();
    const Tensor clips = rewriter().clips(batch.input);
    Tape tape;
    const Tensor redrawn = rewriter().redraw(&tape, clips, NormMode::training);
    learn_recognisers(rewriter().normalised(nullptr, redrawn.detach()), batch);
    if (warm_up || catching_up()) return;
    const Frozen a(action_->network().parameters());  // until the tape has run
    std::vector<std::unique_ptr<Frozen>> frozen;
    for (const auto& attacker : attackers_)
      frozen.push_back(std::make_unique<Frozen>(attacker->network().parameters()));
    const ClipInput shown = rewriter().normalised(&tape, redrawn);
    const Tensor action = action_loss(&tape, logits_of(&tape, action_->network(), shown, batch), batch);
    const Tensor privacy = least_confused(tape, shown, batch);
    tape.backward({term("kept_action", action, recipe_.lambda_action),
                   term("confusion", privacy, recipe_.lambda_privacy)});
    learner_.step(where(), rate(recipe_.anonymiser));
  }

  std::vector<Learner*> others() const override {
    std::vector<Learner*> all;
    for (const auto& attacker : attackers_) all.push_back(&attacker->learner());
    return all;
  }

 private:
  void restart_where_due() {
    if (recipe_.restart_every == 0 || number_ == 0 || number_ % recipe_.restart_every != 0) return;
    const auto generation = static_cast<std::uint64_t>(number_ / recipe_.restart_every);
    for (const auto& attacker : attackers_) attacker->restart(generation);
  }
  bool catching_up() const {
    return recipe_.restart_every > 0 && number_ >= recipe_.restart_every &&
           number_ % recipe_.restart_every < recipe_.catch_up;
  }

  void learn_recognisers(const ClipInput& shown, const LabelledClips& batch) {
    learn_action(shown, batch);
    for (const auto& attacker : attackers_) {
      Tape tape;
      const Tensor logits =
          logits_of(&tape, attacker->network(), shown, batch, drop_draw(e_, attacker->name(), number_, 0));
      tape.backward({term(attacker->name(), binary_cross_entropy(&tape, logits, batch.attributes), 1)});
      attacker->learner().step(where(), rate(recipe_.privacy));
    }
  }

  // The loss of the attacker whose outputs still say most. The original chooses for each video, this one for
  // each batch.
  Tensor least_confused(Tape& tape, const ClipInput& shown, const LabelledClips& batch) {
    const std::string& name = e_.recipe.method.confusion;
    const Confusion form =
        name == "entropy" ? Confusion::entropy : (name == "present" ? Confusion::present : Confusion::half);
    std::size_t worst = 0;
    double highest = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < attackers_.size(); ++i) {
      const Tensor logits = logits_of(nullptr, attackers_[i]->network(), shown, batch);
      const double loss = confusion_loss(nullptr, logits, form).item();
      if (loss > highest) {
        highest = loss;
        worst = i;
      }
    }
    return confusion_loss(&tape, logits_of(&tape, attackers_[worst]->network(), shown, batch), form);
  }

  std::vector<std::unique_ptr<ClipRival>> attackers_;
};

// SPAct (Dave et al., CVPR 2022): no privacy labels; the private is what makes two frames of a video alike.
// Batches in turn: the anonymiser against both, then both on what it makes.
class Spact : public RewriterAdversarial {
 public:
  explicit Spact(Experiment& e)
      : RewriterAdversarial(e),
        views_(e.backend, stream_id("views", {e.seed()}), view_net(e.recipe)),
        views_learner_(std::make_unique<Learner>("views", views_.parameters(), e.recipe.optimizer, 1)) {}

 protected:
  void learn(const LabelledClips& batch, bool warm_up) override {
    const Tensor clips = rewriter().clips(batch.input);
    if (!warm_up && number_ % 2 == 1) {
      learn_anonymiser(clips, batch);
      return;
    }
    const Tensor redrawn = rewriter().redraw(nullptr, clips, NormMode::evaluation);
    learn_action(rewriter().normalised(nullptr, redrawn), batch);
    Tape tape;
    tape.backward({term("views", likeness(&tape, redrawn, NormMode::training), 1)});
    views_learner_->step(where(), rate(recipe_.privacy));
  }

  std::vector<Learner*> others() const override { return {views_learner_.get()}; }

 private:
  static constexpr std::int64_t kFeatures = 128;

  static FrameNetOptions view_net(const Recipe& recipe) {
    FrameNetOptions o = FrameNetOptions::small(kFeatures);
    if (recipe.model.height > 64 || recipe.model.width > 64) {
      o = FrameNetOptions();
      o.outputs = kFeatures;
    }
    return o;
  }

  void learn_anonymiser(const Tensor& clips, const LabelledClips& batch) {
    Tape tape;
    const Frozen a(action_->network().parameters()), v(views_.parameters());
    const Tensor redrawn = rewriter().redraw(&tape, clips, NormMode::training);
    const ClipInput shown = rewriter().normalised(&tape, redrawn);
    const Tensor action = action_loss(&tape, logits_of(&tape, action_->network(), shown, batch), batch);
    const Tensor views = likeness(&tape, redrawn, NormMode::evaluation);
    tape.backward({term("kept_action", action, recipe_.lambda_action),
                   term("kept_views", views, -recipe_.lambda_privacy)});
    learner_.step(where(), rate(recipe_.anonymiser));
  }

  // NT-Xent of two random frames of each clip.
  Tensor likeness(Tape* tape, const Tensor& clips, NormMode mode) {
    const std::int64_t B = clips.size(0), T = clips.size(2), Y = clips.size(3), X = clips.size(4);
    const Tensor frames = frames_of(tape, clips);
    Random random(e_.seed(), stream_id("views", {static_cast<std::uint64_t>(number_)}));
    std::vector<int> first, second;
    for (std::int64_t b = 0; b < B; ++b) {
      const auto t = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(T)));
      const auto gap =
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(std::max<std::int64_t>(T - 1, 1))));
      first.push_back(static_cast<int>(b * T + t));
      second.push_back(static_cast<int>(b * T + (t + 1 + gap) % T));
    }
    const Tensor rows = frames.reshape({B * T, 3 * Y * X});
    const auto features = [&](const std::vector<int>& which) {
      const Tensor images = gather(tape, rows, Indices::from(e_.backend, {B}, which)).reshape({B, 3, Y, X});
      return views_.images(tape, images, mode);
    };
    return nt_xent(tape, features(first), features(second));
  }

  FrameNet views_;
  std::unique_ptr<Learner> views_learner_;
};

// Collective (Zhang et al., ICDM 2019): no adversary. A recogniser that learnt raw clips in the warm-up and
// then rests says what is style (to become that of noise) and what is content (to stay).
class Collective : public RewriterAdversarial {
 public:
  using RewriterAdversarial::RewriterAdversarial;

 protected:
  void learn(const LabelledClips& batch, bool warm_up) override {
    if (warm_up) {
      learn_action(batch.input, batch);
      return;
    }
    const Frozen a(action_->network().parameters());
    const Tensor clips = rewriter().clips(batch.input);
    Random random(e_.seed(), stream_id("noise", {static_cast<std::uint64_t>(number_)}));
    std::vector<float> noise(static_cast<std::size_t>(clips.elements()));
    for (float& v : noise) v = static_cast<float>(random.uniform());
    const Features wanted = features(
                       nullptr, rewriter().normalised(nullptr, Tensor::from(e_.backend, clips.shape(), noise)),
                       batch),
                   raw = features(nullptr, batch.input, batch);
    Tape tape;
    const Tensor redrawn = rewriter().redraw(&tape, clips, NormMode::training);
    const Features found = features(&tape, rewriter().normalised(&tape, redrawn), batch);
    tape.backward({term("style", style_loss(&tape, found.shallow, wanted.shallow), kStyle),
                   term("deep_style", style_loss(&tape, found.deep, wanted.deep), kStyle),
                   term("content", squared_error(&tape, found.deep, raw.deep), kContent),
                   term("kept_action", action_loss(&tape, found.logits, batch), kAction)});
    learner_.step(where(), rate(recipe_.anonymiser));
  }

 private:
  // The published weights.
  static constexpr double kStyle = 0.55, kContent = 0.35, kAction = 0.10;

  struct Features {
    Tensor shallow, deep, logits;
  };
  // After a third and after two thirds of the recogniser's blocks: 4 and 8 of ViT-S.
  Features features(Tape* tape, const ClipInput& shown, const LabelledClips& batch) const {
    const auto depth = static_cast<std::size_t>(e_.recipe.recogniser.depth);
    const std::string shallow = numbered("block.", (depth + 2) / 3 - 1),
                      deep = numbered("block.", (2 * depth + 2) / 3 - 1);
    Features f;
    f.logits = action_->network().gathered(tape, shown, all_tokens(batch), {},
                                           [&](const std::string& name, const Tensor& x) {
                                             if (name == shallow) f.shallow = x;
                                             if (name == deep) f.deep = x;
                                           });
    return f;
  }
};

}  // namespace

std::unique_ptr<Stage> make_rewriter_init(Experiment& experiment) {
  return std::make_unique<RewriterInit>(experiment);
}

std::unique_ptr<Stage> make_rewriter_adversarial(Experiment& experiment) {
  const std::string& method = experiment.recipe.method.name;
  if (method == "vita") return std::make_unique<Vita>(experiment);
  if (method == "spact") return std::make_unique<Spact>(experiment);
  return std::make_unique<Collective>(experiment);
}

}  // namespace stp

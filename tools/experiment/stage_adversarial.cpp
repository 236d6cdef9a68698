// Phase 2 (equation 13): the anonymiser against recognisers that keep learning.
#include <cmath>
#include <optional>

#include "engine/rng.h"
#include "engine/schedule.h"
#include "tools/experiment/rival.h"

namespace stp {

namespace {

AdversaryOptions adversary_options(const AdversarialRecipe& r) {
  AdversaryOptions o;
  o.action_weight = r.lambda_action;
  o.privacy_weight = r.lambda_privacy;
  o.ratio_weight = r.ratio_weight;
  o.ratio_scope = r.ratio_scope == "slot" ? RatioScope::slot : RatioScope::clip;
  o.privacy_term = r.privacy_term == "negative"
                       ? PrivacyTerm::negative
                       : (r.privacy_term == "bounded" ? PrivacyTerm::bounded : PrivacyTerm::confusion);
  o.gathered_update = r.gathered_update;
  return o;
}

class AdversarialStage : public Stage {
 public:
  explicit AdversarialStage(Experiment& e)
      : e_(e),
        recipe_(e.recipe.adversarial),
        parts_(e.recipe.train.accumulate),
        steps_(e.steps(recipe_.steps, recipe_.epochs, clips_of_step())),
        action_(action_rival(e)),
        learner_("anonymiser", e.anonymiser->parameters(), e.recipe.optimizer, e.recipe.model.depth),
        feed_(e.backend, e.recipe, e.data.train, e.recipe.train.batch, stream_id("adversarial"), e.footage) {
    for (int i = 0; i < recipe_.privacy_recognisers; ++i) privacy_.push_back(privacy_rival(e, i));
    if (recipe_.mask_recogniser) mask_ = mask_rival(e);
    if (recipe_.freeze_sparsifier) freeze_sparsifier();
  }

  std::string name() const override { return "adversarial"; }
  std::int64_t steps() const override { return steps_; }
  const Loader& loader() const override { return feed_.loader(); }

  std::vector<LogField> step(std::int64_t number) override {
    number_ = number;
    if (restarts(number)) restart_privacy();
    told_.clear();
    mask_told_.clear();
    norms_.clear();
    const bool simultaneous = recipe_.order == "simultaneous";
    for (int round = 0; round < recipe_.recogniser_steps; ++round) {
      const bool last = round + 1 == recipe_.recogniser_steps;
      const bool anonymiser_learns = last && !only_recognisers(number);
      const bool recognisers_learn =
          recipe_.order != "alternate" || number % 2 == 1 || only_recognisers(number);
      std::vector<LabelledClips> batches = next_batches(number, round);
      if (simultaneous && anonymiser_learns) {
        joint_step(batches[0], round);
      } else {
        turn_step(batches, round, recognisers_learn,
                  anonymiser_learns && (recipe_.order != "alternate" || number % 2 == 0));
      }
    }
    return fetch();
  }

  void save(CheckpointBuilder& builder) const override {
    learner_.save(builder, false);
    action_->learner().save(builder, true);
    for (const auto& rival : privacy_) rival->learner().save(builder, true);
    if (mask_) mask_->learner().save(builder, true);
  }
  void restore(const Checkpoint& checkpoint) override {
    learner_.restore(checkpoint, false);
    action_->learner().restore(checkpoint, true);
    for (const auto& rival : privacy_) rival->learner().restore(checkpoint, true);
    if (mask_) mask_->learner().restore(checkpoint, true);
  }

 private:
  std::int64_t clips_of_step() const {
    return static_cast<std::int64_t>(e_.recipe.train.batch) * parts_ * recipe_.recogniser_steps;
  }
  std::string where() const { return fmt::format("adversarial, step {}", number_); }
  double rate(const RateRecipe& r) const { return rate_at(r, number_, steps_); }
  // A privacy recogniser that starts afresh begins its schedule anew: at the end of the old one it would learn
  // too little to be worth starting.
  double privacy_rate() const {
    if (recipe_.restart_every == 0) return rate(recipe_.privacy);
    return rate_at(recipe_.privacy, number_ % recipe_.restart_every, recipe_.restart_every);
  }

  bool restarts(std::int64_t number) const {
    return recipe_.restart_every > 0 && number > 0 && number % recipe_.restart_every == 0;
  }
  // Steps in which the recognisers catch up: at the start and after a restart.
  bool only_recognisers(std::int64_t number) const {
    const bool caught_up = recipe_.restart_every == 0 || number < recipe_.restart_every ||
                           number % recipe_.restart_every >= recipe_.catch_up;
    return number < recipe_.recogniser_warmup || !caught_up;
  }
  void restart_privacy() {
    const auto generation = static_cast<std::uint64_t>(number_ / recipe_.restart_every);
    for (const auto& rival : privacy_) rival->restart(generation);
    if (mask_) mask_->restart(generation);
  }

  // Of several that read what is private, the anonymiser listens to one at a time. All of them learn in every
  // step, which costs little on kept tokens; its own pass through a recogniser costs much.
  ClipRival& heard() const {
    const std::int64_t turn = recipe_.order == "alternate" ? number_ / 2 : number_;
    return *privacy_[static_cast<std::size_t>(turn) % privacy_.size()];
  }

  // As the released code's freezing: embeddings, the blocks before the last scorer and the scorers stay as they
  // are.
  void freeze_sparsifier() const {
    const std::int64_t first = e_.recipe.model.score_before.back();
    for (const Parameter& p : e_.anonymiser->parameters().all()) {
      bool learns = p.name.starts_with("norm_recon.") || p.name.starts_with("head_recon.");
      for (std::int64_t block = first; block < e_.recipe.model.depth; ++block) {
        learns = learns || p.name.starts_with(fmt::format("blocks.{}.", block));
      }
      p.tensor.set_wants_gradient(learns);
    }
  }

  std::vector<LabelledClips> next_batches(std::int64_t number, int round) {
    std::vector<LabelledClips> batches;
    const std::int64_t first = (number * recipe_.recogniser_steps + round) * parts_;
    for (int part = 0; part < parts_; ++part) batches.push_back(feed_.batch(first + part));
    return batches;
  }

  AdversaryOptions options() const {
    AdversaryOptions o = adversary_options(recipe_);
    const auto ramp = static_cast<std::int64_t>(recipe_.lambda_privacy_ramp * static_cast<double>(steps_));
    o.privacy_weight = linear_ramp(number_, {ramp > 0 ? 0 : o.privacy_weight, o.privacy_weight, 0, ramp});
    return o;
  }

  std::unique_ptr<AnonymiserStep> pass(const LabelledClips& batch, int round, int part) const {
    const int draw = round * parts_ + part;
    const Activations waiting = e_.recipe.train.memory == "fast" ? Activations::kept : Activations::recomputed;
    return std::make_unique<AnonymiserStep>(*e_.anonymiser, batch, draw_noise(e_, name(), number_, draw),
                                            drop_draw(e_, "anonymiser", number_, draw), waiting);
  }

  // Recognisers first, then the anonymiser through them as they are then.
  void turn_step(const std::vector<LabelledClips>& batches, int round, bool recognisers_learn,
                 bool anonymiser_learns) {
    const double weight = 1.0 / parts_;
    std::unique_ptr<AnonymiserStep> held;  // with a single part its pass serves both turns
    if (recognisers_learn) {
      for (int part = 0; part < parts_; ++part) {
        held = pass(batches[static_cast<std::size_t>(part)], round, part);
        const RecogniserView view = held->view();
        teach(view, batches[static_cast<std::size_t>(part)], part, weight);
      }
      issue(action_->learner(), rate(recipe_.action));
      for (const auto& rival : privacy_) issue(rival->learner(), privacy_rate());
      if (mask_) issue(mask_->learner(), privacy_rate());
    }
    if (!anonymiser_learns) return;
    for (int part = 0; part < parts_; ++part) {
      if (!held || parts_ > 1) held = pass(batches[static_cast<std::size_t>(part)], round, part);
      if (mask_) mask_told_.push_back(held->hide_from(mask_->network(), options(), weight));
      told_.push_back(held->gradients(action_->network(), heard().network(), options(), weight));
    }
    issue(learner_, rate(recipe_.anonymiser));
  }

  // Gradients of the recognisers' own losses on what the anonymiser shows of one part of the batch.
  void teach(const RecogniserView& view, const LabelledClips& batch, int part, double weight) {
    StepNumbers numbers;
    numbers.action =
        action_gradients(action_->network(), view, batch, drop_draw(e_, action_->name(), number_, part),
                         recipe_.gathered_update, weight);
    for (const auto& rival : privacy_) {
      numbers.privacy =
          privacy_gradients(rival->network(), view, batch, drop_draw(e_, rival->name(), number_, part),
                            recipe_.gathered_update, weight);
      told_.push_back(numbers);
    }
    if (mask_) mask_told_.push_back(mask_gradients(mask_->network(), view.keep, batch, weight));
  }

  // One backward pass for all: of several that read what is private, the one that is heard learns.
  void joint_step(const LabelledClips& batch, int round) {
    const std::unique_ptr<AnonymiserStep> held = pass(batch, round, 0);
    if (mask_) {
      mask_told_.push_back(mask_gradients(mask_->network(), held->view().keep, batch, 1));
      mask_told_.push_back(held->hide_from(mask_->network(), options(), 1));
      issue(mask_->learner(), privacy_rate());
    }
    told_.push_back(held->joint_gradients(action_->network(), heard().network(),
                                          drop_draw(e_, "recognisers", number_, round), options(), 1));
    issue(action_->learner(), rate(recipe_.action));
    issue(heard().learner(), privacy_rate());
    issue(learner_, rate(recipe_.anonymiser));
  }

  void issue(Learner& learner, double rate) { norms_.push_back({&learner, learner.issue(rate)}); }

  // The one place where a step waits for the device: all that it has to say, and whether it went well.
  std::vector<LogField> fetch() {
    Readings readings;
    for (StepNumbers& numbers : told_) numbers.note(readings);
    const std::size_t first_norm = readings.note({}) + 1;
    for (const auto& [learner, norm] : norms_) readings.note(norm);
    std::size_t mask_loss = 0;
    for (const Tensor& loss : mask_told_) mask_loss = readings.note(loss);
    readings.fetch();
    StepLosses losses;
    for (const StepNumbers& numbers : told_) {
      losses = numbers.losses(readings);
      check_finite(where(), "action loss", losses.action);
      check_finite(where(), "privacy loss", losses.privacy);
    }
    double norm = 0;
    for (std::size_t i = 0; i < norms_.size(); ++i) {
      const Learner* learner = norms_[i].first;
      learner->check_norm(where(), readings.number(first_norm + i));
      if (learner == &learner_) norm = readings.number(first_norm + i);
    }
    std::vector<LogField> fields = {{"action_loss", losses.action},     {"privacy_loss", losses.privacy},
                                    {"ratio_loss", losses.ratio},       {"keep", losses.keep},
                                    {"rate", rate(recipe_.anonymiser)}, {"norm", norm}};
    if (!mask_told_.empty()) {
      check_finite(where(), "mask loss", readings.number(mask_loss));
      fields.push_back({"mask_loss", readings.number(mask_loss)});
    }
    return fields;
  }

  Experiment& e_;
  AdversarialRecipe recipe_;
  int parts_;
  std::int64_t steps_;
  std::unique_ptr<ClipRival> action_;
  std::vector<std::unique_ptr<ClipRival>> privacy_;
  std::unique_ptr<MaskRival> mask_;
  Learner learner_;
  Feed feed_;
  std::int64_t number_ = 0;
  std::vector<StepNumbers> told_;                         // by this step, in order
  std::vector<Tensor> mask_told_;                         // losses of the mask's recogniser, likewise
  std::vector<std::pair<const Learner*, Tensor>> norms_;  // likewise
};

}  // namespace

std::unique_ptr<Stage> make_adversarial(Experiment& experiment) {
  return std::make_unique<AdversarialStage>(experiment);
}

}  // namespace stp

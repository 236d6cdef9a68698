// Phase 1 (equation 12): the anonymiser learns to classify the action and to keep its ratios.
#include "engine/rng.h"
#include "engine/schedule.h"
#include "tools/experiment/stage.h"

namespace stp {

namespace {

class InitStage : public Stage {
 public:
  explicit InitStage(Experiment& e)
      : e_(e),
        recipe_(e.recipe.init),
        steps_(e.steps(recipe_.steps, recipe_.epochs, e.recipe.train.batch * e.recipe.train.accumulate)),
        head_(e.backend, stream_id("init head", {e.seed()}), e.recipe.model.embedding,
              static_cast<std::int64_t>(e.data.classes.size())),
        anonymiser_("anonymiser", e.anonymiser->parameters(), e.recipe.optimizer, e.recipe.model.depth),
        classifier_("init_head", head_.parameters(), e.recipe.optimizer, e.recipe.model.depth),
        feed_(e.backend, e.recipe, e.data.train, e.recipe.train.batch, stream_id("init"), e.footage) {}

  std::string name() const override { return "init"; }
  std::int64_t steps() const override { return steps_; }
  const Loader& loader() const override { return feed_.loader(); }

  std::vector<LogField> step(std::int64_t number) override {
    const int parts = e_.recipe.train.accumulate;
    std::vector<StepNumbers> told;
    for (int part = 0; part < parts; ++part) {
      const LabelledClips batch = feed_.batch(number * parts + part);
      told.push_back(init_gradients(*e_.anonymiser, head_, batch, draw_noise(e_, name(), number, part),
                                    drop_draw(e_, "anonymiser init", number, part),
                                    {recipe_.ratio_weight, RatioScope::slot, recipe_.pixel_weight},
                                    1.0 / parts));
    }
    const double rate = rate_at(recipe_.rate, number, steps_);
    const auto frozen = static_cast<std::int64_t>(recipe_.frozen * static_cast<double>(steps_));
    const double backbone = frozen_then_capped(number, rate, frozen, recipe_.backbone_cap * recipe_.rate.peak);
    Readings readings;
    for (StepNumbers& numbers : told) numbers.note(readings);
    const std::size_t norm = readings.note(anonymiser_.issue(backbone, rate)),
                      classifier_norm = readings.note(classifier_.issue(rate));
    readings.fetch();  // the one place where a step waits for the device
    StepLosses losses;
    for (const StepNumbers& numbers : told) {
      losses = numbers.losses(readings);
      check_finite(where(number), "action loss", losses.action);
    }
    anonymiser_.check_norm(where(number), readings.number(norm));
    classifier_.check_norm(where(number), readings.number(classifier_norm));
    return {{"action_loss", losses.action},
            {"ratio_loss", losses.ratio},
            {"pixel_loss", losses.pixels},
            {"keep", losses.keep},
            {"rate", rate},
            {"norm", readings.number(norm)}};
  }

  void save(CheckpointBuilder& builder) const override {
    anonymiser_.save(builder, false);
    classifier_.save(builder, true);
  }
  void restore(const Checkpoint& checkpoint) override {
    anonymiser_.restore(checkpoint, false);
    classifier_.restore(checkpoint, true);
  }

 private:
  std::string where(std::int64_t number) const { return fmt::format("init, step {}", number); }

  Experiment& e_;
  InitRecipe recipe_;
  std::int64_t steps_;
  InitHead head_;
  Learner anonymiser_, classifier_;
  Feed feed_;
};

}  // namespace

std::unique_ptr<Stage> make_init(Experiment& experiment) { return std::make_unique<InitStage>(experiment); }

}  // namespace stp

// Phase 3: the anonymiser stays as it is; an action recogniser and several privacy recognisers start afresh on
// what it delivers (or on raw clips), learn for a fixed number of steps on the training split, and are judged
// on the test split by their last state. All learn side by side on the same batches, so each clip is anonymised
// once.
#include <algorithm>
#include <cmath>

#include "engine/rng.h"
#include "tools/experiment/stage.h"

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

class EvaluationStage : public Stage {
 public:
  EvaluationStage(Experiment& e, bool anonymised)
      : e_(e),
        recipe_(e.recipe.evaluate),
        anonymised_(anonymised),
        batch_(recipe_.batch > 0 ? recipe_.batch : e.recipe.train.batch),
        steps_(e.steps(recipe_.steps, recipe_.epochs, batch_)),
        feed_(e.backend, e.recipe, e.data.train, batch_, stream_id("evaluate")) {
    add("action", 0, e.data.classes.size());
    const int attackers = anonymised ? recipe_.attackers : recipe_.raw_attackers;
    for (int i = 0; i < attackers; ++i) add(fmt::format("attacker_{}", i), i + 1, e.data.attributes.size());
  }

  std::string name() const override { return anonymised_ ? "evaluate stprivacy" : "evaluate raw"; }
  std::int64_t steps() const override { return steps_; }

  std::vector<LogField> step(std::int64_t number) override {
    const LabelledClips batch = feed_.batch(number);
    const Seen seen = deliver(batch.input);
    const std::string where = fmt::format("{}, step {}", name(), number);
    const double rate = rate_at(recipe_.rate, number, steps_);
    std::vector<LogField> fields = {{"rate", rate}};
    for (Player& player : players_) {
      Tape tape;
      const DropPathDraw drop = drop_draw(e_, name() + player.name, number, 0);
      const Tensor logits = player.network->gathered(&tape, seen.input, seen.kept, drop);
      const Tensor loss = player.is_action() ? cross_entropy(&tape, logits, batch.labels)
                                             : binary_cross_entropy(&tape, logits, batch.attributes);
      check_finite(where, player.name + " loss", loss.item());
      fields.push_back({player.name + "_loss", static_cast<double>(loss.item())});
      tape.backward({{loss}});
      player.learner->step(where, rate);
    }
    return fields;
  }

  bool finish(const Stop& stop) override {
    std::vector<ViewAverage> averages;
    for (const Player& p : players_) averages.emplace_back(e_.data.test.size(), p.outputs());
    TestFeed test(e_.backend, e_.recipe, e_.data.test, batch_);
    LabelledClips batch;
    std::vector<std::uint32_t> items;
    double kept = 0, all = 0;
    while (test.next(batch, items)) {
      if (stop()) return false;
      const Seen seen = deliver(batch.input);
      kept += static_cast<double>(seen.kept.rows.shape().elements());
      all += static_cast<double>(batch.input.batch() * e_.recipe.vit().tokens());
      for (std::size_t p = 0; p < players_.size(); ++p) {
        averages[p].add(players_[p].network->gathered(nullptr, seen.input, seen.kept), items,
                        players_[p].is_action());
      }
    }
    e_.results.methods.push_back(judge(averages, kept / all));
    return true;
  }

  void save(CheckpointBuilder& builder) const override {
    for (const Player& p : players_) p.learner->save(builder, true);
  }
  void restore(const Checkpoint& checkpoint) override {
    for (Player& p : players_) p.learner->restore(checkpoint, true);
  }

 private:
  struct Player {
    std::string name;
    std::uint64_t seed;
    std::unique_ptr<Recogniser> network;
    std::unique_ptr<Learner> learner;

    bool is_action() const { return name == "action"; }
    std::size_t outputs() const { return static_cast<std::size_t>(network->options().outputs); }
  };
  // What recognisers are shown of a batch.
  struct Seen {
    ClipInput input;
    Kept kept;
  };

  void add(const std::string& who, int index, std::size_t outputs) {
    const std::uint64_t seed = stream_id("evaluate " + who, {e_.seed(), static_cast<std::uint64_t>(index)});
    Player p{who, seed, nullptr, nullptr};
    p.network = std::make_unique<Recogniser>(e_.backend, seed,
                                             e_.recipe.recogniser_for(static_cast<std::int64_t>(outputs)));
    e_.start_network(p.network->parameters(), p.network->options().vit);
    p.learner = std::make_unique<Learner>(who, p.network->parameters(), e_.recipe.optimizer,
                                          e_.recipe.recogniser.depth);
    players_.push_back(std::move(p));
  }

  Seen deliver(const ClipInput& input) const {
    if (!anonymised_) return {input, every_token(e_.backend, input.batch(), e_.recipe.vit().tokens())};
    const Anonymised out = e_.anonymiser->anonymise(input);
    return {e_.anonymiser->redraws() ? ClipInput{.pixel_tubelets = out.pixels} : input, out.kept};
  }

  MethodResult judge(const std::vector<ViewAverage>& averages, double kept) const {
    MethodResult result;
    result.method = anonymised_ ? "stprivacy" : "raw";
    result.kept = kept;
    const LabelTable truth = label_table(e_.data, e_.data.test);
    for (std::size_t p = 0; p < players_.size(); ++p) {
      if (players_[p].is_action()) {
        result.top1 = ActionScores{truth.classes, averages[p].mean(), truth.actions}.top1();
      } else {
        const AttributeScores scores = {truth.attributes, averages[p].mean(), truth.positive};
        result.attackers.push_back({players_[p].seed, scores.cmap(), scores.f1(), scores.precisions()});
      }
    }
    return result;
  }

  Experiment& e_;
  EvaluateRecipe recipe_;
  bool anonymised_;
  int batch_;
  std::int64_t steps_;
  std::vector<Player> players_;
  Feed feed_;
};

}  // namespace

std::unique_ptr<Stage> make_evaluation(Experiment& experiment, bool anonymised) {
  return std::make_unique<EvaluationStage>(experiment, anonymised);
}

}  // namespace stp

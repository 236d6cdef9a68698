#include "models/adversary.h"

#include <cmath>
#include <numeric>

namespace stp {

namespace {

float as_weight(double weight) { return static_cast<float>(weight); }

Tensor logits_of(const Recogniser& recogniser, Tape* tape, const RecogniserView& view, const DropPathDraw& drop,
                 bool gathered) {
  if (gathered) return recogniser.gathered(tape, view.input, compact(view.keep), drop);
  return recogniser.masked(tape, view.input, view.keep, drop);
}

// What the anonymiser minimises of the privacy recogniser's logits, and its sign beside lambda_P.
Tape::Term privacy_term(Tape* tape, const Tensor& logits, const Tensor& attributes, PrivacyTerm kind) {
  if (kind == PrivacyTerm::confusion) {
    const Tensor half = Tensor::filled(logits.backend(), logits.shape(), 0.5f);
    return {binary_cross_entropy(tape, logits, half), 1};
  }
  const float limit = kind == PrivacyTerm::bounded ? std::log(2.0f) : std::numeric_limits<float>::infinity();
  return {binary_cross_entropy(tape, logits, attributes, limit), -1};
}

// A copy of the view whose gradients are its own, for passes that reach both sides with different signs.
RecogniserView apart(const RecogniserView& view) {
  RecogniserView copy = view.detach();
  if (copy.input.pixel_tubelets) copy.input.pixel_tubelets.set_wants_gradient(true);
  copy.keep.set_wants_gradient(true);
  return copy;
}

// to.grad += factor from.grad
void pass_gradient(const Tensor& from, const Tensor& to, double factor) {
  if (!from || !from.has_gradient()) return;
  const Tensor scale = Tensor::filled(from.backend(), {1}, as_weight(factor));
  if (const Grad grad = to.grad()) {
    const ScaleClips args = {
        .x = from.gradient(), .factor = scale.f32(), .out = grad, .B = 1, .n = from.elements()};
    from.backend().run(&KernelTable::scale_clips, args);
  }
}

}  // namespace

Tensor action_loss(Tape* tape, const Tensor& logits, const LabelledClips& batch) {
  if (batch.actions) return binary_cross_entropy(tape, logits, batch.actions);
  return cross_entropy(tape, logits, batch.labels);
}

RecogniserView RecogniserView::detach() const {
  RecogniserView view = *this;
  view.input.pixel_tubelets = input.pixel_tubelets.detach();
  view.keep = keep.detach();
  return view;
}

RecogniserView view_of(const StprivacyPass& pass, const ClipInput& input) {
  if (!pass.pixels) return {input, pass.keep};
  return {{.pixel_tubelets = pass.pixels}, pass.keep};
}

std::vector<Tape::Term> ratio_terms(Tape* tape, const StprivacyPass& pass, const StprivacyOptions& options,
                                    RatioScope scope, double weight) {
  std::vector<Tape::Term> terms;
  for (std::size_t m = 0; m < pass.decisions.size(); ++m) {
    const Tensor& decision = pass.decisions[m];
    const std::int64_t segments = decision.size(0) * (scope == RatioScope::slot ? options.vit.slots() : 1);
    const double share = weight / static_cast<double>(pass.decisions.size());
    terms.push_back(
        {ratio_loss(tape, decision, segments, static_cast<float>(options.keep[m])), as_weight(share)});
  }
  return terms;
}

void StepNumbers::note_kept(const StprivacyPass& pass) {
  for (const Tensor& decision : pass.decisions) {
    clips_ = decision.size(0);
    kept_.emplace_back(decision.backend(), Shape{decision.size(1)});
    const SumRows sum = {
        .x = decision.in(), .sum = kept_.back().overwritten(), .B = clips_, .n = decision.size(1)};
    decision.backend().run(&KernelTable::sum_rows, sum);
  }
}

void StepNumbers::note(Readings& readings) {
  first_ = readings.note(action);
  readings.note(privacy);
  readings.note(pixels);
  for (const Tape::Term& term : ratio) readings.note(term.loss);
  for (const Tensor& kept : kept_) readings.note(kept);
}

StepLosses StepNumbers::losses(const Readings& readings) const {
  std::size_t place = first_;
  StepLosses losses;
  losses.action = readings.number(place++);
  losses.privacy = readings.number(place++);
  losses.pixels = readings.number(place++);
  for (const Tape::Term& term : ratio)
    losses.ratio += static_cast<double>(term.weight) * readings.number(place++);
  for (std::size_t m = 0; m < kept_.size(); ++m) {
    const std::span<const float> kept = readings.at(place++);
    losses.keep.push_back(std::accumulate(kept.begin(), kept.end(), 0.0) /
                          static_cast<double>(clips_ * static_cast<std::int64_t>(kept.size())));
  }
  return losses;
}

StepLosses read(StepNumbers numbers) {
  Readings readings;
  numbers.note(readings);
  readings.fetch();
  return numbers.losses(readings);
}

InitHead::InitHead(const Backend& backend, std::uint64_t seed, std::int64_t E, std::int64_t classes)
    : parameters_(backend, seed, [&, this](const ParameterScope& scope) {
        norm_ = LayerNorm(scope / "norm", E);
        head_ = Linear(scope / "head", E, classes);
      }) {}

Tensor InitHead::operator()(Tape* tape, const StprivacyPass& pass) const {
  return head_(tape, norm_(tape, masked_mean(tape, pass.features, pass.keep)));
}

StepNumbers init_gradients(const Stprivacy& anonymiser, const InitHead& head, const LabelledClips& batch,
                           const std::vector<Tensor>& noise, const DropPathDraw& drop,
                           const InitOptions& options, double weight) {
  Tape tape;
  const StprivacyPass pass = anonymiser.train(&tape, batch.input, noise, drop);
  const Tensor action = action_loss(&tape, head(&tape, pass), batch);
  std::vector<Tape::Term> terms = ratio_terms(&tape, pass, anonymiser.options(), options.ratio_scope, 1);

  StepNumbers numbers;
  numbers.action = action;
  numbers.ratio = terms;
  numbers.note_kept(pass);
  for (Tape::Term& term : terms) term.weight *= as_weight(weight * options.ratio_weight);
  terms.push_back({action, as_weight(weight)});
  if (options.pixel_weight > 0 && pass.pixels) {
    const Tensor target = anonymiser.pixel_targets(batch.input);
    const Tensor difference = squared_error(&tape, pass.pixels, target);
    numbers.pixels = difference;
    terms.push_back({difference, as_weight(weight * options.pixel_weight)});
  }
  tape.backward(terms);
  return numbers;
}

Tensor action_gradients(const Recogniser& action, const RecogniserView& view, const LabelledClips& batch,
                        const DropPathDraw& drop, bool gathered, double weight) {
  Tape tape;
  const Tensor loss = action_loss(&tape, logits_of(action, &tape, view.detach(), drop, gathered), batch);
  tape.backward({{loss, as_weight(weight)}});
  return loss;
}

Tensor privacy_gradients(const Recogniser& privacy, const RecogniserView& view, const LabelledClips& batch,
                         const DropPathDraw& drop, bool gathered, double weight) {
  Tape tape;
  const Tensor logits = logits_of(privacy, &tape, view.detach(), drop, gathered);
  const Tensor loss = binary_cross_entropy(&tape, logits, batch.attributes);
  tape.backward({{loss, as_weight(weight)}});
  return loss;
}

Tensor mask_gradients(const MaskRecogniser& mask, const Tensor& keep, const LabelledClips& batch,
                      double weight) {
  Tape tape;
  const Tensor loss = binary_cross_entropy(&tape, mask(&tape, keep.detach()), batch.attributes);
  tape.backward({{loss, as_weight(weight)}});
  return loss;
}

AnonymiserStep::AnonymiserStep(const Stprivacy& anonymiser, const LabelledClips& batch,
                               const std::vector<Tensor>& noise, const DropPathDraw& drop,
                               Activations activations)
    : anonymiser_(anonymiser),
      batch_(batch),
      pass_(anonymiser.train(&tape_, batch.input, noise, drop, {}, activations)) {}

StepNumbers AnonymiserStep::finish(const AdversaryOptions& options, double weight) {
  std::vector<Tape::Term> terms = ratio_terms(&tape_, pass_, anonymiser_.options(), options.ratio_scope, 1);
  StepNumbers numbers;
  numbers.ratio = terms;
  numbers.note_kept(pass_);
  for (Tape::Term& term : terms) term.weight *= as_weight(weight * options.ratio_weight);
  tape_.backward(terms);  // together with what the recognisers' tapes left in pixels and keep
  return numbers;
}

Tensor AnonymiserStep::hide_from(const MaskRecogniser& mask, const AdversaryOptions& options, double weight) {
  const Frozen no_mask(mask.parameters());
  Tape tape;
  const Tensor logits = mask(&tape, pass_.keep);
  backward_privacy(tape, logits, options, weight);
  return binary_cross_entropy(nullptr, logits, batch_.attributes);
}

void AnonymiserStep::backward_privacy(Tape& tape, const Tensor& logits, const AdversaryOptions& options,
                                      double weight) const {
  Tape::Term term = privacy_term(&tape, logits, batch_.attributes, options.privacy_term);
  term.weight *= as_weight(weight * options.privacy_weight);
  tape.backward({term});
}

StepNumbers AnonymiserStep::gradients(const Recogniser& action, const Recogniser& privacy,
                                      const AdversaryOptions& options, double weight) {
  const Frozen no_action(action.parameters()), no_privacy(privacy.parameters());
  Tensor of_action, of_privacy;
  {  // one recogniser's activations at a time
    Tape tape;
    of_action = action_loss(&tape, logits_of(action, &tape, view(), {}, false), batch_);
    tape.backward({{of_action, as_weight(weight * options.action_weight)}});
  }
  {
    Tape tape;
    const Tensor logits = logits_of(privacy, &tape, view(), {}, false);
    of_privacy = binary_cross_entropy(nullptr, logits, batch_.attributes);
    backward_privacy(tape, logits, options, weight);
  }
  StepNumbers numbers = finish(options, weight);
  numbers.action = of_action;
  numbers.privacy = of_privacy;
  return numbers;
}

StepNumbers AnonymiserStep::joint_gradients(const Recogniser& action, const Recogniser& privacy,
                                            const DropPathDraw& drop, const AdversaryOptions& options,
                                            double weight) {
  check(options.privacy_term == PrivacyTerm::negative,
        "adversary: order simultaneous shares one backward, so the privacy term must be negative; use order "
        "sequential");
  const auto one = [&](const Recogniser& recogniser, double factor, const auto& loss_of) {
    const RecogniserView whole = view(), own = apart(whole);
    Tape tape;
    const Tensor loss = loss_of(&tape, logits_of(recogniser, &tape, own, drop, false));
    tape.backward({{loss, as_weight(weight)}});
    pass_gradient(own.input.pixel_tubelets, whole.input.pixel_tubelets, factor);
    pass_gradient(own.keep, whole.keep, factor);
    return loss;
  };
  const Tensor of_action = one(action, options.action_weight, [&](Tape* tape, const Tensor& logits) {
    return action_loss(tape, logits, batch_);
  });
  const Tensor of_privacy = one(privacy, -options.privacy_weight, [&](Tape* tape, const Tensor& logits) {
    return binary_cross_entropy(tape, logits, batch_.attributes);
  });
  StepNumbers numbers = finish(options, weight);
  numbers.action = of_action;
  numbers.privacy = of_privacy;
  return numbers;
}

}  // namespace stp

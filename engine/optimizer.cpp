#include "engine/optimizer.h"

#include <cmath>

namespace stp {

Optimizer::Optimizer(const Parameters& parameters, const OptimizerOptions& options,
                     const std::function<Treatment(const Parameter&)>& treat)
    : parameters_(parameters),
      options_(options),
      first_(Tensor::zeros(parameters.backend(), {parameters.elements()})),
      second_(Tensor::zeros(parameters.backend(), {parameters.elements()})),
      partial_(parameters.backend(), {ClipNorm::kParts}),
      norm_(parameters.backend(), {1}),
      scale_(parameters.backend(), {1}) {
  for (const Parameter& p : parameters.all()) {
    runs_.push_back({p.begin, p.begin + p.shape.elements(), p.tensor, treat(p)});
  }
}

double Optimizer::step(const std::vector<double>& rates) {
  const double norm = issue(rates).item();
  if (!std::isfinite(norm)) --steps_;
  return norm;
}

Tensor Optimizer::issue(const std::vector<double>& rates) {
  const Backend& backend = parameters_.backend();
  float* const gradients = parameters_.gradients();
  const ClipNorm clip = {.gradients = gradients,
                         .partial = partial_.out().f32(),
                         .norm = norm_.out().f32(),
                         .scale = scale_.out().f32(),
                         .count = parameters_.elements(),
                         .limit = static_cast<float>(options_.clip_norm)};
  backend.run(&KernelTable::clip_norm, clip);

  std::vector<AdamWSegment> segments;
  for (const Run& run : runs_) {
    const double rate = run.tensor.wants_gradient() ? rates.at(run.treatment.group) * run.treatment.scale : 0.0;
    segments.push_back({run.begin, run.end, static_cast<float>(rate), static_cast<float>(run.treatment.decay)});
  }
  const AdamW args = {.parameters = parameters_.values(),
                      .gradients = gradients,
                      .first = first_.out().f32(),
                      .second = second_.out().f32(),
                      .rounded = parameters_.rounded(),
                      .segments = segments.data(),
                      .gradient_scale = scale_.f32(),
                      .segment_count = static_cast<int>(segments.size()),
                      .beta1 = static_cast<float>(options_.beta1),
                      .beta2 = static_cast<float>(options_.beta2),
                      .epsilon = static_cast<float>(options_.epsilon),
                      .step = ++steps_};
  backend.run(&KernelTable::adamw, args);
  // Where the host sees the norm without waiting, networks that learn in turns share the memory of their
  // gradients; those of a step that failed stay, for whoever asks which of them is not finite.
  const bool seen = backend.device() != Device::cuda;
  if (seen && std::isfinite(*norm_.f32())) parameters_.clear_gradients();
  return norm_;
}

std::string Optimizer::first_non_finite() const {
  for (const Parameter& p : parameters_.all()) {
    for (float g : p.tensor.gradient_values()) {
      if (!std::isfinite(g)) return p.name;
    }
  }
  return {};
}

std::vector<float> Optimizer::first_moments() const { return first_.values(); }
std::vector<float> Optimizer::second_moments() const { return second_.values(); }

void Optimizer::restore(std::int64_t steps, const std::vector<float>& first, const std::vector<float>& second) {
  steps_ = steps;
  first_.assign(first);
  second_.assign(second);
}

void Optimizer::reset() {
  const std::vector<float> zeros(static_cast<std::size_t>(parameters_.elements()), 0.0f);
  restore(0, zeros, zeros);
}

}  // namespace stp

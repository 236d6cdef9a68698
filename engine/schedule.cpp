#include "engine/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/check.h"

namespace stp {
namespace {

double mix(double from, double to, double fraction) { return from + (to - from) * fraction; }

// 0 at 0 and 1 at 1, flat at both.
double half_cosine(double fraction) { return 0.5 * (1.0 - std::cos(std::numbers::pi * fraction)); }

double fraction_of(std::int64_t step, std::int64_t begin, std::int64_t end) {
  return static_cast<double>(step - begin) / static_cast<double>(end - begin);
}

// The ends are returned as they were given, whatever the arithmetic between them rounds to.
template <class Curve>
double ramp(std::int64_t step, const Ramp& r, Curve curve) {
  check(std::isfinite(r.from) && std::isfinite(r.to), "schedule: from {} to {}, wanted finite values", r.from,
        r.to);
  check(r.begin >= 0 && r.begin <= r.end, "schedule: from step {} to step {}, wanted 0 <= begin <= end",
        r.begin, r.end);
  if (step >= r.end) return r.to;
  if (step <= r.begin) return r.from;
  return mix(r.from, r.to, curve(fraction_of(step, r.begin, r.end)));
}

}  // namespace

double linear_ramp(std::int64_t step, const Ramp& r) {
  return ramp(step, r, [](double fraction) { return fraction; });
}

double cosine_ramp(std::int64_t step, const Ramp& r) { return ramp(step, r, half_cosine); }

double warmup_cosine(std::int64_t step, const WarmupCosine& s) {
  check(s.steps >= 1 && s.warmup >= 0 && s.warmup <= s.steps, "schedule: warm-up of {} in {} steps", s.warmup,
        s.steps);
  if (step < s.warmup) return linear_ramp(step, {.from = s.start, .to = s.peak, .begin = 0, .end = s.warmup});
  return cosine_ramp(step, {.from = s.peak, .to = s.end, .begin = s.warmup, .end = s.steps});
}

double frozen_then_capped(std::int64_t step, double rate, std::int64_t frozen, double cap) {
  check(frozen >= 0 && cap >= 0, "schedule: frozen for {} steps, then at most {}", frozen, cap);
  return step < frozen ? 0.0 : std::min(rate, cap);
}

double layer_scale(int layer, int layers, double decay) {
  check(layers >= 0 && layer >= 0 && layer <= layers, "schedule: layer {} of {}", layer, layers);
  check(decay > 0 && decay <= 1, "schedule: layer decay {}, wanted above 0, at most 1", decay);
  return std::pow(decay, layers - layer);
}

}  // namespace stp

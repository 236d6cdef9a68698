// AdamW and the gradient norm: not ops of the tape, so the kernels are called as the optimizer calls them.
#include <limits>

#include "tests/op_case.h"

namespace stp::test {

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kAdamEpsilon = 1e-8;

// Segments of about the same length, with three kinds of rate and decay in turn; the second is left alone.
std::vector<AdamWSegment> segments_of(std::int64_t count, std::int64_t segments) {
  std::vector<AdamWSegment> list;
  for (std::int64_t s = 0; s < segments; ++s) {
    list.push_back({s * count / segments, (s + 1) * count / segments,
                    s % 3 == 0   ? 0.01f
                    : s % 3 == 1 ? 0
                                 : 0.002f,
                    s % 3 == 2 ? 0 : 0.05f});
  }
  return list;
}

// What the copy differs by from the values rounded on the host: nothing.
Tensor rounding_error(const Tensor& rounded, const Tensor& values) {
  std::vector<float> error = rounded.values();
  const std::vector<float> wanted = values.values();
  for (std::size_t i = 0; i < error.size(); ++i) error[i] -= from_bf16(to_bf16(wanted[i]));
  return Tensor::from(values.backend(), values.shape(), error);
}

// `rounds`: a copy in bf16 is written too.
OpCase adamw_case(std::int64_t count, std::int64_t step, double scale, std::int64_t parts = 3,
                  bool rounds = false) {
  OpCase c;
  c.name =
      fmt::format("adamw {} in {} step {} scale {}{}", count, parts, step, scale, rounds ? " rounded" : "");
  const std::vector<AdamWSegment> segments = segments_of(count, parts);
  const Shape shape = {count};
  c.inputs = {constant("parameters", shape, normal_values(c.name, shape)),
              constant("gradients", shape, normal_values(c.name + "g", shape)),
              constant("first", shape, normal_values(c.name + "m", shape, 0.1)),
              constant("second", shape, uniform_values(c.name + "v", shape, 0.001, 0.1))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles p = in[0], m = in[2], v = in[3];
    for (const AdamWSegment& s : segments) {
      if (s.rate == 0) continue;
      for (std::size_t i = static_cast<std::size_t>(s.begin); i < static_cast<std::size_t>(s.end); ++i) {
        const double g = scale * in[1][i], k = static_cast<double>(step);
        m[i] = kBeta1 * m[i] + (1 - kBeta1) * g;
        v[i] = kBeta2 * v[i] + (1 - kBeta2) * g * g;
        p[i] *= 1 - static_cast<double>(s.rate) * s.decay;
        p[i] -= s.rate * (m[i] / (1 - std::pow(kBeta1, k))) /
                (std::sqrt(v[i] / (1 - std::pow(kBeta2, k))) + kAdamEpsilon);
      }
    }
    const Doubles none(p.size(), 0.0);
    std::vector<Doubles> outputs = {p, none, m, v};
    if (rounds) outputs.push_back(none);
    return outputs;
  };
  c.call = [=](Tape*, const std::vector<Tensor>& in) {
    const Tensor factor = Tensor::from(in[0].backend(), {1}, std::vector<float>{static_cast<float>(scale)});
    Tensor rounded;
    if (rounds) {
      rounded = Tensor(in[0].backend(), in[0].shape(), Element::bf16);
      rounded.assign(in[0].values());
    }
    const AdamW args = {.parameters = in[0].out().f32(),
                        .gradients = in[1].out().f32(),
                        .first = in[2].out().f32(),
                        .second = in[3].out().f32(),
                        .rounded = rounded.out(),
                        .segments = segments.data(),
                        .gradient_scale = factor.f32(),
                        .segment_count = static_cast<int>(segments.size()),
                        .beta1 = static_cast<float>(kBeta1),
                        .beta2 = static_cast<float>(kBeta2),
                        .epsilon = static_cast<float>(kAdamEpsilon),
                        .step = step};
    in[0].backend().run(&KernelTable::adamw, args);
    std::vector<Tensor> outputs = {in[0], in[1], in[2], in[3]};
    if (rounds) outputs.push_back(rounding_error(rounded, in[0]));
    return outputs;
  };
  c.tolerance.absolute = 5e-6;
  c.tolerance.reason =
      "1 - beta2 = 0.001 in f32 is known to 5e-5 of itself, which the first steps carry into v";
  c.tolerance.relative = 1e-4;
  return c;
}

OpCase clip_case(std::int64_t count, double limit) {
  OpCase c;
  c.name = fmt::format("clip_norm {} limit {}", count, limit);
  c.inputs = {constant("gradients", {count}, normal_values(c.name, {count}))};
  c.reference = [=](const std::vector<Doubles>& in) {
    double sum = 0;
    for (double g : in[0]) sum += g * g;
    const double norm = std::sqrt(sum);
    return std::vector<Doubles>{{norm}, {norm > limit ? limit / norm : 1}};
  };
  c.call = [=](Tape*, const std::vector<Tensor>& in) {
    const Backend& backend = in[0].backend();
    const Tensor partial(backend, {ClipNorm::kParts}), norm(backend, {1}), scale(backend, {1});
    const ClipNorm args = {.gradients = in[0].f32(),
                           .partial = partial.out().f32(),
                           .norm = norm.out().f32(),
                           .scale = scale.out().f32(),
                           .count = count,
                           .limit = static_cast<float>(limit)};
    backend.run(&KernelTable::clip_norm, args);
    return std::vector<Tensor>{norm, scale};
  };
  return c;
}

std::vector<OpCase> optimizer_cases(Scale scale) {
  if (scale == Scale::clip) return {adamw_case(200'000, 2, 1), clip_case(200'000, 1)};
  if (scale == Scale::real) return {adamw_case(22'000'000, 2, 1), clip_case(22'000'000, 1)};
  return {adamw_case(7, 1, 1),
          adamw_case(100, 3, 0.25),
          adamw_case(4099, 2, 1),
          adamw_case(1301, 2, 1, 130),
          adamw_case(9, 1, 1, 3, true),
          adamw_case(1301, 2, 1, 130, true),
          clip_case(1, 0.1),
          clip_case(65, 1),
          clip_case(300, 1000),
          clip_case(40, std::numeric_limits<double>::infinity())};
}

OP_CASES(optimizer_cases);

}  // namespace

}  // namespace stp::test

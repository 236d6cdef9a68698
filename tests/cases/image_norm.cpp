// Batch norm, as it trains and as it evaluates, and instance norm.
#include "tests/op_case.h"

namespace stp::test {

namespace {

enum class Kind { training, evaluation, instance };

struct ImageNormSizes {
  std::int64_t B, C, Y, X;
  std::size_t elements() const { return static_cast<std::size_t>(B * C * Y * X); }
  std::size_t channel_of(std::size_t i) const {
    return i / static_cast<std::size_t>(Y * X) % static_cast<std::size_t>(C);
  }
  std::size_t plane_of(std::size_t i) const { return i / static_cast<std::size_t>(Y * X); }
};

constexpr double kNormEpsilon = 1e-3, kMomentum = 0.1;

struct Moments {
  Doubles mean, variance;  // of each group
  double count;            // values of a group
};

// Mean and variance of each plane, or of each channel over all images.
Moments moments(const Doubles& x, const ImageNormSizes& s, bool instance) {
  const std::size_t groups = static_cast<std::size_t>(instance ? s.B * s.C : s.C);
  Moments m = {Doubles(groups), Doubles(groups), static_cast<double>(x.size() / groups)};
  const auto group = [&](std::size_t i) { return instance ? s.plane_of(i) : s.channel_of(i); };
  for (std::size_t i = 0; i < x.size(); ++i) m.mean[group(i)] += x[i] / m.count;
  for (std::size_t i = 0; i < x.size(); ++i)
    m.variance[group(i)] += std::pow(x[i] - m.mean[group(i)], 2) / m.count;
  return m;
}

// in: x, weight, bias, running mean, running variance. Returns out, and the running statistics where they move.
std::vector<Doubles> reference(const std::vector<Doubles>& in, const ImageNormSizes& s, Kind kind) {
  const bool instance = kind == Kind::instance;
  const Moments m = kind == Kind::evaluation ? Moments{in[3], in[4], 0} : moments(in[0], s, instance);
  Doubles out;
  for (std::size_t i = 0; i < in[0].size(); ++i) {
    const std::size_t c = s.channel_of(i), group = instance ? s.plane_of(i) : c;
    out.push_back((in[0][i] - m.mean[group]) / std::sqrt(m.variance[group] + kNormEpsilon) * in[1][c] +
                  in[2][c]);
  }
  if (kind != Kind::training) return {out};
  Doubles mean = in[3], variance = in[4];
  for (std::size_t c = 0; c < mean.size(); ++c) {
    mean[c] += kMomentum * (m.mean[c] - mean[c]);
    variance[c] += kMomentum * (m.variance[c] * m.count / (m.count - 1) - variance[c]);
  }
  return {out, mean, variance};
}

Tensor copy_of(const Tensor& t) { return Tensor::from(t.backend(), t.shape(), t.values()); }

std::vector<Tensor> call(Tape* tape, const std::vector<Tensor>& in, Kind kind) {
  constexpr float epsilon = static_cast<float>(kNormEpsilon);
  if (kind == Kind::instance) return {instance_norm(tape, in[0], in[1], in[2], epsilon)};
  const RunningStatistics running = {copy_of(in[3]), copy_of(in[4]), static_cast<float>(kMomentum)};
  if (kind == Kind::evaluation)
    return {batch_norm(tape, in[0], in[1], in[2], running, NormMode::evaluation, epsilon)};
  const Tensor out = batch_norm(tape, in[0], in[1], in[2], running, NormMode::training, epsilon);
  return {out, running.mean, running.variance};
}

OpCase norm_case(Kind kind, const ImageNormSizes& s, double mean = 0, double spread = 1) {
  const char* const names[] = {"batch_norm training", "batch_norm evaluation", "instance_norm"};
  OpCase c;
  c.name = fmt::format("{} {} x {} x {} x {} mean {}", names[static_cast<int>(kind)], s.B, s.C, s.Y, s.X, mean);
  const Shape x = {s.B, s.C, s.Y, s.X}, w = {s.C};
  c.inputs = {input("x", x, normal_values(c.name, x, spread, mean)),
              input("weight", w, normal_values(c.name + "w", w, 0.3, 1)),
              input("bias", w, normal_values(c.name + "b", w))};
  if (kind != Kind::instance) {
    c.inputs.push_back(constant("running mean", w, normal_values(c.name + "m", w)));
    c.inputs.push_back(constant("running variance", w, uniform_values(c.name + "v", w, 0.5, 2)));
  }
  c.reference = [=](const std::vector<Doubles>& in) { return reference(in, s, kind); };
  // The running statistics carry no gradient.
  c.differentiated = [=](const std::vector<Doubles>& in) {
    return std::vector<Doubles>{reference(in, s, kind).front()};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) { return call(tape, in, kind); };
  return c;
}

std::vector<OpCase> image_norm_cases(Scale scale) {
  std::vector<OpCase> cases;
  const std::int64_t clips = real_clips(scale);
  for (const Kind kind : {Kind::training, Kind::evaluation, Kind::instance}) {
    if (clips) {
      cases.push_back(norm_case(kind, {clips * 16, 64, 56, 56}));
      continue;
    }
    for (const ImageNormSizes& s : {ImageNormSizes{2, 3, 1, 5}, ImageNormSizes{1, 2, 5, 7},
                                    ImageNormSizes{3, 5, 4, 4}, ImageNormSizes{5, 2, 17, 16}})
      cases.push_back(norm_case(kind, s));
    // More elements than a block has threads.
    cases.push_back(norm_case(kind, {2, 1, 33, 34}));
    OpCase narrow = norm_case(kind, {3, 2, 5, 5}, 5, 0.05);
    narrow.tolerance.absolute = 2e-4;
    narrow.tolerance.gradient_relative = 1e-3;
    narrow.tolerance.gradient_absolute = 2e-4;
    narrow.tolerance.reason =
        "x is known to 5 x 6e-8 beside a spread of 0.05, so normalised values to a few 1e-5";
    cases.push_back(narrow);
  }
  return cases;
}

OP_CASES(image_norm_cases);

}  // namespace

}  // namespace stp::test

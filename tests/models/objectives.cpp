// What the earlier methods minimise, beside plain loops in double precision: values, and gradients by central
// differences of the loops.
#include "models/baselines/objectives.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

using namespace stp;

namespace {

using Values = std::vector<double>;

Values wave(std::int64_t count, double phase) {
  Values values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = 1.5 * std::sin(0.83 * static_cast<double>(i) + phase);
  return values;
}

// A tensor with a gradient, as a parameter would be.
Tensor learnt(const Backend& backend, const Shape& shape, const Values& values) {
  const Tensor t = Tensor::from(backend, shape, std::vector<float>(values.begin(), values.end()));
  t.set_wants_gradient(true);
  t.keep_gradient();
  return t;
}

// f32 sums of some dozen terms of size one: 1e-5 is a hundred roundings; the differences' own error is 1e-8.
constexpr double kTolerance = 1e-5;

void agrees(const Tensor& loss, Tape& tape, const Tensor& x, const Values& at,
            const std::function<double(const Values&)>& reference) {
  CHECK(std::abs(loss.item() - reference(at)) <= kTolerance * std::max(1.0, std::abs(reference(at))));
  tape.backward({{loss}});
  const std::vector<float> gradient = x.gradient_values();
  REQUIRE(gradient.size() == at.size());
  constexpr double h = 1e-5;
  for (std::size_t i = 0; i < at.size(); ++i) {
    Values above = at, below = at;
    above[i] += h;
    below[i] -= h;
    const double wanted = (reference(above) - reference(below)) / (2 * h);
    CHECK_MESSAGE(std::abs(gradient[i] - wanted) <= kTolerance * std::max(1.0, std::abs(wanted)), "[", i,
                  "] is ", gradient[i], ", wanted ", wanted);
  }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double confusion(const Values& logits, Confusion form) {
  double sum = 0;
  for (const double x : logits) {
    const double p = sigmoid(x), q = 1 - p;
    if (form == Confusion::entropy) sum += p * std::log(p) + q * std::log(q);
    if (form == Confusion::half) sum -= 0.5 * std::log(p) + 0.5 * std::log(q);
    if (form == Confusion::present) sum -= std::log(p);
  }
  return sum / static_cast<double>(logits.size());
}

constexpr std::size_t B = 3, E = 6;

// Rows of (B, E) with their mean taken off, of length 1.
Values unit_rows(Values rows) {
  for (std::size_t b = 0; b < rows.size() / E; ++b) {
    double mean = 0, square = 0;
    for (std::size_t e = 0; e < E; ++e) mean += rows[b * E + e] / E;
    for (std::size_t e = 0; e < E; ++e) square += std::pow(rows[b * E + e] -= mean, 2);
    for (std::size_t e = 0; e < E; ++e) rows[b * E + e] /= std::sqrt(square + 1e-6 * E);
  }
  return rows;
}

double nt_xent(const Values& first, const Values& second, double temperature) {
  Values rows = first;
  rows.insert(rows.end(), second.begin(), second.end());
  rows = unit_rows(rows);
  const auto likeness = [&](std::size_t i, std::size_t j) {
    double product = 0;
    for (std::size_t e = 0; e < E; ++e) product += rows[i * E + e] * rows[j * E + e];
    return product / temperature;
  };
  double loss = 0;
  for (std::size_t i = 0; i < 2 * B; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < 2 * B; ++j)
      if (j != i) sum += std::exp(likeness(i, j));
    loss += (std::log(sum) - likeness(i, (i + B) % (2 * B))) / (2 * B);
  }
  return loss;
}

constexpr std::size_t N = 5;

double style(const Values& features, const Values& target) {
  double sum = 0;
  for (std::size_t b = 0; b < B; ++b)
    for (std::size_t i = 0; i < E; ++i)
      for (std::size_t j = 0; j < E; ++j) {
        double difference = 0;
        for (std::size_t n = 0; n < N; ++n) {
          const std::size_t row = (b * N + n) * E;
          difference += (features[row + i] * features[row + j] - target[row + i] * target[row + j]) / N;
        }
        sum += difference * difference / (E * E);
      }
  return sum / B;
}

}  // namespace

TEST_CASE("objectives: three forms of a confused privacy recogniser") {
  const Backend backend(Device::cpu);
  const Values at = wave(4 * 5, 0.4);
  for (const Confusion form : {Confusion::half, Confusion::entropy, Confusion::present}) {
    Tape tape;
    const Tensor logits = learnt(backend, {4, 5}, at);
    agrees(confusion_loss(&tape, logits, form), tape, logits, at,
           [form](const Values& v) { return confusion(v, form); });
  }
}

TEST_CASE("objectives: entropy stays finite where probabilities are 0 and 1") {
  const Backend backend(Device::cpu);
  const Tensor logits = learnt(backend, {1, 3}, {-90, 90, 0});
  Tape tape;
  const Tensor loss = confusion_loss(&tape, logits, Confusion::entropy);
  CHECK(std::abs(loss.item() + std::log(2.0) / 3) <= kTolerance);
  tape.backward({{loss}});
  for (const float g : logits.gradient_values()) CHECK(std::abs(g) <= kTolerance);
}

TEST_CASE("objectives: NT-Xent tells two views of a video from all others, with gradients to both") {
  const Backend backend(Device::cpu);
  const Values first = wave(B * E, 0.1), second = wave(B * E, 2.2);
  for (const double temperature : {0.1, 1.0}) {
    Tape tape;
    const Tensor a = learnt(backend, {B, E}, first), b = learnt(backend, {B, E}, second);
    const Tensor loss = stp::nt_xent(&tape, a, b, static_cast<float>(temperature));
    agrees(loss, tape, a, first, [&](const Values& v) { return nt_xent(v, second, temperature); });
    Tape again;
    const Tensor c = learnt(backend, {B, E}, second);
    agrees(stp::nt_xent(&again, a.detach(), c, static_cast<float>(temperature)), again, c, second,
           [&](const Values& v) { return nt_xent(first, v, temperature); });
  }
}

TEST_CASE("objectives: style is the distance of Gram matrices and leaves its target alone") {
  const Backend backend(Device::cpu);
  const Values features = wave(B * N * E, 0.7), target = wave(B * N * E, 1.9);
  Tape tape;
  const Tensor x = learnt(backend, {B, N, E}, features), y = learnt(backend, {B, N, E}, target);
  agrees(style_loss(&tape, x, y), tape, x, features, [&](const Values& v) { return style(v, target); });
  for (const float g : y.gradient_values()) CHECK(g == 0);
}

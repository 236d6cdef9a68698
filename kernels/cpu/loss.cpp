// Losses: a few numbers per clip. Sums are formed in double, in order, by one thread.
#include "kernels/loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/table.h"

namespace stp::cpu {

namespace {

// log(1 + e^x) - t x, without overflow.
double cross_entropy_of_logit(double x, double t) {
  return std::max(x, 0.0) - t * x + std::log1p(std::exp(-std::abs(x)));
}

}  // namespace

void log_softmax_forward(const LogSoftmaxForward& a) {
  constexpr std::int64_t kGrain = 1024;
  parallel_ranges(a.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* const x = a.x + r * a.A;
      const float m = *std::max_element(x, x + a.A);
      float sum = 0;
      for (int i = 0; i < a.A; ++i) sum += std::exp(x[i] - m);
      for (int i = 0; i < a.A; ++i) a.out[r * a.A + i] = x[i] - m - std::log(sum);
    }
  });
}

void log_softmax_backward(const LogSoftmaxBackward& a) {
  constexpr std::int64_t kGrain = 1024;
  parallel_ranges(a.rows, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float sum = 0;
      for (int i = 0; i < a.A; ++i) sum += a.dout[r * a.A + i];
      // forward: out_i = x_i - log sum_k e^(x_k)
      for (int i = 0; i < a.A; ++i) {
        contribute(a.dx, r * a.A + i, a.dout[r * a.A + i] - std::exp(a.out[r * a.A + i]) * sum);
      }
    }
  });
}

void cross_entropy_forward(const CrossEntropyForward& a) {
  double loss = 0;
  for (int b = 0; b < a.B; ++b) {
    const float* const x = a.logits + b * a.A;
    const double m = *std::max_element(x, x + a.A);
    double sum = 0;
    for (int i = 0; i < a.A; ++i) sum += std::exp(x[i] - m);
    loss += m + std::log(sum) - x[a.labels[b]];
    if (!a.probabilities) continue;
    for (int i = 0; i < a.A; ++i) a.probabilities[b * a.A + i] = static_cast<float>(std::exp(x[i] - m) / sum);
  }
  a.loss[0] = static_cast<float>(loss / a.B);
}

void cross_entropy_backward(const CrossEntropyBackward& a) {
  const float share = a.dloss[0] / static_cast<float>(a.B);
  for (int b = 0; b < a.B; ++b) {
    for (int i = 0; i < a.A; ++i) {
      const float target = a.labels[b] == i ? 1.0f : 0.0f;
      contribute(a.dlogits, b * a.A + i, share * (a.probabilities[b * a.A + i] - target));
    }
  }
}

void binary_cross_entropy_forward(const BinaryCrossEntropyForward& a) {
  double loss = 0;
  for (int i = 0; i < a.B * a.A; ++i) {
    const double term = cross_entropy_of_logit(a.logits[i], a.targets[i]);
    loss += term > a.limit ? a.limit : term;
  }
  a.loss[0] = static_cast<float>(loss / (a.B * a.A));
}

void binary_cross_entropy_backward(const BinaryCrossEntropyBackward& a) {
  const double share = a.dloss[0] / static_cast<double>(a.B * a.A);
  for (int i = 0; i < a.B * a.A; ++i) {
    // forward: min(limit, log(1 + e^x) - t x)
    const double x = a.logits[i], t = a.targets[i];
    const bool bounded = cross_entropy_of_logit(x, t) > a.limit;
    contribute(a.dlogits, i, bounded ? 0.0f : static_cast<float>(share * (1.0 / (1.0 + std::exp(-x)) - t)));
  }
}

void ratio_loss_forward(const RatioLossForward& a) {
  double loss = 0;
  for (int s = 0; s < a.segments; ++s) {
    double sum = 0;
    for (int p = 0; p < a.P; ++p) sum += a.keep[s * a.P + p];
    a.means[s] = static_cast<float>(sum / a.P);
    const double excess = sum / a.P - a.ratio;
    loss += excess * excess;
  }
  a.loss[0] = static_cast<float>(loss / a.segments);
}

void ratio_loss_backward(const RatioLossBackward& a) {
  const float share = 2.0f * a.dloss[0] / (static_cast<float>(a.segments) * static_cast<float>(a.P));
  for (int s = 0; s < a.segments; ++s) {
    for (int p = 0; p < a.P; ++p) contribute(a.dkeep, s * a.P + p, share * (a.means[s] - a.ratio));
  }
}

void squared_error_forward(const SquaredErrorForward& a) {
  constexpr std::int64_t kParts = SquaredErrorForward::kParts;
  const std::int64_t share = (a.count + kParts - 1) / kParts;
  parallel_for(kParts, [&](std::int64_t part) {
    const std::int64_t end = std::min(a.count, (part + 1) * share);
    double sum = 0;
    for (std::int64_t i = part * share; i < end; ++i) {
      const double difference = static_cast<double>(a.x.f32()[i]) - a.target[i];
      sum += difference * difference;
    }
    a.partial[part] = sum;
  });
  double sum = 0;
  for (std::int64_t part = 0; part < kParts; ++part) sum += a.partial[part];
  a.loss[0] = static_cast<float>(sum / static_cast<double>(a.count));
}

void squared_error_backward(const SquaredErrorBackward& a) {
  constexpr std::int64_t kGrain = 16384;
  const float share = 2.0f * a.dloss[0] / static_cast<float>(a.count);
  parallel_ranges(a.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    // forward: loss = mean (x - target)^2
    for (std::int64_t i = begin; i < end; ++i) contribute(a.dx, i, share * (a.x.f32()[i] - a.target[i]));
  });
}

}  // namespace stp::cpu

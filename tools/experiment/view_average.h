// What a network says of a clip, or of a frame, from several views of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace stp {

class ViewAverage {
 public:
  explicit ViewAverage(std::size_t outputs) : outputs_(outputs) {}

  // logits (B, outputs) of views of `what` (B), numbered from 0; softmax over classes, or a sigmoid each.
  void add(const Tensor& logits, std::span<const std::uint32_t> what, bool softmax) {
    const std::vector<float> values = logits.values();
    for (std::size_t b = 0; b < what.size(); ++b) {
      const std::span<const float> row = std::span(values).subspan(b * outputs_, outputs_);
      if (what[b] >= views_.size()) grow(what[b] + std::size_t{1});
      double sum = 0;
      const double highest = *std::ranges::max_element(row);
      for (const float x : row) sum += std::exp(x - highest);
      for (std::size_t o = 0; o < outputs_; ++o) {
        const double p =
            softmax ? std::exp(row[o] - highest) / sum : 1 / (1 + std::exp(-static_cast<double>(row[o])));
        sums_[what[b] * outputs_ + o] += p;
      }
      ++views_[what[b]];
    }
  }

  // (n, outputs) mean probabilities of all that were seen.
  std::vector<double> mean() const {
    std::vector<double> values = sums_;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] /= std::max(1, views_[i / outputs_]);
    return values;
  }

 private:
  void grow(std::size_t n) {
    views_.resize(n, 0);
    sums_.resize(n * outputs_, 0.0);
  }

  std::size_t outputs_;
  std::vector<double> sums_;
  std::vector<int> views_;
};

}  // namespace stp

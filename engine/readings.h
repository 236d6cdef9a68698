// Small results of a step. They stay on the device until everything has been issued, and come in one download.
#pragma once

#include <span>
#include <vector>

#include "engine/tensor.h"

namespace stp {

class Readings {
 public:
  // Notes a tensor of f32 values and returns its place among those noted. One that is not given has no values.
  // The values are those at the time of fetch().
  std::size_t note(const Tensor& values);
  // Waits for what was issued, and fetches all that was noted.
  void fetch();

  std::span<const float> at(std::size_t place) const;
  // The value of a tensor of one element; 0 of one that is not given.
  double number(std::size_t place) const;

 private:
  std::vector<Tensor> noted_;
  std::vector<std::size_t> begins_ = {0};  // of each among the values, and their end
  std::vector<float> values_;
};

}  // namespace stp

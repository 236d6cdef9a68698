// AdamW over the parameters of one network, with groups that have their own rate and decay.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "engine/parameters.h"
#include "kernels/optimizer.h"

namespace stp {

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double clip_norm = std::numeric_limits<double>::infinity();  // of all gradients together
};

// How one parameter is treated: its learning rate is rates[group] times scale.
struct Treatment {
  std::size_t group = 0;
  double scale = 1;
  double decay = 0;
};

class Optimizer {
 public:
  // `treat` is asked once for each parameter.
  Optimizer(const Parameters& parameters, const OptimizerOptions& options,
            const std::function<Treatment(const Parameter&)>& treat);

  // One step with the gradients that have been contributed, which are zero afterwards. rates: one for each
  // group; a group of rate 0 stays as it is, and so does a parameter that wants no gradient. Returns the norm
  // of the gradients before clipping. If that norm is not finite nothing is changed and the gradients stay, so
  // that first_non_finite() can name the culprit.
  double step(const std::vector<double>& rates);

  // The same without waiting for the device. Returns the norm, (1), which is good until the next step; where it
  // is not finite the step counts, and has changed nothing else.
  Tensor issue(const std::vector<double>& rates);

  // The name of the first parameter with a NaN or infinity among its gradients; empty if there is none.
  std::string first_non_finite() const;

  // What a checkpoint has to hold besides the parameters.
  std::int64_t steps() const { return steps_; }
  std::vector<float> first_moments() const;
  std::vector<float> second_moments() const;
  void restore(std::int64_t steps, const std::vector<float>& first, const std::vector<float>& second);
  // Forgets the moments, as a restart of the network does.
  void reset();

 private:
  struct Run {
    std::int64_t begin, end;
    Tensor tensor;
    Treatment treatment;
  };
  const Parameters& parameters_;
  OptimizerOptions options_;
  std::vector<Run> runs_;
  Tensor first_, second_;
  Tensor partial_, norm_, scale_;  // of ClipNorm
  std::int64_t steps_ = 0;
};

}  // namespace stp

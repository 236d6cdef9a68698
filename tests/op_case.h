// One case, four uses. A case names its inputs, the double-precision definition of an op as plain loops, and
// how to call the op; the harness (tests/harness/verify.cpp) derives from it: forward against the definition on
// every device, every gradient against central differences of the definition, variants with gradients not
// wanted and wanted twice, guard bands and NaN poison around everything, and the benchmark (bench/) at the
// sizes marked real.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/ops.h"

namespace stp::test {

using Doubles = std::vector<double>;

struct CaseInput {
  std::string name;
  Shape shape;
  std::vector<float> values;
  bool differentiable = true;
  bool activation = false;  // of a transformer block: may be stored in bf16
};

// |x - reference| <= absolute + relative |reference|, and for gradients the absolute part times the largest
// |reference| of the tensor. Each field's default holds for short sums of f32 products; a case that widens one
// says why in `reason`.
struct Tolerance {
  double relative = 2e-5;           // a few hundred roundings of 6e-8, most of which cancel
  double absolute = 2e-6;           // of values of order one
  double gradient_relative = 1e-4;  // gradients pass through more roundings, and differences add about 1e-7
  double gradient_absolute = 2e-5;  // of the largest gradient
  std::string reason;
};

struct OpCase {
  std::string name;  // op and sizes, for messages
  std::vector<CaseInput> inputs;
  // Outputs from inputs, in double, as the formula reads.
  std::function<std::vector<Doubles>(const std::vector<Doubles>&)> reference;
  // The op on tensors, in the same order; the tape is null when no gradient is taken.
  std::function<std::vector<Tensor>(Tape*, const std::vector<Tensor>&)> call;
  Tolerance tolerance = {};
  // What the gradient is the gradient of, where that is not the forward itself (straight-through estimators).
  std::function<std::vector<Doubles>(const std::vector<Doubles>&)> differentiated = {};
  Element storage = Element::f32;  // of the activations
};

// The same case with its activations stored in bf16, on inputs that bf16 can hold; for cases that have some.
bool has_activations(const OpCase& c);
OpCase in_bf16(OpCase c);
// The same case for a backend that multiplies in tf32: with that rounding's tolerance.
OpCase in_tf32(OpCase c);

// Small sizes straddle tiles and vectors and are compared with the definition; real ones are the model's at 8
// clips of 16 x 112 x 112, too slow for the definition, and are run by the bench; a clip is one of them, for
// what counts instead of timing.
enum class Scale { small, real, clip };
inline std::int64_t real_clips(Scale scale) { return scale == Scale::real ? 8 : scale == Scale::clip ? 1 : 0; }

// Registers the function that returns the cases of one op.
using CaseList = std::vector<OpCase> (*)(Scale);
struct CaseRegistration {
  explicit CaseRegistration(CaseList cases);
};

// All cases of a scale, in the order of registration by OP_CASES.
std::vector<OpCase> all_cases(Scale scale);

#define OP_CASES(function) static const ::stp::test::CaseRegistration function##_registration(function)

// To the nearest values that bf16 has.
void round_to_bf16(std::vector<float>& values);

// Inputs. Every value is a pure function of (name, index).
std::vector<float> normal_values(const std::string& name, const Shape& shape, double deviation = 1,
                                 double mean = 0);
std::vector<float> uniform_values(const std::string& name, const Shape& shape, double low, double high);
// Zeros and ones, ones with the given probability.
std::vector<float> binary_values(const std::string& name, const Shape& shape, double probability);

inline CaseInput input(const std::string& name, const Shape& shape, std::vector<float> values) {
  return {name, shape, std::move(values), true};
}
inline CaseInput activation(const std::string& name, const Shape& shape, std::vector<float> values) {
  return {name, shape, std::move(values), true, true};
}
inline CaseInput constant(const std::string& name, const Shape& shape, std::vector<float> values) {
  return {name, shape, std::move(values), false};
}

}  // namespace stp::test

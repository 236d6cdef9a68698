#include "tests/op_case.h"

namespace stp::test {

namespace {

OpCase norm_case(std::int64_t rows, std::int64_t E, double mean, double spread) {
  OpCase c;
  c.name = fmt::format("layer_norm rows {} E {} mean {} spread {}", rows, E, mean, spread);
  const double epsilon = 1e-6;
  const Shape x = {rows, E}, w = {E};
  c.inputs = {activation("x", x, normal_values(c.name, x, spread, mean)),
              input("weight", w, normal_values(c.name + "w", w, 0.3, 1)),
              input("bias", w, normal_values(c.name + "b", w))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out(in[0].size());
    const std::size_t width = static_cast<std::size_t>(E);
    for (std::size_t row = 0; row < out.size(); row += width) {
      double m = 0, variance = 0;
      for (std::size_t e = 0; e < width; ++e) m += in[0][row + e] / static_cast<double>(E);
      for (std::size_t e = 0; e < width; ++e)
        variance += std::pow(in[0][row + e] - m, 2) / static_cast<double>(E);
      for (std::size_t e = 0; e < width; ++e) {
        out[row + e] = (in[0][row + e] - m) / std::sqrt(variance + epsilon) * in[1][e] + in[2][e];
      }
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{layer_norm(tape, in[0], in[1], in[2], static_cast<float>(epsilon))};
  };
  return c;
}

std::vector<OpCase> norm_cases(Scale scale) {
  if (const std::int64_t B = real_clips(scale)) return {norm_case(B * 392, 384, 0, 1)};
  std::vector<OpCase> cases = {norm_case(1, 3, 0, 1),   norm_case(3, 15, 0, 1),  norm_case(5, 16, 0, 2),
                               norm_case(70, 33, 1, 1), norm_case(9, 132, 0, 1), norm_case(33, 384, 0, 1),
                               norm_case(2, 1028, 0, 1)};
  OpCase narrow = norm_case(4, 48, 5, 0.05);
  narrow.tolerance.absolute = 2e-4;
  narrow.tolerance.gradient_relative = 1e-3;
  narrow.tolerance.reason =
      "x is known to 5 x 6e-8 beside a spread of 0.05, so normalised values to a few 1e-5";
  cases.push_back(narrow);
  return cases;
}

OP_CASES(norm_cases);

}  // namespace

}  // namespace stp::test

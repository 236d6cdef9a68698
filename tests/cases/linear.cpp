// The linear layer and the MLP.
#include "tests/op_case.h"

namespace stp::test {

namespace {

double erf_gelu(double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// x W^T + bias (+ residual); empty vectors stand for "not given".
Doubles affine(const Doubles& x, const Doubles& weight, const Doubles& bias, const Doubles& residual,
               std::size_t I) {
  const std::size_t O = weight.size() / I, rows = x.size() / I;
  Doubles out(rows * O);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t o = 0; o < O; ++o) {
      double sum = bias.empty() ? 0 : bias[o];
      for (std::size_t i = 0; i < I; ++i) sum += x[r * I + i] * weight[o * I + i];
      out[r * O + o] = residual.empty() ? sum : sum + residual[r * O + o];
    }
  }
  return out;
}

struct LinearSizes {
  std::int64_t rows, I, O;
};

OpCase linear_case(const LinearSizes& s, bool bias, bool residual, Activation function) {
  OpCase c;
  c.name = fmt::format("linear rows {} I {} O {}{}{}{}", s.rows, s.I, s.O, bias ? " bias" : "",
                       residual ? " residual" : "", function == Activation::gelu ? " gelu" : "");
  const double deviation = 1 / std::sqrt(static_cast<double>(s.I));
  const Shape x = {s.rows, s.I}, w = {s.O, s.I}, b = {s.O}, r = {s.rows, s.O};
  c.inputs = {activation("x", x, normal_values(c.name + "x", x)),
              input("weight", w, normal_values(c.name + "w", w, deviation))};
  if (bias) c.inputs.push_back(input("bias", b, normal_values(c.name + "b", b)));
  if (residual) c.inputs.push_back(activation("residual", r, normal_values(c.name + "r", r)));
  const auto given = [=](const auto& in) {
    using Value = std::decay_t<decltype(in[0])>;
    return std::pair<Value, Value>{bias ? in[2] : Value(), residual ? in[bias ? 3 : 2] : Value()};
  };
  c.reference = [=](const std::vector<Doubles>& in) {
    const auto [b_values, r_values] = given(in);
    Doubles out = affine(in[0], in[1], b_values, {}, static_cast<std::size_t>(s.I));
    if (function == Activation::gelu) {
      for (double& v : out) v = erf_gelu(v);
    }
    for (std::size_t i = 0; i < r_values.size(); ++i) out[i] += r_values[i];
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    const auto [b_tensor, r_tensor] = given(in);
    return std::vector<Tensor>{linear(tape, in[0], in[1], b_tensor, r_tensor, function)};
  };
  return c;
}

OpCase mlp_case(std::int64_t rows, std::int64_t E, std::int64_t M, bool residual) {
  OpCase c;
  c.name = fmt::format("mlp rows {} E {} M {}{}", rows, E, M, residual ? " residual" : "");
  const Shape x = {rows, E}, w1 = {M, E}, b1 = {M}, w2 = {E, M}, b2 = {E};
  c.inputs = {activation("x", x, normal_values(c.name + "x", x)),
              input("fc1 weight", w1, normal_values(c.name + "w1", w1, 1 / std::sqrt(static_cast<double>(E)))),
              input("fc1 bias", b1, normal_values(c.name + "b1", b1)),
              input("fc2 weight", w2, normal_values(c.name + "w2", w2, 1 / std::sqrt(static_cast<double>(M)))),
              input("fc2 bias", b2, normal_values(c.name + "b2", b2))};
  if (residual) c.inputs.push_back(activation("residual", x, normal_values(c.name + "r", x)));
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles hidden = affine(in[0], in[1], in[2], {}, static_cast<std::size_t>(E));
    for (double& v : hidden) v = erf_gelu(v);
    return std::vector<Doubles>{
        affine(hidden, in[3], in[4], residual ? in[5] : Doubles(), static_cast<std::size_t>(M))};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{mlp(tape, in[0], {in[1], in[2], in[3], in[4]}, residual ? in[5] : Tensor())};
  };
  return c;
}

std::vector<OpCase> linear_cases(Scale scale) {
  if (const std::int64_t rows = real_clips(scale) * 392) {
    return {linear_case({rows, 384, 1152}, true, false, Activation::none),
            linear_case({rows, 384, 384}, true, true, Activation::none), mlp_case(rows, 384, 1536, true)};
  }
  std::vector<OpCase> cases;
  // The last is wide enough for the processor to take its passes apart (kernels/cpu/linear.cpp).
  for (const LinearSizes& s :
       {LinearSizes{1, 1, 1}, LinearSizes{3, 17, 5}, LinearSizes{33, 48, 65}, LinearSizes{18, 256, 259}}) {
    cases.push_back(linear_case(s, true, false, Activation::none));
    cases.push_back(linear_case(s, true, true, Activation::none));
    cases.push_back(linear_case(s, false, false, Activation::none));
    cases.push_back(linear_case(s, true, false, Activation::gelu));
  }
  cases.push_back(linear_case({5, 7, 9}, false, true, Activation::none));
  cases.push_back(linear_case({3, 257, 260}, false, true, Activation::none));
  cases.push_back(linear_case({3, 257, 260}, false, false, Activation::gelu));
  // More rows than the processor widens of bf16 at a time.
  cases.push_back(linear_case({1030, 5, 7}, true, true, Activation::none));
  cases.push_back(mlp_case(5, 6, 24, true));
  cases.push_back(mlp_case(17, 9, 33, false));
  return cases;
}

OP_CASES(linear_cases);

}  // namespace

}  // namespace stp::test

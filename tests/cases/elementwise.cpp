// Element by element, and per clip.
#include "tests/op_case.h"

namespace stp::test {

namespace {

OpCase gelu_case(std::int64_t count, double spread) {
  OpCase c;
  c.name = fmt::format("gelu {} spread {}", count, spread);
  c.inputs = {activation("x", {count}, normal_values(c.name, {count}, spread))};
  c.reference = [](const std::vector<Doubles>& in) {
    Doubles out;
    for (double x : in[0]) out.push_back(x * 0.5 * std::erfc(-x / std::sqrt(2.0)));
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) { return std::vector<Tensor>{gelu(tape, in[0])}; };
  return c;
}

// From the type of x to the other one.
OpCase stored_as_case(std::int64_t count) {
  OpCase c;
  c.name = fmt::format("stored_as {}", count);
  c.inputs = {activation("x", {count}, normal_values(c.name, {count}))};
  c.reference = [](const std::vector<Doubles>& in) { return in; };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    const Element other = in[0].type() == Element::f32 ? Element::bf16 : Element::f32;
    return std::vector<Tensor>{stored_as(tape, in[0], other)};
  };
  c.tolerance = {0.004, 0, 0.004, 0, "one rounding to bf16, 2^-9, of the values and of the gradient"};
  return c;
}

OpCase exponential_case(std::int64_t count) {
  OpCase c;
  c.name = fmt::format("exponential {}", count);
  c.inputs = {input("x", {count}, normal_values(c.name, {count}))};
  c.reference = [](const std::vector<Doubles>& in) {
    Doubles out;
    for (double x : in[0]) out.push_back(std::exp(x));
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{exponential(tape, in[0])};
  };
  return c;
}

OpCase add_scaled_case(std::int64_t B, std::int64_t n) {
  OpCase c;
  c.name = fmt::format("add_scaled B {} n {}", B, n);
  c.inputs = {activation("residual", {B, n}, normal_values(c.name + "r", {B, n})),
              activation("branch", {B, n}, normal_values(c.name, {B, n})),
              constant("factor", {B}, uniform_values(c.name, {B}, 0, 2))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out = in[0];
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += in[2][i / static_cast<std::size_t>(n)] * in[1][i];
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{add_scaled(tape, in[0], in[1], in[2])};
  };
  return c;
}

OpCase add_row_case(std::int64_t B, std::int64_t N, std::int64_t E) {
  OpCase c;
  c.name = fmt::format("add_row B {} N {} E {}", B, N, E);
  c.inputs = {activation("x", {B, N, E}, normal_values(c.name, {B, N, E})),
              input("row", {N, E}, normal_values(c.name + "row", {N, E}))};
  c.reference = [](const std::vector<Doubles>& in) {
    Doubles out = in[0];
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += in[1][i % in[1].size()];
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{add_row(tape, in[0], in[1])};
  };
  return c;
}

// A constant of x's shape, whatever x holds.
OpCase filled_case(std::int64_t count) {
  OpCase c;
  c.name = fmt::format("filled count {}", count);
  c.inputs = {constant("x", {count}, normal_values(c.name, {count}))};
  c.reference = [](const std::vector<Doubles>& in) {
    return std::vector<Doubles>{Doubles(in[0].size(), -1.25)};
  };
  c.call = [](Tape*, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{Tensor::filled(in[0].backend(), in[0].shape(), -1.25f)};
  };
  return c;
}

std::vector<OpCase> elementwise_cases(Scale scale) {
  if (const std::int64_t B = real_clips(scale))
    return {gelu_case(B * 392 * 1536, 1), add_row_case(B, 392, 384)};
  std::vector<OpCase> cases;
  for (std::int64_t count : {1, 15, 16, 17, 1000}) cases.push_back(gelu_case(count, 1));
  cases.push_back(gelu_case(333, 4));
  for (std::int64_t count : {1, 3, 4, 1000}) cases.push_back(filled_case(count));
  cases.push_back(exponential_case(17));
  for (std::int64_t count : {1, 17, 1000}) cases.push_back(stored_as_case(count));
  cases.push_back(add_scaled_case(3, 7));
  cases.push_back(add_row_case(3, 5, 7));
  return cases;
}

OP_CASES(elementwise_cases);

}  // namespace

}  // namespace stp::test

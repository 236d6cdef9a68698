#include "tests/op_case.h"

namespace stp::test {

namespace {

OpCase gelu_case(std::int64_t count, double spread) {
  OpCase c;
  c.name = fmt::format("gelu {} spread {}", count, spread);
  c.inputs = {input("x", {count}, normal_values(c.name, {count}, spread))};
  c.reference = [](const std::vector<Doubles>& in) {
    Doubles out;
    for (double x : in[0]) out.push_back(x * 0.5 * std::erfc(-x / std::sqrt(2.0)));
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) { return std::vector<Tensor>{gelu(tape, in[0])}; };
  return c;
}

std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> cases;
  for (std::int64_t count : {1, 15, 16, 17, 1000}) cases.push_back(gelu_case(count, 1));
  cases.push_back(gelu_case(333, 4));
  OpCase real = gelu_case(3136LL * 1536, 1);
  real.real = true;
  cases.push_back(real);
  return cases;
}

OP_CASES(elementwise_cases);

}  // namespace

}  // namespace stp::test

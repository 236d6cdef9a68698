#include "tests/op_case.h"

#include <algorithm>

#include "engine/rng.h"

namespace stp::test {

void round_to_bf16(std::vector<float>& values) {
  for (float& v : values) v = from_bf16(to_bf16(v));
}

bool has_activations(const OpCase& c) {
  return std::any_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& i) { return i.activation; });
}

OpCase in_bf16(OpCase c) {
  c.name += " bf16";
  c.storage = Element::bf16;
  for (CaseInput& i : c.inputs) round_to_bf16(i.values);
  // A result is rounded by 2^-9 of itself, and so are up to three steps on the way to it.
  constexpr double kRoundings = 1.0 / 128;
  c.tolerance = {kRoundings, kRoundings, 2 * kRoundings, 2 * kRoundings, "every step is rounded to bf16"};
  return c;
}

OpCase in_tf32(OpCase c) {
  c.name += " tf32";
  // Each operand of a product is rounded by 2^-11 of itself, so a product of values of order one errs by 2^-10
  // at most, and up to two products follow one another.
  constexpr double kRoundings = 1.0 / 512;
  Tolerance& t = c.tolerance;
  t.relative = std::max(t.relative, kRoundings);
  t.absolute = std::max(t.absolute, kRoundings);
  t.gradient_relative = std::max(t.gradient_relative, 2 * kRoundings);
  t.gradient_absolute = std::max(t.gradient_absolute, 2 * kRoundings);
  t.reason += "; operands are rounded to tf32";
  return c;
}

namespace {

std::vector<CaseList>& registrations() {
  static std::vector<CaseList> list;
  return list;
}

template <class Draw>
std::vector<float> values(const std::string& name, const Shape& shape, const Draw& draw) {
  Random random(2023, stream_id(name));
  std::vector<float> out(static_cast<std::size_t>(shape.elements()));
  for (float& value : out) value = static_cast<float>(draw(random));
  return out;
}

}  // namespace

CaseRegistration::CaseRegistration(CaseList cases) { registrations().push_back(cases); }

std::vector<OpCase> all_cases(Scale scale) {
  std::vector<OpCase> all;
  for (CaseList cases : registrations()) {
    for (OpCase& c : cases(scale)) all.push_back(std::move(c));
  }
  return all;
}

std::vector<float> normal_values(const std::string& name, const Shape& shape, double deviation, double mean) {
  return values(name, shape, [&](Random& r) { return mean + deviation * r.normal(); });
}

std::vector<float> uniform_values(const std::string& name, const Shape& shape, double low, double high) {
  return values(name, shape, [&](Random& r) { return r.uniform(low, high); });
}

std::vector<float> binary_values(const std::string& name, const Shape& shape, double probability) {
  return values(name, shape, [&](Random& r) { return r.chance(probability) ? 1.0 : 0.0; });
}

}  // namespace stp::test

// The harness must find planted faults: an op y = 2 x, broken in one way at a time.
#include <doctest/doctest.h>

#include <limits>

#include "tests/harness/verify.h"

using namespace stp;
using namespace stp::test;

namespace {

enum class Planted {
  none,
  wrong_value,       // one output off by a thousandth
  nan_value,         // one output not a number
  unset_value,       // the last output never written
  wrong_gradient,    // a factor of 1.01
  lost_gradient,     // the last element gets none
  overwrites,        // the second contribution replaces the first
  adds_to_unset,     // the first contribution is added to whatever lies there
  unwanted,          // contributes although nothing was wanted
  writes_outside,    // one element behind the output
  differs_each_time  // a counter leaks into the gradient
};

Tensor doubled(Tape* tape, const Tensor& x, Planted fault, const std::shared_ptr<int>& runs) {
  const auto n = static_cast<std::size_t>(x.elements());
  Tensor out(x.backend(), x.shape());
  const std::size_t written = fault == Planted::unset_value ? n - 1 : n;
  for (std::size_t i = 0; i < written; ++i) out.out().f32()[i] = 2 * x.f32()[i];
  if (fault == Planted::wrong_value) out.out().f32()[n / 2] += 1e-3f;
  if (fault == Planted::nan_value) out.out().f32()[n / 2] = std::numeric_limits<float>::quiet_NaN();
  if (fault == Planted::writes_outside) out.out().f32()[n] = 1;
  if (fault == Planted::unwanted && tape) x.set_wants_gradient(true);
  if (!records(tape, {x})) return out;
  tape->record({out}, [=] {
    const Grad dx = x.grad();
    const bool add = (dx.add && fault != Planted::overwrites) || fault == Planted::adds_to_unset;
    const float noise = fault == Planted::differs_each_time ? static_cast<float>(++*runs) * 1e-6f : 0.0f;
    const float slope = (fault == Planted::wrong_gradient ? 2.02f : 2.0f) + noise;
    for (std::size_t i = 0; i < n; ++i) {
      const bool lost = fault == Planted::lost_gradient && i + 1 == n;
      const float share = lost ? 0.0f : slope * out.gradient().f32()[i];
      dx.f32()[i] = add ? dx.f32()[i] + share : share;
    }
  });
  return out;
}

OpCase doubling(Planted fault) {
  OpCase c;
  c.name = "doubling";
  c.inputs = {input("x", {9}, normal_values("x", {9})), input("other", {9}, normal_values("other", {9}))};
  c.reference = [](const std::vector<Doubles>& in) {
    Doubles out = in[0];
    for (double& v : out) v *= 2;
    return std::vector<Doubles>{out};
  };
  const auto runs = std::make_shared<int>(0);
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{doubled(tape, in[0], fault, runs)};
  };
  return c;
}

// What the harness finds of a fault, over all its uses.
std::size_t findings(Planted fault) {
  const OpCase c = doubling(fault);
  std::size_t count = 0;
  const auto add = [&](const Differences& differences) { count += differences.size(); };
  const Backend watched(Device::cpu, {.guard = true, .poison = true});
  add(verify_forward(c, watched));
  add(verify_gradients(c, watched));
  add(verify_null_gradients(c, watched));
  add(verify_adding(c, watched));
  add(verify_repeat(c, watched));
  add(verify_guards(watched));
  return count;
}

}  // namespace

TEST_CASE("the harness finds nothing wrong with a right op") { CHECK(findings(Planted::none) == 0); }

TEST_CASE("the harness finds each planted fault") {
  CHECK(findings(Planted::wrong_value) > 0);
  CHECK(findings(Planted::nan_value) > 0);
  CHECK(findings(Planted::unset_value) > 0);
  CHECK(findings(Planted::wrong_gradient) > 0);
  CHECK(findings(Planted::lost_gradient) > 0);
  CHECK(findings(Planted::overwrites) > 0);
  CHECK(findings(Planted::adds_to_unset) > 0);
  CHECK(findings(Planted::unwanted) > 0);
  CHECK(findings(Planted::writes_outside) > 0);
  CHECK(findings(Planted::differs_each_time) > 0);
}

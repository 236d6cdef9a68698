// Every rung of the ladder in the place of the production kernel, on all cases that reach it. Linked to the
// checked build too, which sees what a right answer hides.
#include <doctest/doctest.h>

#include "kernels/simt/executor.h"
#include "tests/harness/verify.h"
#include "tests/simt/rungs.h"

namespace stp::test {
namespace {

using simt::Order;

Differences verify_rung(const Rung& rung, const OpCase& c) {
  const Backend backend(Device::simt, rung.table, {.guard = true, .poison = true});
  Differences all;
  for (const auto& verify : {verify_forward, verify_gradients, verify_adding})
    for (std::string& line : verify(c, backend)) all.push_back(std::move(line));
  for (std::string& line : verify_guards(backend)) all.push_back(std::move(line));
  return all;
}

// A rung that is wrong in one number.
void spoilt(const AttentionForward& a) {
  simt::ladder::attention_1_naive(a);
  a.out.f32()[0] += 0.01f;
}

}  // namespace

TEST_CASE("ladder: every rung computes what the production kernel does") {
  for (const Rung& rung : rungs()) {
    const std::vector<OpCase> cases = rung.cases();
    CHECK_MESSAGE(!cases.empty(), rung.name);
    for (const OpCase& c : cases)
      for (const std::string& line : verify_rung(rung, c)) FAIL_CHECK(rung.name, ": ", line);
  }
}

TEST_CASE("ladder: the same bits forwards, backwards and shuffled") {
  for (const Rung& rung : rungs()) {
    for (const OpCase& c : rung.cases()) {
      std::vector<std::vector<std::uint32_t>> first;
      for (const simt::Schedule& schedule : {simt::Schedule{Order::forward}, simt::Schedule{Order::reversed},
                                             simt::Schedule{Order::random, 3}}) {
        simt::settings().schedule = schedule;
        const auto bits = all_bits(c, Backend(Device::simt, rung.table));
        if (first.empty()) first = bits;
        CHECK_MESSAGE((bits == first), rung.name, ", ", c.name);
      }
    }
  }
  simt::settings() = {};
}

TEST_CASE("ladder: a wrong rung is found") {
  Rung rung = rungs().front();
  rung.table.attention_forward = spoilt;
  int found = 0;
  for (const OpCase& c : all_cases(Scale::small))
    if (c.name.starts_with("attention"))
      found += verify_forward(c, Backend(Device::simt, rung.table)).empty() ? 0 : 1;
  CHECK(found > 0);
}

}  // namespace stp::test

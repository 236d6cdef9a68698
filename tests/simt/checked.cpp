// Every op case, and every rung of the ladder, under the checked build: no race, nothing out of bounds, nothing
// read before it was written, no divergent barrier, no wrong alignment.
#include <doctest/doctest.h>

#include "kernels/simt/executor.h"
#include "tests/harness/verify.h"
#include "tests/simt/rungs.h"

namespace stp::test {

namespace {

void check_faultless(const OpCase& c, Math math) {
  const Backend backend(Device::simt);
  backend.multiply_in(math);
  for (const simt::Order order : {simt::Order::forward, simt::Order::random}) {
    simt::settings().schedule = {order, 7};
    all_bits(c, backend);
    for (const simt::Fault& fault : simt::take_faults()) FAIL_CHECK(c.name, ": ", simt::describe(fault));
  }
}

}  // namespace

TEST_CASE("simt, checked: no kernel does what it must not") {
  simt::settings().collect = true;
  for (const OpCase& c : all_cases(Scale::small)) {
    check_faultless(c, Math::exact);
    if (!has_activations(c)) continue;
    check_faultless(in_bf16(c), Math::exact);
    check_faultless(in_tf32(c), Math::tf32);
  }
  simt::settings() = {};
}

TEST_CASE("simt, checked: no rung of the ladder does what it must not") {
  simt::settings().collect = true;
  for (const Rung& rung : rungs()) {
    const Backend backend(Device::simt, rung.table);
    for (const OpCase& c : rung.cases()) {
      std::vector<Tensor> inputs;
      for (const CaseInput& i : c.inputs) inputs.push_back(Tensor::from(backend, i.shape, i.values));
      c.call(nullptr, inputs);
      for (const simt::Fault& fault : simt::take_faults())
        FAIL_CHECK(rung.name, ", ", c.name, ": ", simt::describe(fault));
    }
  }
  simt::settings() = {};
}

}  // namespace stp::test

// Every op case under the checked build: no race, nothing out of bounds, nothing read before it was written, no
// divergent barrier, no wrong alignment.
#include <doctest/doctest.h>

#include "kernels/simt/executor.h"
#include "tests/harness/verify.h"

namespace stp::test {

TEST_CASE("simt, checked: no kernel does what it must not") {
  simt::settings().collect = true;
  for (const OpCase& c : all_cases(Scale::small)) {
    for (const simt::Order order : {simt::Order::forward, simt::Order::random}) {
      simt::settings().schedule = {order, 7};
      all_bits(c, Backend(Device::simt));
      for (const simt::Fault& fault : simt::take_faults()) FAIL_CHECK(c.name, ": ", simt::describe(fault));
    }
  }
  simt::settings() = {};
}

}  // namespace stp::test

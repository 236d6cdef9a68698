// Every op case, through every use the harness knows. STP_OP=name runs only cases whose name begins so.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "tests/harness/verify.h"

using namespace stp;
using namespace stp::test;

namespace {

std::vector<OpCase> small_cases() {
  const char* only = std::getenv("STP_OP");
  std::vector<OpCase> cases;
  for (OpCase& c : all_cases(Scale::small)) {
    if (!only || c.name.starts_with(only)) cases.push_back(std::move(c));
  }
  return cases;
}

void report(const Differences& differences) {
  for (const std::string& line : differences) FAIL_CHECK(line);
}

constexpr MemoryOptions kWatched = {.guard = true, .poison = true};

}  // namespace

TEST_CASE("forward agrees with the double definition") {
  for (const OpCase& c : small_cases()) report(verify_forward(c, Backend(Device::cpu, kWatched)));
}

TEST_CASE("gradients agree with differences of the definition") {
  for (const OpCase& c : small_cases()) report(verify_gradients(c, Backend(Device::cpu, kWatched)));
}

TEST_CASE("a gradient that is not wanted is not computed and changes no other") {
  for (const OpCase& c : small_cases())
    report(verify_null_gradients(c, Backend(Device::cpu, kWatched)));
}

TEST_CASE("gradients add up") {
  for (const OpCase& c : small_cases()) report(verify_adding(c, Backend(Device::cpu, kWatched)));
}

TEST_CASE("the same inputs give the same bits") {
  for (const OpCase& c : small_cases()) report(verify_repeat(c, Backend(Device::cpu)));
}

TEST_CASE("nothing is written outside its buffer") {
  for (const OpCase& c : small_cases()) {
    const Backend backend(Device::cpu, kWatched);
    verify_adding(c, backend);
    INFO(c.name);
    report(verify_guards(backend));
  }
}

TEST_CASE("every kernel of the list is reached by a case") {
  if (std::getenv("STP_OP")) return;
  const Backend backend(Device::cpu);
  backend.profile(true);
  for (const OpCase& c : small_cases()) {
    verify_forward(c, backend);
    verify_adding(c, backend);
  }
  std::set<std::string_view> reached;
  for (const KernelUse& use : backend.profiled()) reached.insert(use.name);
#define KERNEL(name, Args) CHECK_MESSAGE(reached.contains(#name), #name " has no case");
#include "kernels/list.h"
#undef KERNEL
}

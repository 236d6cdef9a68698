// Every op case, through every use the harness knows, on every device that is here. STP_OP=name runs only cases
// whose name begins so, STP_DEVICE=name only one device.
#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "tests/harness/verify.h"

using namespace stp;
using namespace stp::test;

namespace {

bool asked_for(const char* variable, std::string_view name) {
  const char* only = std::getenv(variable);
  return !only || name.starts_with(only);
}

std::vector<OpCase> small_cases() {
  std::vector<OpCase> cases;
  for (OpCase& c : all_cases(Scale::small))
    if (asked_for("STP_OP", c.name)) cases.push_back(std::move(c));
  return cases;
}

std::vector<Device> devices() {
  std::vector<Device> found;
  for (Device device : {Device::cpu, Device::simt, Device::cuda})
    if (present(device) && asked_for("STP_DEVICE", name_of(device))) found.push_back(device);
  return found;
}

// The host looks at guard bands and poison itself, so the device must share its memory.
Backend watched(Device device) {
  const bool shared = device != Device::cuda;
  return Backend(device, {.guard = shared, .poison = shared});
}

// Calls verify(case, device) for all of both and reports what it returns.
template <class Verify>
void for_each_case(const Verify& verify) {
  const std::vector<OpCase> cases = small_cases();
  for (Device device : devices()) {
    for (const OpCase& c : cases)
      for (const std::string& line : verify(c, device)) FAIL_CHECK(name_of(device), ": ", line);
  }
}

}  // namespace

TEST_CASE("forward agrees with the double definition") {
  for_each_case([](const OpCase& c, Device d) { return verify_forward(c, watched(d)); });
}

TEST_CASE("gradients agree with differences of the definition") {
  for_each_case([](const OpCase& c, Device d) { return verify_gradients(c, watched(d)); });
}

TEST_CASE("a gradient that is not wanted is not computed and changes no other") {
  for_each_case([](const OpCase& c, Device d) { return verify_null_gradients(c, watched(d)); });
}

TEST_CASE("the same inputs give the same bits") {
  for_each_case([](const OpCase& c, Device d) { return verify_repeat(c, Backend(d)); });
}

TEST_CASE("gradients add up, and nothing is written outside its buffer") {
  for_each_case([](const OpCase& c, Device d) {
    const Backend backend = watched(d);
    Differences all = verify_adding(c, backend);
    for (std::string& line : verify_guards(backend)) all.push_back(std::move(line));
    return all;
  });
}

TEST_CASE("activations in bf16: forward, gradients, wanted or not, once or twice") {
  for_each_case([](const OpCase& c, Device d) {
    if (!has_activations(c)) return Differences();
    const OpCase rounded = in_bf16(c);
    const Backend backend = watched(d);
    Differences all;
    for (const auto& verify : {verify_forward, verify_gradients, verify_null_gradients, verify_adding})
      for (std::string& line : verify(rounded, backend)) all.push_back(std::move(line));
    for (std::string& line : verify_guards(backend)) all.push_back(std::move(line));
    return all;
  });
}

TEST_CASE("products in tf32: forward, gradients, wanted or not, once or twice, the same bits") {
  for_each_case([](const OpCase& c, Device d) {
    // The processor has no tf32 and multiplies exactly, as it did above.
    if (d == Device::cpu || !has_activations(c)) return Differences();
    const Backend backend = watched(d);
    backend.multiply_in(Math::tf32);
    Differences all;
    for (const auto& verify : {verify_forward, verify_gradients, verify_null_gradients, verify_adding})
      for (std::string& line : verify(in_tf32(c), backend)) all.push_back(std::move(line));
    for (std::string& line : verify_guards(backend)) all.push_back(std::move(line));
    for (std::string& line : verify_repeat(c, backend)) all.push_back(std::move(line));
    return all;
  });
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

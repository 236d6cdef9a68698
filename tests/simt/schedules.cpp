// Kernels of kernels/cuda under the executor: whatever order blocks and threads run in, the bits are the same.
#include <doctest/doctest.h>

#include <cstdlib>

#include "kernels/simt/executor.h"
#include "tests/harness/verify.h"

namespace stp::test {
namespace {

using simt::Order;
using simt::Schedule;

// The executor's settings until the end of a scope.
class Chosen {
 public:
  explicit Chosen(Schedule schedule) : before_(simt::settings()) { simt::settings().schedule = schedule; }
  ~Chosen() { simt::settings() = before_; }
  Chosen(const Chosen&) = delete;
  Chosen& operator=(const Chosen&) = delete;

 private:
  simt::Settings before_;
};

void check_same_bits(const OpCase& c, const std::vector<Schedule>& schedules, Math math = Math::exact) {
  std::vector<std::vector<std::uint32_t>> first;
  for (const Schedule& schedule : schedules) {
    const Chosen chosen(schedule);
    const Backend backend(Device::simt);
    backend.multiply_in(math);
    const auto bits = all_bits(c, backend);
    if (first.empty()) first = bits;
    CAPTURE(schedule.seed);
    CHECK_MESSAGE((bits == first), c.name);
  }
}

bool is_star(const std::string& name) {
  for (const char* star : {"attention", "clip_to_tubelets", "tubelets", "frames", "top_k"})
    if (name.starts_with(star)) return true;
  return false;
}

}  // namespace

TEST_CASE("simt: the same bits forwards, backwards and shuffled") {
  for (const OpCase& c : all_cases(Scale::small))
    check_same_bits(c, {{Order::forward}, {Order::reversed}, {Order::random, 1}});
}

TEST_CASE("simt: the same bits of the star kernels under 50 random schedules") {
  for (const OpCase& c : all_cases(Scale::small)) {
    if (!is_star(c.name)) continue;
    std::vector<Schedule> schedules;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) schedules.push_back({Order::random, seed});
    check_same_bits(c, schedules);
    if (!c.name.starts_with("attention")) continue;
    check_same_bits(in_bf16(c), schedules);
    check_same_bits(in_tf32(c), schedules, Math::tf32);
  }
}

}  // namespace stp::test

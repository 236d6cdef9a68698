// What a profile tells is what ran: table and trace from the same events, and nothing when none is taken.
#include "engine/profile.h"

#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/ops.h"
#include "tests/temporary.h"

namespace stp {
namespace {

StepProfile some_steps(const Backend& backend) {
  StepProfile profile = {.label = "some \"steps\"", .steps = {}, .events = {}};
  const Tensor x = Tensor::filled(backend, {64, 32}, 0.5f), weight = Tensor::filled(backend, {16, 32}, 0.25f);
  for (std::int64_t number = 7; number < 10; ++number) {
    profile_step(profile, backend, number, [&] {
      gelu(nullptr, linear(nullptr, x, weight, {}));
      backend.timed("wait for nothing", [] {});
    });
  }
  return profile;
}

TEST_CASE("profile: rows are the sums of what ran, the longest first") {
  const Backend backend(Device::cpu);
  const StepProfile profile = some_steps(backend);
  REQUIRE(profile.steps.size() == 3);
  CHECK(profile.steps.back().number == 9);
  const std::vector<ProfileRow> rows = profile_rows(profile);
  REQUIRE(rows.size() == 3);
  double sum = 0;
  for (const ProfileRow& row : rows) {
    CHECK(row.calls == 3);
    CHECK(row.kernel == (row.name != "wait for nothing"));
    CHECK(row.seconds <= rows.front().seconds);
    sum += row.seconds;
    if (row.name == "linear_forward") CHECK(row.cost.flops == 3 * 2.0 * 64 * 32 * 16);
  }
  CHECK(sum <= profile.seconds());
}

// Flops of attention over clips of three tokens, of which one is kept, and of one; (forward, backward).
std::pair<double, double> flops_of_attention(bool keep_learns) {
  const Backend backend(Device::cpu);
  const Tensor qkv = Tensor::filled(backend, {4, 3 * 4}, 0.5f);
  const Tensor keep = Tensor::from(backend, {4}, std::vector<float>{1, 0, 0, 1});
  const Packing packing = {Indices::from(backend, {3}, std::vector<int>{0, 3, 4}), 2, 3};
  qkv.set_wants_gradient(true);
  keep.set_wants_gradient(keep_learns);
  StepProfile profile = {.label = "attention", .steps = {}, .events = {}};
  profile_step(profile, backend, 0, [&] {
    Tape tape;
    const Tensor out = attention(&tape, qkv, keep, {.heads = 2}, packing);
    tape.backward({{squared_error(&tape, out, Tensor::filled(backend, {4, 4}, 0.0f))}});
  });
  std::map<std::string_view, double> flops;
  for (const ProfileRow& row : profile_rows(profile)) flops[row.name] = row.cost.flops;
  return {flops.at("attention_forward"), flops.at("attention_backward")};
}

// Pairs of tokens: 9 + 1; that weigh something: all with the kept key, and two dropped tokens with themselves,
// 3 + 2 + 1. A pair takes 2 x 4 flops in each product over it.
TEST_CASE("profile: attention is counted by the pairs that weigh something, where the host can see them") {
  const auto [forward, backward] = flops_of_attention(false);
  CHECK(forward == 8 * (10 + 6));
  CHECK(backward == 8 * 5 * 6);
  CHECK(flops_of_attention(true).second == 8 * (2 * 10 + 3 * 6));
}

TEST_CASE("profile: the trace is JSON, and its calls add up to the table's rows") {
  const Backend backend(Device::cpu);
  const StepProfile profile = some_steps(backend);
  const auto trace = nlohmann::json::parse(profile_trace({profile, {}, profile}));
  std::map<std::string, double> microseconds;
  std::map<std::string, int> phases;
  double flops = 0;
  for (const auto& event : trace.at("traceEvents")) {
    ++phases[event.at("ph")];
    if (event.at("ph") != "X" || event.at("tid") != 1) continue;
    CHECK(event.at("ts").get<double>() >= 0);
    microseconds[event.at("name")] += event.at("dur").get<double>();
    if (event.at("cat") == "kernel") flops += event.at("args").at("flops").get<double>();
  }
  CHECK(phases == std::map<std::string, int>{{"M", 3}, {"X", 24}});  // a track for each that has steps
  for (const ProfileRow& row : profile_rows(profile)) {
    CAPTURE(row.name);
    CHECK(microseconds.at(std::string(row.name)) == doctest::Approx(1e6 * row.seconds));
    flops -= row.cost.flops;
  }
  CHECK(flops == doctest::Approx(0));
  CHECK(microseconds.at("step 8") == doctest::Approx(1e6 * profile.steps[1].seconds));
}

TEST_CASE("profile: the table has a line for each row, for what none explains, and for the whole") {
  StepProfile profile = {.label = "made up", .steps = {{0, 0, 0.010}, {1, 0.010, 0.010}}, .events = {}};
  profile.events.push_back({"adamw", 0, 0.008, {4e9 * 0.002, 16e9 * 0.002, 0}});
  profile.events.push_back({"wait", 0.010, 0.004, {}, false});
  const std::string table = profile_table(profile, {.bytes = 8e9, .flops = 100e9});
  CHECK(contains(table, "made up: 2 steps of 10.00 ms"));
  CHECK(contains(
      table, "| adamw                         |    0.5 |      4.00 |  40.0 % |     1.0 |    4.0 |  50.0 % |"));
  CHECK(contains(
      table, "| wait                          |    0.5 |      2.00 |  20.0 % |         |        |         |"));
  CHECK(contains(table, "| outside all of these          |        |      4.00 |  40.0 % |"));
  CHECK(contains(
      table, "| whole step                    |        |     10.00 | 100.0 % |     0.4 |    1.6 |   0.4 % |"));
  CHECK(profile_table({.label = "nothing", .steps = {}, .events = {}}) == "nothing: no step\n");
}

TEST_CASE("profile: nothing is kept while none is taken, and each begins anew") {
  const Backend backend(Device::cpu);
  const Tensor x = Tensor::filled(backend, {8}, 1);
  gelu(nullptr, x);
  CHECK(backend.profile_events().empty());
  backend.profile(true);
  gelu(nullptr, x);
  backend.profile(false);
  gelu(nullptr, x);
  CHECK(backend.profile_events().size() == 1);
  backend.profile(true);
  CHECK(backend.profile_events().empty());
  backend.profile(false);
}

}  // namespace
}  // namespace stp

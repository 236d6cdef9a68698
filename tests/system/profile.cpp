// train --profile: a table for each stage, a trace of all, and a run like any other.
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "tests/system/workplace.h"

namespace stp {
namespace {

// Milliseconds a step of the row of a table that begins after `from`.
double milliseconds(const std::string& text, const std::string& row, std::size_t from) {
  const std::size_t line = text.find("| " + row, from);
  REQUIRE(line != std::string::npos);
  const std::size_t calls = text.find('|', line + 1), value = text.find('|', calls + 1);
  return std::stod(text.substr(value + 1));
}

TEST_CASE("train --profile: tables and trace say the same") {
  const test::Workplace place;
  const test::Ended ended = place.begin("profiled", {"--profile=4", "--phase", "init"});
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  REQUIRE(contains(ended.results, "init: 3 steps of "));
  const auto trace = nlohmann::json::parse(content(place / "profiled" / "profile.json"));
  double kernels = 0, waits = 0;
  std::vector<std::string> steps;
  for (const auto& event : trace.at("traceEvents")) {
    const std::string category = event.value("cat", "");
    if (category == "step") steps.push_back(event.at("name"));
    if (category == "kernel") kernels += event.at("dur").get<double>();
    if (event.at("name") == "wait for the loader") waits += event.at("dur").get<double>();
  }
  CHECK(steps == std::vector<std::string>{"step 4", "step 5", "step 6"});
  CHECK(kernels > 0);
  // The table is rounded to 0.01 ms.
  CHECK(std::abs(milliseconds(ended.results, "all kernels", 0) - kernels / 3e3) <= 0.0051);
  CHECK(std::abs(milliseconds(ended.results, "wait for the loader", 0) - waits / 3e3) <= 0.0051);

  // The other stages go on from there, each with a table and a track of its own; without a number two steps
  // pass.
  const test::Ended more = place.train("profiled", {"--resume", "--profile"});
  INFO(more.messages);
  REQUIRE(more.code == 0);
  for (const char* stage : {"adversarial: 3 steps", "evaluate raw: 3 steps", "evaluate stprivacy: 3 steps"})
    CHECK(contains(more.results, stage));
  CHECK(contains(content(place / "profiled" / "profile.json"), "\"step 2\""));
}

TEST_CASE("train --profile changes nothing of the run but its clocks") {
  const test::Workplace place;
  REQUIRE(place.begin("plain", {"--phase", "init"}).code == 0);
  REQUIRE(place.begin("profiled", {"--phase", "init", "--profile=1"}).code == 0);
  auto wanted = place.files("plain"), found = place.files("profiled");
  CHECK(found.erase("profile.json") == 1);
  CHECK((found == wanted));
  const test::Ended none = place.begin("none", {"--profile=0"});
  CHECK(none.code == 2);
  CHECK(contains(none.messages, "--profile wants at least one step before it"));
}

}  // namespace
}  // namespace stp

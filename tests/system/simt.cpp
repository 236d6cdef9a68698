// Training on the device `simt`: the CUDA kernels, by the executor, through all three phases.
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/system/workplace.h"

namespace stp {
namespace {

using test::Workplace;
using Json = nlohmann::json;

std::vector<Json> log_of(const Workplace& place, const std::string& run) {
  std::istringstream lines(content(place / run / "log.jsonl"));
  std::vector<Json> log;
  for (std::string line; std::getline(lines, line);) log.push_back(Json::parse(line));
  return log;
}

// Thirty steps of AdamW, which divides by the gradient's size, make much of roundings: 1e-7 becomes 1e-3.
bool close(double x, double y) { return std::abs(x - y) <= 2e-3 + 2e-2 * std::abs(x); }

// What is measured in the end are steps, not losses: where two of the ten clips score alike, that rounding
// turns their order, and an average precision jumps by some points.
bool near(const Json& a, const Json& b) { return std::abs(a.get<double>() - b.get<double>()) <= 10; }

// Every value that both logs hold: losses, counts and names, and the metrics of the results.
void check_close(const Json& a, const Json& b) {
  CAPTURE(a.dump());
  CAPTURE(b.dump());
  REQUIRE(a.size() == b.size());
  for (const auto& [key, value] : a.items()) {
    CAPTURE(key);
    REQUIRE(b.contains(key));
    if (key == "cmap") {
      REQUIRE(value.size() == b[key].size());
      for (std::size_t i = 0; i < value.size(); ++i) CHECK(near(value[i], b[key][i]));
    } else if (key == "top1") {
      CHECK(near(value, b[key]));
    } else if (value.is_number_float()) {
      CHECK(close(value, b[key]));
    } else {
      CHECK(value == b[key]);
    }
  }
}

TEST_CASE("train --device simt: all phases, with the losses of cpu") {
  const Workplace place;
  REQUIRE(place.begin("on_cpu", {"--device", "cpu"}).code == 0);
  const test::Ended ended = place.begin("on_simt", {"--device", "simt"});
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  const std::vector<Json> cpu = log_of(place, "on_cpu"), simt = log_of(place, "on_simt");
  REQUIRE(cpu.size() == simt.size());
  REQUIRE(cpu.size() > 90);
  for (std::size_t i = 0; i < cpu.size(); ++i) check_close(cpu[i], simt[i]);
}

}  // namespace
}  // namespace stp

#include <doctest/doctest.h>

#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/log.h"
#include "engine/rng.h"
#include "tests/engine/faults.h"
#include "tests/temporary.h"

namespace stp {
namespace {

constexpr int kSteps = 20, kBetweenCheckpoints = 5;

// One training step's lines: a function of the step, and a clock.
void log_step(RunLog& log, int step) {
  Random random(1, stream_id("step", {static_cast<std::uint64_t>(step)}));
  log.event("step",
            {{"step", step}, {"loss", random.normal()}, {"rates", std::vector<double>{random.uniform(), 0.5}}});
  log.timing("step", {{"step", step}, {"seconds", random.uniform()}});
}

TEST_CASE("log line: keys in their order, values of every type") {
  CHECK(log_line("start", {}) == R"({"event":"start"})");
  CHECK(log_line("step", {{"step", 3}, {"loss", 0.1}, {"rate", 0.1f}, {"ok", true}, {"name", "a\"b\n"}}) ==
        R"({"event":"step","step":3,"loss":0.1,"rate":0.1,"ok":true,"name":"a\"b\u000a"})");
  CHECK(
      log_line("e", {{"whole", 2.0}, {"list", std::vector<double>{1, 2.5}}, {"none", std::vector<double>{}}}) ==
      R"({"event":"e","whole":2.0,"list":[1.0,2.5],"none":[]})");
  CHECK(log_line("e", {{"a", std::nan("")}, {"b", -HUGE_VAL}, {"c", HUGE_VALF}}) ==
        R"({"event":"e","a":"nan","b":"-inf","c":"inf"})");
  CHECK(contains(log_line("e", {{"size", std::size_t{7}}, {"text", std::string("x")}}),
                 R"("size":7,"text":"x")"));
  CHECK(contains(error_of([] { log_line("e", {{"a", 1}, {"a", 2}}); }), "event 'e' has the key 'a' twice"));
  CHECK(contains(error_of([] { log_line("e", {{"event", 1}}); }), "has the key 'event' twice"));
  const auto parsed = nlohmann::json::parse(log_line("e", {{"\x1b[2J\xFF", "\x1b[2J\xFF"}}));
  CHECK(parsed.size() == 2);
}

TEST_CASE("log: numbers read back to the same bits") {
  Random random(1, stream_id("log numbers"));
  for (int i = 0; i < 1000; ++i) {
    const double x = random.normal() * std::pow(10.0, random.uniform(-300, 300));
    CHECK(nlohmann::json::parse(log_line("e", {{"x", x}}))["x"].get<double>() == x);
  }
}

TEST_CASE("log: a new run does not write over another") {
  const TemporaryFolder folder;
  { RunLog(folder.path()).event("start", {}); }
  CHECK(contains(error_of([&] { RunLog(folder.path()).event("start", {}); }),
                 "holds the log of a run: resume it"));
  CHECK(content(folder / "log.jsonl") == "{\"event\":\"start\"}\n");
}

// The law: wherever the run stopped, its log ends up the same.
TEST_CASE("log: a resumed run has the bytes of one that was never interrupted") {
  const TemporaryFolder whole;
  {
    RunLog log(whole.path());
    for (int step = 0; step < kSteps; ++step) log_step(log, step);
  }
  for (int stop = 0; stop < kSteps; ++stop) {
    for (const char* torn : {"", "{\"event\":\"st", "{\"event\":\"step\",\"step\":99}\n"}) {
      const TemporaryFolder folder;
      LogPosition saved;
      int next = 0;
      {
        RunLog log(folder.path());
        for (int step = 0; step < stop; ++step) {
          log_step(log, step);
          if ((step + 1) % kBetweenCheckpoints != 0) continue;
          saved = log.checkpoint();
          next = step + 1;
        }
      }
      put(folder / "log.jsonl", content(folder / "log.jsonl") + torn);
      RunLog log(folder.path(), saved);
      for (int step = next; step < kSteps; ++step) log_step(log, step);
      CHECK(content(folder / "log.jsonl") == content(whole / "log.jsonl"));
    }
  }
}

TEST_CASE("log: another log than the checkpoint's is refused, and not touched") {
  const TemporaryFolder folder;
  LogPosition saved;
  {
    RunLog log(folder.path());
    for (int step = 0; step < 3; ++step) log_step(log, step);
    saved = log.checkpoint();
  }
  const std::string whole = content(folder / "log.jsonl");
  const auto message = [&] { return error_of([&] { const RunLog log(folder.path(), saved); }); };
  CHECK(message().empty());
  std::string changed = whole;
  changed[10] = 'x';
  put(folder / "log.jsonl", changed);
  CHECK(contains(message(),
                 "is not the log it was when the checkpoint was taken: restore it, or begin a new run"));
  CHECK(content(folder / "log.jsonl") == changed);
  put(folder / "log.jsonl", whole.substr(0, whole.find('\n') + 1));
  CHECK(contains(message(), "it had " + std::to_string(whole.size()) + " when the checkpoint was taken"));
  std::filesystem::remove(folder / "log.jsonl");
  CHECK(contains(message(), "has 0 bytes"));
}

TEST_CASE("log: a full disk is an error at the line that does not fit, and the log stays whole") {
  const TemporaryFolder folder;
  RunLog log(folder.path());
  log_step(log, 0);
  const std::string before = content(folder / "log.jsonl");
  {
    const faults::Armed armed({.call = "write", .error = ENOSPC});
    CHECK(contains(error_of([&] { log_step(log, 1); }), "log.jsonl: write: No space left on device"));
  }
  CHECK(content(folder / "log.jsonl") == before);
  log_step(log, 1);
  const LogPosition position = log.checkpoint();
  CHECK(error_of([&] { const RunLog again(folder.path(), position); }).empty());
}

}  // namespace
}  // namespace stp

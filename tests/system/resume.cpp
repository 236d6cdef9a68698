// Training as a user runs it: the same seed gives the same bytes, and a run that was stopped or killed, however
// often, ends with the same bytes as one that never was. Compared are all files of the run but the clocks.
#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <thread>

#include "engine/file.h"
#include "engine/progress.h"
#include "engine/rng.h"
#include "tests/system/workplace.h"

namespace stp {
namespace {

namespace fs = std::filesystem;
using test::Ended;
using test::running;
using test::Workplace;

// A folder with clips and a run that nothing disturbed, made once.
struct Undisturbed {
  Workplace place;
  double seconds = 0;
  std::map<std::string, std::string> files;

  static const Undisturbed& get() {
    static const Undisturbed undisturbed;
    return undisturbed;
  }

 private:
  Undisturbed() {
    const double start = steady_seconds();
    const Ended ended = place.begin("whole");
    INFO(ended.messages);
    REQUIRE(ended.code == 0);
    seconds = steady_seconds() - start;
    files = place.files("whole");
    for (const char* name : {"anonymiser.safetensors", "checkpoints/latest.safetensors",
                             "checkpoints/previous.safetensors", "log.jsonl", "results.json"})
      REQUIRE_FALSE(files[name].empty());
  }
};

void check_same(const std::map<std::string, std::string>& files) {
  const auto& wanted = Undisturbed::get().files;
  for (const auto& [name, bytes] : wanted) {
    CAPTURE(name);
    REQUIRE(files.contains(name));
    CHECK((files.at(name) == bytes));  // in parentheses: not to be printed
  }
  CHECK(files.size() == wanted.size());
}

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Waits for the `count`-th change in a folder (a file linked, renamed, removed), from its making on. False if
// the process ended before.
bool wait_for_change(pid_t child, const fs::path& folder, int count) {
  const Descriptor watch(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  REQUIRE(watch.open());
  constexpr std::uint32_t kChanges = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO;
  while (inotify_add_watch(watch.get(), folder.c_str(), kChanges) < 0) {
    if (!running(child)) return false;
    sleep_for(0.0005);
  }
  alignas(inotify_event) std::array<char, 4096> buffer{};
  for (int seen = 0; running(child);) {
    pollfd ready = {watch.get(), POLLIN, 0};
    if (poll(&ready, 1, 50) != 1) continue;
    const ssize_t bytes = read(watch.get(), buffer.data(), buffer.size());
    for (ssize_t at = 0; at < bytes; at += static_cast<ssize_t>(sizeof(inotify_event))) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += event->len;
      if (++seen == count) return true;
    }
  }
  return false;
}

// Waits until the log of a run has a line that contains all of `words`.
void wait_for_log(pid_t child, const fs::path& run, const std::string& words) {
  while (running(child) && !contains(content(run / "log.jsonl"), words)) sleep_for(0.002);
}

// The stage of the last line of a log.
std::string last_stage(const std::string& log) {
  constexpr std::string_view kKey = "\"stage\":\"";
  const std::size_t last = log.rfind(kKey);
  if (last == std::string::npos) return "before the first step";
  const std::size_t begin = last + kKey.size();
  return log.substr(begin, log.find('"', begin) - begin);
}

TEST_CASE("train: the same seed gives the same bytes, another seed gives others") {
  const Undisturbed& whole = Undisturbed::get();
  REQUIRE(whole.place.begin("again").code == 0);
  check_same(whole.place.files("again"));
  REQUIRE(whole.place.begin("other", {"--set", "seed=2"}).code == 0);
  const auto other = whole.place.files("other");
  for (const char* name : {"anonymiser.safetensors", "checkpoints/previous.safetensors", "log.jsonl"})
    CHECK((other.at(name) != whole.files.at(name)));
}

TEST_CASE("train: killed at 20 random instants and resumed it ends with the same bytes") {
  const Undisturbed& whole = Undisturbed::get();
  Random random(5, stream_id("kills"));
  std::map<std::string, int> stages;  // in which a kill fell
  int kills = 0;
  for (int run = 0; kills < 20; ++run) {
    REQUIRE(run < 20);
    const std::string name = "killed" + std::to_string(run);
    const auto strike = [&](pid_t child) {
      sleep_for(whole.seconds * random.uniform(0.02, 0.3));
      kill(child, SIGKILL);
    };
    Ended ended = whole.place.begin(name, {}, strike);
    while (ended.code == 128 + SIGKILL) {
      ++kills;
      ++stages[last_stage(content(whole.place / name / "log.jsonl"))];
      // Killed before there was anything to resume: begin again.
      const bool begun = fs::exists(whole.place / name / "config.toml");
      ended = begun ? whole.place.resume(name, strike) : whole.place.begin(name, {}, strike);
    }
    INFO(ended.messages);
    REQUIRE(ended.code == 0);
    check_same(whole.place.files(name));
  }
  for (const auto& [stage, times] : stages) MESSAGE(stage, ": ", times);
  CHECK(stages.size() >= 3);
}

// A save renames the old checkpoint and links the new one: a kill right after each of these, of every save in
// turn.
TEST_CASE("train: killed in the middle of saving and resumed it ends with the same bytes") {
  const Undisturbed& whole = Undisturbed::get();
  const std::string name = "saving";
  int kills = 0, change = 0;
  const auto strike = [&](pid_t child) {
    ++change;
    if (wait_for_change(child, whole.place / name / "checkpoints", change % 4 + 1)) kill(child, SIGKILL);
  };
  Ended ended = whole.place.begin(name, {}, strike);
  for (; ended.code == 128 + SIGKILL; ++kills) {
    REQUIRE(kills < 200);
    ended = whole.place.resume(name, strike);
  }
  MESSAGE(kills, " kills");
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  CHECK(kills >= 10);
  check_same(whole.place.files(name));
}

TEST_CASE("train: SIGTERM and SIGINT save, say how to go on, and cost nothing") {
  const Undisturbed& whole = Undisturbed::get();
  const std::map<int, std::string> when = {{SIGTERM, "\"stage\":\"adversarial\",\"step\":11,"},
                                           {SIGINT, "\"stage\":\"evaluate stprivacy\",\"step\":4,"}};
  for (const auto& [signal, words] : when) {
    const std::string name = "stopped" + std::to_string(signal);
    const Ended ended = whole.place.begin(name, {}, [&, number = signal, line = words](pid_t child) {
      wait_for_log(child, whole.place / name, line);
      kill(child, number);
    });
    CHECK(ended.code == 128 + signal);
    CHECK(contains(ended.messages, "stprivacy train --run " + name + " --resume"));
    const Ended resumed = whole.place.resume(name);
    INFO(resumed.messages);
    CHECK(resumed.code == 0);
    check_same(whole.place.files(name));
  }
}

TEST_CASE("train: phase by phase gives the same bytes") {
  const Undisturbed& whole = Undisturbed::get();
  REQUIRE(whole.place.begin("phases", {"--phase", "init"}).code == 0);
  for (const char* phase : {"adversarial", "evaluate"})
    REQUIRE(whole.place.train("phases", {"--resume", "--phase", phase}).code == 0);
  check_same(whole.place.files("phases"));
}

TEST_CASE("train: in bf16, killed at a few instants and resumed, the same bytes; others than in fp32") {
  const Undisturbed& whole = Undisturbed::get();
  const std::vector<std::string> bf16 = {"--set", "train.precision=bf16"};
  REQUIRE(whole.place.begin("bf16", bf16).code == 0);
  const auto files = whole.place.files("bf16");
  CHECK((files.at("anonymiser.safetensors") != whole.files.at("anonymiser.safetensors")));
  Random random(6, stream_id("kills"));
  const auto strike = [&](pid_t child) {
    sleep_for(whole.seconds * random.uniform(0.2, 0.4));
    kill(child, SIGKILL);
  };
  Ended ended = whole.place.begin("bf16_killed", bf16, strike);
  while (ended.code == 128 + SIGKILL) ended = whole.place.resume("bf16_killed", strike);
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  const auto killed = whole.place.files("bf16_killed");
  REQUIRE(killed.size() == files.size());
  for (const auto& [name, bytes] : files) CHECK_MESSAGE((killed.at(name) == bytes), name);
}

TEST_CASE("train: a resumed run refuses clips and labels that changed meanwhile") {
  const Workplace place;
  REQUIRE(place.begin("run", {"--phase", "init"}).code == 0);
  const fs::path labels = place / "runs/data/tiny/labels.csv";
  std::string text = content(labels);
  const std::size_t digit = text.find_last_of("01");
  text[digit] = text[digit] == '0' ? '1' : '0';
  put(labels, text);
  const Ended ended = place.resume("run");
  CHECK(ended.code == 2);
  CHECK(contains(ended.messages, "labels are others than when the run began"));
}

}  // namespace
}  // namespace stp

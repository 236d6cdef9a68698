#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "engine/checkpoint.h"
#include "engine/rng.h"
#include "tests/engine/faults.h"
#include "tests/temporary.h"

namespace stp {
namespace {

constexpr std::size_t kValues = 20000;

// The state of a step: a function of the step alone, so that any mixture of two shows.
void save_step(CheckpointFolder& checkpoints, std::int64_t step) {
  std::vector<float> values(kValues);
  for (std::size_t i = 0; i < kValues; ++i)
    values[i] = static_cast<float>(step) + static_cast<float>(i) / kValues;
  checkpoints.save({.tensors = {{"weights", {kValues}, values}, {"moments", {2, kValues / 2}, values}},
                    .counters = {{"step", step}}});
}

// The step of what a new process finds; -1 if there is nothing. Fails the test unless it is one step's state.
std::int64_t found_step(const std::filesystem::path& folder) {
  const auto loaded = CheckpointFolder(folder).load();
  if (!loaded) return -1;
  const std::int64_t step = loaded->checkpoint.counter("step");
  std::vector<float> values(kValues);
  loaded->checkpoint.read("weights", std::vector<std::int64_t>{kValues}, values);
  CHECK(values.front() == static_cast<float>(step));
  return step;
}

TEST_CASE("checkpoint folder: empty, one, two") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder / "run/checkpoints");
  CHECK(!checkpoints.load());
  save_step(checkpoints, 1);
  CHECK(!std::filesystem::exists(checkpoints.previous()));
  save_step(checkpoints, 2);
  save_step(checkpoints, 3);
  CHECK(checkpoints.load()->notice.empty());
  CHECK(found_step(folder / "run/checkpoints") == 3);
  CHECK(Checkpoint(checkpoints.previous()).counter("step") == 2);
}

TEST_CASE("checkpoint folder: the previous one steps in, with a notice") {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(folder.path());
  save_step(checkpoints, 1);
  save_step(checkpoints, 2);
  std::string damaged = content(checkpoints.latest());
  damaged[damaged.size() / 2] ^= 1;
  put(checkpoints.latest(), damaged);
  CHECK(found_step(folder.path()) == 1);
  CHECK(contains(CheckpointFolder(folder.path()).load()->notice,
                 "is damaged: tensor 'weights' does not agree with its digest; going on from "));
  std::filesystem::remove(checkpoints.latest());
  CHECK(found_step(folder.path()) == 1);
  CHECK(
      contains(CheckpointFolder(folder.path()).load()->notice, "latest.safetensors is missing; going on from"));

  put(checkpoints.latest(), damaged);
  put(checkpoints.previous(), "");
  CHECK(contains(error_of([&] { (void)CheckpointFolder(folder.path()).load(); }),
                 "bytes are too few for a safetensors file: start again"));
  std::filesystem::remove(checkpoints.previous());
  CHECK(contains(error_of([&] { (void)CheckpointFolder(folder.path()).load(); }),
                 "and there is no previous.safetensors: start again, or copy a checkpoint there"));
}

TEST_CASE("checkpoint folder: a damaged latest is not rotated over a good previous") {
  const TemporaryFolder folder;
  CheckpointFolder writer(folder.path());
  save_step(writer, 1);
  save_step(writer, 2);
  put(writer.latest(), "damaged");
  CheckpointFolder resumed(folder.path());
  REQUIRE(resumed.load()->checkpoint.counter("step") == 1);
  save_step(resumed, 2);
  CHECK(Checkpoint(resumed.previous()).counter("step") == 1);
  // The same for a process that saves without loading.
  put(writer.latest(), "damaged");
  CheckpointFolder blind(folder.path());
  save_step(blind, 3);
  CHECK(Checkpoint(blind.previous()).counter("step") == 1);
  CHECK(found_step(folder.path()) == 3);
}

TEST_CASE("checkpoint folder: any call of a save that fails leaves a checkpoint") {
  int failures = 0;
  bool reached = true;
  for (int nth = 1; reached; ++nth) {
    const TemporaryFolder folder;
    CheckpointFolder checkpoints(folder.path());
    save_step(checkpoints, 1);
    save_step(checkpoints, 2);
    std::string message;
    {
      const faults::Armed armed({.nth = nth, .error = nth % 2 ? ENOSPC : EIO, .lasting = nth % 3 == 0});
      message = error_of([&] { save_step(checkpoints, 3); });
      reached = static_cast<int>(armed.calls().size()) >= nth;
    }
    CAPTURE(nth);
    failures += message.empty() ? 0 : 1;
    const std::int64_t step = found_step(folder.path());
    CHECK((step == 2 || step == 3));
    if (message.empty())
      CHECK(step == 3);
    else
      CHECK(contains(message, checkpoints.latest().string()));
  }
  CHECK(failures >= 8);
}

TEST_CASE("checkpoint folder: killed after any call of a save, one loads") {
  bool killed = true;
  int nth = 1;
  for (; killed; ++nth) {
    const TemporaryFolder folder;
    CheckpointFolder checkpoints(folder.path());
    save_step(checkpoints, 1);
    save_step(checkpoints, 2);
    killed = faults::run_until_killed(nth, [&] { save_step(checkpoints, 3); });
    const std::int64_t step = found_step(folder.path());
    CHECK((step == 2 || step == 3));
  }
  CHECK(nth > 10);
}

TEST_CASE("checkpoint folder: after a loss of power at any call of a save, one loads") {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    bool lost = true;
    for (int nth = 1; lost; ++nth) {
      const TemporaryFolder folder;
      CheckpointFolder checkpoints(folder.path());
      save_step(checkpoints, 1);
      save_step(checkpoints, 2);
      lost = faults::run_until_power_loss(nth, seed, [&] { save_step(checkpoints, 3); });
      const std::int64_t step = found_step(folder.path());
      CHECK((step == 2 || step == 3));
    }
  }
}

// A process that saves without pause and says after each save which step is safe, killed at a random instant.
TEST_CASE("checkpoint folder: killed at a random instant, the last safe step or the next one loads") {
  Random random(1, stream_id("kill"));
  for (int round = 0; round < 60; ++round) {
    const TemporaryFolder folder;
    std::array<int, 2> pipes{};
    REQUIRE(pipe(pipes.data()) == 0);
    const pid_t child = fork();
    if (child == 0) {
      CheckpointFolder checkpoints(folder.path());
      for (std::int64_t saved = 0;; ++saved) {
        save_step(checkpoints, saved);
        if (write(pipes[1], &saved, sizeof saved) != sizeof saved) _exit(1);
      }
    }
    close(pipes[1]);
    std::int64_t safe = -1, step = 0;
    CHECK(read(pipes[0], &safe, sizeof safe) == sizeof safe);  // it works: from here on any instant will do
    usleep(static_cast<useconds_t>(random.below(30000)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(pipes[0], &step, sizeof step) == sizeof step) safe = step;
    close(pipes[0]);
    const std::int64_t found = found_step(folder.path());
    CHECK((found == safe || found == safe + 1));
  }
}

}  // namespace
}  // namespace stp

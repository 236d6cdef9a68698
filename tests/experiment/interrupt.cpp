#include "tools/experiment/interrupt.h"

#include <doctest/doctest.h>
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "engine/ops.h"
#include "engine/rng.h"

namespace stp {
namespace {

// Products over so many rows that oneDNN works on a stack of its own, with traffic on the heap in between,
// until a signal is heard; then as often again.
void multiply_until_interrupted() {
  constexpr int kRows = 3456, kWidth = 96, kCallsAfter = 20;
  omp_set_num_threads(1);
  const Backend backend(Device::cpu);
  const Tensor x = Tensor::filled(backend, {kRows, kWidth}, 1),
               dout = Tensor::filled(backend, {kRows, kWidth}, 1),
               dweight = Tensor::zeros(backend, {kWidth, kWidth});
  for (int left = kCallsAfter; left > 0; left -= interrupted_by() != 0 ? 1 : 0) {
    backend.run(&KernelTable::linear_backward, {.x = x.in(),
                                                .weight = {},
                                                .dout = dout.in(),
                                                .dx = {},
                                                .dweight = {dweight.out().data, Element::f32, false},
                                                .dbias = {},
                                                .rows = kRows,
                                                .I = kWidth,
                                                .O = kWidth});
    std::vector<std::vector<char>> traffic;
    for (std::size_t bytes = 64; bytes < 400'000; bytes *= 2) traffic.emplace_back(bytes, 'x');
  }
}

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Runs `work` in a process of its own that watches for signals; `meanwhile` gets its id, once it does. Returns
// its exit code, or 128 + the signal that killed it.
template <class Work, class Meanwhile>
int in_child(const Work& work, const Meanwhile& meanwhile) {
  int watching[2];
  REQUIRE(pipe(watching) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    watch_interrupts();
    close(watching[0]);
    close(watching[1]);
    work();
    _exit(interrupted_by());
  }
  close(watching[1]);
  char nothing = 0;
  REQUIRE(read(watching[0], &nothing, 1) == 0);  // ends when the child has closed its end too
  close(watching[0]);
  meanwhile(child);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_CASE("interrupt: a signal in the middle of a matrix product harms nothing") {
  Random random(3, stream_id("interrupts"));
  for (int trial = 0; trial < 30; ++trial) {
    CAPTURE(trial);
    CHECK(in_child(multiply_until_interrupted, [&](pid_t child) {
            sleep_for(random.uniform(0.1, 0.15));
            kill(child, SIGTERM);
          }) == SIGTERM);
  }
}

TEST_CASE("interrupt: a repeat at once is the same wish, a later one kills") {
  const auto wait = [] { sleep_for(20); };
  CHECK(in_child(
            [] {
              while (interrupted_by() == 0) sleep_for(0.01);
              sleep_for(0.3);
            },
            [](pid_t child) {
              sleep_for(0.2);
              for (int i = 0; i < 10; ++i) {
                kill(child, SIGTERM);
                sleep_for(0.005);
              }
            }) == SIGTERM);
  CHECK(in_child(wait, [](pid_t child) {
          sleep_for(0.2);
          kill(child, SIGTERM);
          sleep_for(1.2);
          kill(child, SIGINT);
        }) == 128 + SIGINT);
}

}  // namespace
}  // namespace stp

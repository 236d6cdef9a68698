// No thread that computes may run a signal handler: oneDNN's generated matrix products move their stack pointer
// into a workspace on the heap, and a handler's frame would be written over whatever lies in front of it. So
// the signals are blocked everywhere, and a thread of their own, which does nothing else, waits for them.
#include "tools/experiment/interrupt.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

namespace stp {

namespace {

using Clock = std::chrono::steady_clock;

// The thread outlives every object that could own this.
std::atomic<int> received{0};

sigset_t stops() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

int wait_for(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) continue;
  return signal;
}

void listen() {
  const sigset_t signals = stops();
  received.store(wait_for(signals));
  const Clock::time_point first = Clock::now();
  int signal = wait_for(signals);
  while (Clock::now() - first < std::chrono::seconds(1)) signal = wait_for(signals);
  std::signal(signal, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  std::raise(signal);
}

}  // namespace

void watch_interrupts() {
  const sigset_t signals = stops();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // threads inherit it
  std::thread(listen).detach();                   // it waits as long as the process lives
}

int interrupted_by() { return received.load(); }

}  // namespace stp

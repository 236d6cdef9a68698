#include "tools/experiment/interrupt.h"

#include <atomic>
#include <csignal>

namespace stp {

namespace {

// A signal handler can reach nothing but a global.
std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void remember(int signal) {
  received.store(signal);
  std::signal(signal, SIG_DFL);
}

}  // namespace

void watch_interrupts() {
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

int interrupted_by() { return received.load(); }

}  // namespace stp

// Ctrl-C and SIGTERM: the first asks for a stop at the next step, where the run saves itself; a second one
// kills.
#pragma once

namespace stp {

// From here on the first SIGINT or SIGTERM is remembered instead of killing. A repeat within a second counts as
// the same wish: `timeout`, for one, tells the process and then its whole group. Call it from main, once,
// before there are other threads.
void watch_interrupts();
// The signal that asked for a stop, 0 if none did.
int interrupted_by();

}  // namespace stp

// Ctrl-C and SIGTERM: the first asks for a stop at the next step, where the run saves itself; the second kills.
#pragma once

namespace stp {

// From here on the first SIGINT or SIGTERM is remembered instead of killing.
void watch_interrupts();
// The signal that asked for a stop, 0 if none did.
int interrupted_by();

}  // namespace stp

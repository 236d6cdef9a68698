// How time and memory of an adversarial step grow with tokens, clips and blocks, and what a second thread
// brings.
#pragma once

#include "kernels/element.h"

namespace stp::bench {

// Two Markdown tables on standard output, on the processor; takes minutes at full size.
void print_growth(Element storage);

}  // namespace stp::bench

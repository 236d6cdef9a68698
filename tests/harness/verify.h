// What the harness derives from a case. Each function returns the differences it found, one line each; none is
// good. Returning instead of asserting lets the harness itself be tested: a planted fault must yield a line.
#pragma once

#include <string>
#include <vector>

#include "tests/op_case.h"

namespace stp::test {

using Differences = std::vector<std::string>;

// Outputs against the double definition.
Differences verify_forward(const OpCase& c, const Backend& backend);
// Every wanted gradient against central differences of the definition, in a random direction of the outputs.
Differences verify_gradients(const OpCase& c, const Backend& backend);
// Each differentiable input alone: its gradient keeps its bits, the others stay null.
Differences verify_null_gradients(const OpCase& c, const Backend& backend);
// A second backward adds as much as the first wrote.
Differences verify_adding(const OpCase& c, const Backend& backend);
// Nothing is written outside a buffer; call with a backend that guards and poisons its memory.
Differences verify_guards(const Backend& backend);
// Two runs give the same bits.
Differences verify_repeat(const OpCase& c, const Backend& backend);

// All outputs and all gradients of a case as bits, to be compared with another run's.
std::vector<std::vector<std::uint32_t>> all_bits(const OpCase& c, const Backend& backend);

}  // namespace stp::test

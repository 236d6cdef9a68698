// What to tell someone whose command line could not be read.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace stp {

// One line with the cure: what was not understood, the nearest command or option there is, and where the help
// is.
std::string usage_message(const CLI::App& program, const CLI::ParseError& error);

}  // namespace stp

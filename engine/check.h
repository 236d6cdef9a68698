// Errors of floor two and above: one exception type, one clear line, and the exit code it stands for.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace stp {

// What went wrong decides the exit code of the program: usage -> 2 (unknown key, missing file, bad value),
// failure -> 1 (something broke while running).
enum class Fault { usage, failure };

// The message is one line: what, where, and the cure. Programs catch it in main and print it as it is.
class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& message) : std::runtime_error(message), fault_(fault) {}
  Fault fault() const { return fault_; }
  int exit_code() const { return fault_ == Fault::usage ? 2 : 1; }

 private:
  Fault fault_;
};

// Wrong use: throws with exit code 2.
template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(Fault::usage, fmt::format(text, std::forward<Args>(args)...));
}

// A failure while running: throws with exit code 1.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(Fault::failure, fmt::format(text, std::forward<Args>(args)...));
}

// The check at an op's door: states actual and wanted, e.g. check(ok, "attention: qkv is {}, wanted (B, N,
// 3E)", s).
template <class... Args>
void check(bool ok, fmt::format_string<Args...> text, Args&&... args) {
  if (!ok) refuse(text, std::forward<Args>(args)...);
}

}  // namespace stp

// What a program says to its user. Results go to standard output and nothing else does; everything said on the
// way goes to standard error. Whatever is said may hold names from anywhere: control characters are made
// visible (engine/text.h), so that only this file ever sends one, and only to a terminal.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace stp {

enum class Verbosity { quiet, normal, verbose };  // -q, neither, -v

// What the place where messages go can show.
struct ConsoleStyle {
  bool interactive = false;  // a terminal: a line may be drawn over
  bool colour = false;
  int width = 80;  // columns
};

// Of a file descriptor: a terminal unless TERM is "dumb"; colours unless NO_COLOR holds something
// (no-color.org).
ConsoleStyle style_of(int descriptor);

// Safe to use from several threads: a message comes out whole.
class Console {
 public:
  explicit Console(Verbosity verbosity, int results = 1, int messages = 2);
  Console(Verbosity verbosity, int results, int messages, const ConsoleStyle& style);

  // To standard output, always. Throws Error (failure) if it cannot be written: a result that is lost is an
  // error.
  void result(std::string_view text);

  void error(std::string_view text);    // always
  void warning(std::string_view text);  // always
  void note(std::string_view text);     // unless quiet
  void detail(std::string_view text);   // verbose

  // The line below all messages that is drawn over again and again; empty: none. Only where interactive()
  // holds.
  void live(std::string_view text);
  // Unless quiet, and on a terminal.
  bool interactive() const { return style_.interactive && verbosity_ != Verbosity::quiet; }

 private:
  void say(std::string_view label, std::string_view colour, std::string_view text);
  void send(const std::string& text) const;  // to standard error; a failure there has no one to be told

  Verbosity verbosity_;
  int results_, messages_;
  ConsoleStyle style_;
  std::mutex mutex_;
  std::string live_;
};

}  // namespace stp

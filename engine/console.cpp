#include "engine/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <span>

#include "engine/check.h"
#include "engine/durable.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr std::string_view kRed = "\x1b[31m", kYellow = "\x1b[33m", kPlain = "\x1b[0m";
constexpr std::string_view kEraseLine = "\r\x1b[K";

bool holds_something(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// Each line made printable; ends with a line end.
std::string printable_lines(std::string_view text) {
  std::string lines;
  while (true) {
    const std::size_t end = text.find('\n');
    lines += printable(text.substr(0, end)) + "\n";
    if (end == std::string_view::npos || end + 1 == text.size()) return lines;
    text.remove_prefix(end + 1);
  }
}

// The first `columns` characters; well-formed UTF-8 stays so.
std::string_view clipped(std::string_view text, int columns) {
  std::size_t end = 0;
  while (end < text.size() && columns > 0) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) ++end;
    --columns;
  }
  return text.substr(0, end);
}

}  // namespace

ConsoleStyle style_of(int descriptor) {
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
  ConsoleStyle style;
  style.interactive = isatty(descriptor) == 1 && !dumb;
  style.colour = style.interactive && !holds_something("NO_COLOR");
  winsize size{};
  if (style.interactive && ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    style.width = size.ws_col;
  return style;
}

Console::Console(Verbosity verbosity, int results, int messages)
    : Console(verbosity, results, messages, style_of(messages)) {}

Console::Console(Verbosity verbosity, int results, int messages, const ConsoleStyle& style)
    : verbosity_(verbosity), results_(results), messages_(messages), style_(style) {}

void Console::result(std::string_view text) {
  const std::scoped_lock lock(mutex_);
  const std::string lines = printable_lines(text);
  if (!live_.empty()) send(std::string(kEraseLine));
  write_all(results_, std::as_bytes(std::span(lines)), "the results on standard output");
  if (!live_.empty()) send(live_);
}

void Console::error(std::string_view text) { say("error: ", kRed, text); }

void Console::warning(std::string_view text) { say("warning: ", kYellow, text); }

void Console::note(std::string_view text) {
  if (verbosity_ != Verbosity::quiet) say("", "", text);
}

void Console::detail(std::string_view text) {
  if (verbosity_ == Verbosity::verbose) say("", "", text);
}

void Console::say(std::string_view label, std::string_view colour, std::string_view text) {
  const std::scoped_lock lock(mutex_);
  std::string message = live_.empty() ? std::string() : std::string(kEraseLine);
  const bool coloured = style_.colour && !colour.empty();
  message += coloured ? fmt::format("{}{}{}", colour, label, kPlain) : std::string(label);
  message += printable_lines(text);
  send(message + live_);
}

void Console::live(std::string_view text) {
  if (!interactive()) return;
  const std::scoped_lock lock(mutex_);
  // One column stays free: a full line would wrap on some terminals.
  live_ = clipped(printable(text), style_.width - 1);
  send(std::string(kEraseLine) + live_);
}

void Console::send(const std::string& text) const {
  try {
    write_all(messages_, std::as_bytes(std::span(text)), "messages");
  } catch (const Error&) {
    return;
  }
}

}  // namespace stp

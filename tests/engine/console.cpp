#include "engine/console.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <thread>

#include "engine/progress.h"
#include "tests/temporary.h"

namespace stp {
namespace {

constexpr ConsoleStyle kPlain{}, kTerminal{.interactive = true, .colour = true, .width = 60};

// A console whose two streams are files that can be looked at.
class Captured {
 public:
  explicit Captured(Verbosity verbosity, const ConsoleStyle& style)
      : results_(open("results")),
        messages_(open("messages")),
        console(verbosity, results_, messages_, style) {}
  ~Captured() {
    close(results_);
    close(messages_);
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

  std::string results() const { return content(folder_ / "results"); }
  std::string messages() const { return content(folder_ / "messages"); }

 private:
  int open(const char* name) {
    return ::open((folder_ / name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }

  TemporaryFolder folder_;
  int results_, messages_;

 public:
  Console console;
};

bool has_control(std::string_view text) {
  for (const char c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f) return true;
  return false;
}

void say_everything(Console& console) {
  console.result("a result");
  console.error("an error");
  console.warning("a warning");
  console.note("a note");
  console.detail("a detail");
}

TEST_CASE("console: results to one stream, messages to the other, by verbosity") {
  const auto messages = [](Verbosity verbosity) {
    Captured captured(verbosity, kPlain);
    say_everything(captured.console);
    CHECK(captured.results() == "a result\n");
    return captured.messages();
  };
  CHECK(messages(Verbosity::quiet) == "error: an error\nwarning: a warning\n");
  CHECK(messages(Verbosity::normal) == "error: an error\nwarning: a warning\na note\n");
  CHECK(messages(Verbosity::verbose) == "error: an error\nwarning: a warning\na note\na detail\n");
}

TEST_CASE("console: hostile names do nothing, anywhere") {
  const std::string hostile =
      "clip\x1b]0;owned\x07\r\x1b[2K\xC2\x9B"
      "1m\u202E.mp4";
  for (const ConsoleStyle& style : {kPlain, ConsoleStyle{.interactive = true}}) {
    Captured captured(Verbosity::verbose, style);
    captured.console.result(hostile);
    captured.console.error(hostile);
    captured.console.note("first\nsecond " + hostile);
    CHECK(!has_control(captured.results()));
    CHECK(!has_control(captured.messages()));
    CHECK(contains(captured.messages(),
                   "first\nsecond clip\\x1b]0;owned\\x07\\x0d\\x1b[2K\\u{009b}1m\\u{202e}.mp4\n"));
  }
}

TEST_CASE("console: colour on a terminal only, and a message does not disturb the live line") {
  Captured captured(Verbosity::normal, kTerminal);
  captured.console.live("10%");
  captured.console.warning("careful");
  captured.console.live("");
  CHECK(captured.messages() ==
        "\r\x1b[K10%"
        "\r\x1b[K\x1b[33mwarning: \x1b[0mcareful\n10%"
        "\r\x1b[K");
  Captured plain(Verbosity::normal, kPlain);
  plain.console.live("10%");
  plain.console.warning("careful");
  CHECK(plain.messages() == "warning: careful\n");
  Captured quiet(Verbosity::quiet, kTerminal);
  quiet.console.live("10%");
  CHECK(quiet.messages().empty());
}

TEST_CASE("console: the live line is cut at the width, between characters") {
  Captured captured(Verbosity::normal, {.interactive = true, .width = 5});
  captured.console.live("äöü世界x");
  CHECK(captured.messages() == "\r\x1b[Käöü世");
}

TEST_CASE("console: a result that cannot be written is an error, a message is not") {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  Console console(Verbosity::normal, full, full, kPlain);
  CHECK(contains(error_of([&] { console.result("x"); }),
                 "cannot write the results on standard output: write: No space"));
  CHECK(error_of([&] { console.note("x"); }).empty());
  close(full);
}

TEST_CASE("console: lines of several threads come out whole") {
  Captured captured(Verbosity::normal, kPlain);
  std::array<std::thread, 4> threads;
  for (std::thread& thread : threads)
    thread = std::thread([&] {
      for (int k = 0; k < 200; ++k) captured.console.note(std::string(50, 'x'));
    });
  for (std::thread& thread : threads) thread.join();
  std::string wanted;
  for (int i = 0; i < 800; ++i) wanted += std::string(50, 'x') + "\n";
  CHECK(captured.messages() == wanted);
}

TEST_CASE("console: what a stream can show") {
  const int pseudo = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(pseudo >= 0);
  REQUIRE(grantpt(pseudo) == 0);
  REQUIRE(unlockpt(pseudo) == 0);
  std::array<char, 64> name{};
  REQUIRE(ptsname_r(pseudo, name.data(), name.size()) == 0);
  const int terminal = open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
  REQUIRE(terminal >= 0);
  const int file = open("/dev/null", O_WRONLY | O_CLOEXEC);
  const auto with = [&](const char* term, const char* no_color) {
    setenv("TERM", term, 1);
    no_color == nullptr ? unsetenv("NO_COLOR") : setenv("NO_COLOR", no_color, 1);
    return style_of(terminal);
  };
  CHECK((with("xterm", nullptr).interactive && style_of(terminal).colour));
  CHECK(style_of(terminal).width > 0);
  CHECK((with("xterm", "1").interactive && !style_of(terminal).colour));
  CHECK((with("xterm", "").interactive && style_of(terminal).colour));
  CHECK((!with("dumb", nullptr).interactive && !style_of(terminal).colour));
  with("xterm", nullptr);
  CHECK((!style_of(file).interactive && !style_of(file).colour));
  close(file);
  close(terminal);
  close(pseudo);
}

TEST_CASE("progress: durations and rates as people read them") {
  CHECK(duration_text(0) == "0:00");
  CHECK(duration_text(59.9) == "0:59");
  CHECK(duration_text(3599) == "59:59");
  CHECK(duration_text(3600) == "1:00:00");
  CHECK(duration_text(100 * 3600.0 + 61) == "100:01:01");
  for (const double odd : {-1.0, 1e18, HUGE_VAL, std::nan("")}) CHECK(duration_text(odd) == "?");
  CHECK(rate_text(12.34, "step") == "12.3 steps/s");
  CHECK(rate_text(0.25, "clip") == "4.0 s/clip");
  for (const double odd : {0.0, -1.0, HUGE_VAL, std::nan("")}) CHECK(rate_text(odd, "step") == "? steps/s");
}

TEST_CASE("progress: plain lines now and then, never a control character") {
  double now = 100;
  Captured captured(Verbosity::normal, kPlain);
  {
    Progress progress(captured.console, "init", 1000, "step", 0, [&] { return now; });
    for (int done = 1; done <= 1000; ++done) {
      now += 0.0625;
      progress.advance(done, "loss 1.5");
    }
    progress.finish("loss 1.5");
  }
  const std::string text = captured.messages();
  CHECK(text.starts_with("init 160/1000 16% 16.0 steps/s, 0:52 left, loss 1.5\n"));
  CHECK(text.ends_with("init: 1000 steps in 1:02, 16.0 steps/s, loss 1.5\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') <= 7);
  CHECK(!has_control(text));
}

TEST_CASE("progress: a bar on a terminal, drawn over, gone at the end") {
  double now = 0;
  Captured captured(Verbosity::normal, {.interactive = true, .width = 100});
  {
    Progress progress(captured.console, "evaluate", 40, "clip", 20, [&] { return now; });
    now = 0.05;
    progress.advance(21);
    CHECK(captured.messages().empty());
    now = 2;
    progress.advance(24);
    CHECK(captured.messages() == "\r\x1b[Kevaluate [############........] 24/40 60% 2.0 clips/s, 0:08 left");
    progress.finish();
  }
  CHECK(captured.messages().ends_with("\r\x1b[Kevaluate: 24 clips in 0:02, 2.0 clips/s\n\r\x1b[K"));
}

TEST_CASE("progress: the rate follows the last half minute, an unknown total has no end") {
  double now = 0;
  Captured captured(Verbosity::normal, kPlain);
  Progress progress(captured.console, "copy", 0, "file", 0, [&] { return now; });
  std::int64_t done = 0;
  for (int second = 1; second <= 200; ++second) {
    now = second;
    progress.advance(done += second <= 100 ? 100 : 1);
  }
  CHECK(captured.messages().ends_with("copy 10100 files, 1.0 files/s\n"));
}

TEST_CASE("progress: quiet says nothing") {
  double now = 0;
  Captured captured(Verbosity::quiet, kTerminal);
  Progress progress(captured.console, "init", 2, "step", 0, [&] { return now += 100; });
  progress.advance(1);
  progress.finish();
  CHECK(captured.messages().empty());
}

}  // namespace
}  // namespace stp

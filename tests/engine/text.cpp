#include "engine/text.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/rng.h"

namespace stp {
namespace {

std::string encoded(std::uint32_t c) {
  const auto byte = [](std::uint32_t x) { return static_cast<char>(x); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 | c >> 6), byte(0x80 | (c & 63))};
  if (c < 0x10000) return {byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
  return {byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 63)), byte(0x80 | (c >> 6 & 63)), byte(0x80 | (c & 63))};
}

TEST_CASE("utf-8: every code point but the surrogates") {
  for (std::uint32_t c = 0; c <= 0x10FFFF; ++c) {
    const bool surrogate = c >= 0xD800 && c < 0xE000;
    if (valid_utf8(encoded(c)) == surrogate) FAIL(c);
  }
  CHECK(!valid_utf8(encoded(0x110000)));
}

TEST_CASE("shell: a word is quoted where a shell would read more into it") {
  CHECK(shell_word("runs/g1") == "runs/g1");
  CHECK(shell_word("train.batch=8") == "train.batch=8");
  CHECK(shell_word("") == "''");
  CHECK(shell_word("my run") == "'my run'");
  CHECK(shell_word("~/x") == "'~/x'");
  CHECK(shell_word("$(id)") == "'$(id)'");
  CHECK(shell_word("it's") == "'it'\\''s'");
}

TEST_CASE("utf-8: overlong, cut and stray bytes are no text") {
  for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x80\x80",
                          "\xE0\x9F\xBF", "\xE2\x82", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "ok\xFF"})
    CHECK(!valid_utf8(bad));
  CHECK(valid_utf8("Grüße, 世界 \U0001F600"));
}

TEST_CASE("printable: nothing that steers a terminal comes through") {
  CHECK(printable("plain Grüße 世界.mp4") == "plain Grüße 世界.mp4");
  CHECK(printable("a\x1b[2Jb\nc\td\x7f") == "a\\x1b[2Jb\\x0ac\\x09d\\x7f");
  CHECK(printable("\xC2\x9B"
                  "31m") == "\\u{009b}31m");                  // C1: a control sequence in one character
  CHECK(printable("a\u202Egpj.exe") == "a\\u{202e}gpj.exe");  // right-to-left override
  CHECK(printable("line\u2028end") == "line\\u{2028}end");
  CHECK(printable("bad \xFF\xC3(") == "bad \\xff\\xc3(");
  CHECK(printable(std::string_view("\0x", 2)) == "\\x00x");
  Random random(1, stream_id("printable"));
  for (int i = 0; i < 2000; ++i) {
    std::string noise(random.below(20), '\0');
    for (char& c : noise) c = static_cast<char>(random.below(256));
    const std::string safe = printable(noise);
    CHECK(valid_utf8(safe));
    CHECK(printable(safe) == safe);
    for (const char c : safe) CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
  }
}

TEST_CASE("json string: valid for any bytes, and text comes back") {
  Random random(1, stream_id("json string"));
  for (int i = 0; i < 2000; ++i) {
    std::string noise(random.below(20), '\0');
    for (char& c : noise) c = static_cast<char>(random.below(256));
    const auto parsed = nlohmann::json::parse(json_string(noise)).get<std::string>();
    if (valid_utf8(noise)) CHECK(parsed == noise);
  }
  for (std::uint32_t c = 0; c < 0x3000; ++c)
    if (nlohmann::json::parse(json_string(encoded(c))).get<std::string>() != encoded(c)) FAIL(c);
  CHECK(json_string("a\"\\\n\x1b\xFF") == R"("a\"\\\u000a\u001b\\xff")");
}

TEST_CASE("shortest: reads back to the same bits") {
  CHECK(shortest(1.0) == "1.0");
  CHECK(shortest(-0.0) == "-0.0");
  CHECK(shortest(0.1) == "0.1");
  CHECK(shortest(0.1f) == "0.1");
  CHECK(shortest(1e300) == "1e+300");
  CHECK(shortest(std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(shortest(-std::numeric_limits<double>::infinity()) == "-inf");
  Random random(1, stream_id("shortest"));
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t high = random.bits();
    const auto x = std::bit_cast<double>(high << 32 | random.bits());
    const auto y = std::bit_cast<float>(random.bits());
    if (std::isfinite(x))
      CHECK(std::bit_cast<std::uint64_t>(std::strtod(shortest(x).c_str(), nullptr)) ==
            std::bit_cast<std::uint64_t>(x));
    if (std::isfinite(y))
      CHECK(std::bit_cast<std::uint32_t>(std::strtof(shortest(y).c_str(), nullptr)) ==
            std::bit_cast<std::uint32_t>(y));
  }
}

TEST_CASE("nearest names: slips of the pen, swapped letters, the last part alone") {
  const std::vector<std::string> known{"train.init.steps", "train.init.rate", "train.adversarial.steps",
                                       "model.depth", "data.folder"};
  const auto best = [&](std::string_view name) {
    const auto names = nearest_names(name, known);
    return names.empty() ? std::string("none") : names.front();
  };
  CHECK(best("train.init.stesp") == "train.init.steps");
  CHECK(best("train.int.rate") == "train.init.rate");
  CHECK(best("model.dept") == "model.depth");
  CHECK(best("depth") == "model.depth");
  CHECK(nearest_names("steps", known) ==
        std::vector<std::string>{"train.init.steps", "train.adversarial.steps"});
  CHECK(nearest_names("steps", known, 1).size() == 1);
  CHECK(best("banana") == "none");
  CHECK(best("") == "none");
  CHECK(best(std::string(1 << 20, 'x')) == "none");
}

}  // namespace
}  // namespace stp

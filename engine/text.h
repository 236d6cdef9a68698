// Text that may come from anywhere (file names, labels, configuration keys), made safe to show on a terminal,
// to put into JSON, and to compare with the names we know. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stp {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // 0: no well-formed sequence
};
// The code point at the beginning of a text that is not empty, in strict UTF-8 (Unicode table 3-7): no overlong
// forms, no surrogates, nothing above U+10FFFF.
CodePoint first_code_point(std::string_view text);
bool valid_utf8(std::string_view text);

// The text with everything that could steer a terminal made visible: control characters (C0, DEL, C1), the line
// and paragraph separators and the bidirectional overrides as \xNN or \u{NNNN}, bytes that are not UTF-8 as
// \xNN.
std::string printable(std::string_view text);

// A JSON string with its quotes. Valid JSON for any input; bytes that are not UTF-8 become the visible text
// \xNN.
std::string json_string(std::string_view text);

// One word of a shell's command line: as it is where it needs no quotes, else in single quotes.
std::string shell_word(std::string_view text);

// The shortest decimal that reads back to the same bits, always with a point or an exponent; "nan", "inf",
// "-inf" for the rest, which neither JSON nor a TOML recipe of ours may contain unquoted.
std::string shortest(double value);
std::string shortest(float value);

// The known names that `name` was probably meant to be, best first, at most `count`; empty if none is near.
// Names are dotted paths; a name whose last part alone matches is near as well.
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& known,
                                       std::size_t count = 3);

}  // namespace stp

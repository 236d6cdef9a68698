// TOML text as a flat list of keys and plain values with their lines: the only place that knows the TOML
// library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace stp {

using ConfigScalar = std::variant<bool, std::int64_t, double, std::string>;

// A scalar, a list of scalars, or something no option takes (a table, a date, a list in a list), named for the
// message.
struct ConfigValue {
  std::vector<ConfigScalar> items;
  bool list = false, is_empty_table = false;
  std::string other;
};

struct ConfigEntry {
  std::string key;  // dotted path
  ConfigValue value;
  std::size_t line = 0;
};

struct ConfigText {
  std::vector<ConfigEntry> entries;
  std::vector<std::string> problems;  // "source:line: what": the text is no TOML, or nests too deep
};

inline constexpr std::size_t kMaxConfigBytes = 1 << 20;

ConfigText parse_config(std::string_view text, std::string_view source);

std::string toml_string(std::string_view text);    // quoted; the text must be UTF-8
std::string toml_text(const ConfigScalar& value);  // reads back to the same value
std::string toml_text(const ConfigValue& value);

}  // namespace stp

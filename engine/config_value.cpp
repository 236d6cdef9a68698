#include "engine/config_value.h"

#include <fmt/format.h>

#include <toml++/toml.h>

#include "engine/text.h"

namespace stp {
namespace {

// The TOML library recurses over nested tables, and dotted keys nest without its own limit, so that a long line
// of dots would exhaust the stack. Recipes need 3 levels.
constexpr int kMaxDots = 16, kMaxBrackets = 16;

// Walks over TOML text, skipping comments and strings, and finds the line where a key has too many parts or
// values nest too deep; 0 if there is none. Text that is no TOML is left to the parser, which stops at its
// first error: up to there both read it alike.
class NestingScan {
 public:
  explicit NestingScan(std::string_view text) : text_(text) {}

  std::size_t run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
        continue;
      }
      if (!count(c)) return line_;
      ++at_;
    }
    return 0;
  }

 private:
  bool count(char c) {
    if (c == '\n') ++line_;
    if (c == '.') return ++dots_ <= kMaxDots;
    if (c == '[' || c == '{') ++brackets_;
    if (c == ']' || c == '}') --brackets_;
    if (std::string_view("[]{},=\n").find(c) != std::string_view::npos) dots_ = 0;
    return brackets_ <= kMaxBrackets;
  }

  bool here(std::string_view token) const { return text_.substr(at_, token.size()) == token; }

  void skip_string(char quote) {
    const std::string triple(3, quote);
    const bool many_lines = here(triple);
    const std::string_view end = many_lines ? std::string_view(triple) : std::string_view(triple).substr(0, 1);
    at_ += end.size();
    while (at_ < text_.size() && !here(end)) {
      if (text_[at_] == '\n') {
        if (!many_lines) return;
        ++line_;
      }
      const bool escape =
          quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n';
      at_ += escape ? 2 : 1;
    }
    at_ += end.size();
    // Up to two quotes may stand before the end of a long string; they belong to it.
    while (many_lines && at_ < text_.size() && text_[at_] == quote) ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0, line_ = 1;
  int dots_ = 0, brackets_ = 0;
};

std::string type_of(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  return "a date or time";
}

// Appends a scalar to the value, or notes what else it is.
void append(ConfigValue& value, const toml::node& node) {
  if (const auto* flag = node.as_boolean())
    value.items.emplace_back(flag->get());
  else if (const auto* integer = node.as_integer())
    value.items.emplace_back(integer->get());
  else if (const auto* number = node.as_floating_point())
    value.items.emplace_back(number->get());
  else if (const auto* text = node.as_string())
    value.items.emplace_back(text->get());
  else
    value.other = value.list ? "a list that holds " + type_of(node) : type_of(node);
}

void flatten(const toml::table& table, const std::string& prefix, std::string_view source, ConfigText& out) {
  for (const auto& [name, node] : table) {
    const std::size_t line = node.source().begin.line;
    if (name.str().empty() || name.str().find('.') != std::string_view::npos) {
      out.problems.push_back(fmt::format("{}:{}: '{}' cannot be part of a key; write keys without quotes",
                                         source, line, printable(name.str())));
      continue;
    }
    const std::string key = prefix + std::string(name.str());
    const toml::table* inner = node.as_table();
    if (inner != nullptr && !inner->empty()) {
      flatten(*inner, key + ".", source, out);
      continue;
    }
    ConfigEntry entry{key, {}, line};
    entry.value.is_empty_table = inner != nullptr;
    if (const toml::array* list = node.as_array()) {
      entry.value.list = true;
      for (const toml::node& item : *list) append(entry.value, item);
    } else {
      append(entry.value, node);
    }
    out.entries.push_back(std::move(entry));
  }
}

}  // namespace

ConfigText parse_config(std::string_view text, std::string_view source) {
  ConfigText out;
  if (text.size() > kMaxConfigBytes) {
    out.problems.push_back(
        fmt::format("{}: {} bytes, at most {} allowed", source, text.size(), kMaxConfigBytes));
    return out;
  }
  if (const std::size_t line = NestingScan(text).run(); line != 0) {
    out.problems.push_back(fmt::format("{}:{}: keys or values nest deeper than any option", source, line));
    return out;
  }
  try {
    flatten(toml::parse(text), "", source, out);
  } catch (const toml::parse_error& error) {
    out.problems.push_back(
        fmt::format("{}:{}: {}", source, error.source().begin.line, printable(error.description())));
  }
  return out;
}

std::string toml_string(std::string_view text) { return json_string(text); }  // JSON's escapes are TOML's too

std::string toml_text(const ConfigScalar& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *integer);
  if (const double* number = std::get_if<double>(&value)) return shortest(*number);
  return toml_string(std::get<std::string>(value));
}

std::string toml_text(const ConfigValue& value) {
  if (!value.other.empty()) return value.other;
  if (!value.list) return toml_text(value.items.front());
  std::vector<std::string> items;
  for (const ConfigScalar& item : value.items) items.push_back(toml_text(item));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

}  // namespace stp

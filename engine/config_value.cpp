#include "engine/config_value.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>

#include "engine/text.h"

namespace stp {
namespace {

// The TOML library recurses over nested tables, and dotted keys nest without its own limit, so that a long line
// of dots would exhaust the stack. Recipes need 3 levels.
constexpr int kMaxDots = 16, kMaxBrackets = 16;

// Copies TOML text for the library, without what it does not survive: keys of too many parts, values that nest
// too deep, and characters outside ASCII (its search for exotic blanks has undefined behaviour for most
// letters, toml++ 3.3). In double quotes these become \u escapes of the same value, in comments they do not
// matter, elsewhere they are refused. Text that is no TOML is left to the parser: up to its first error both
// read it alike.
class Sieve {
 public:
  explicit Sieve(std::string_view text) : text_(text) {}

  // What is wrong, in line(); empty if nothing is, and ascii() is the text to parse.
  std::string_view run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'')
        copy_string(c);
      else if (c == '#')
        copy_comment();
      else
        copy_plain(c);
      if (!problem_.empty()) return problem_;
    }
    return {};
  }

  std::size_t line() const { return line_; }
  const std::string& ascii() const { return ascii_; }

 private:
  bool here(std::string_view token) const { return text_.substr(at_, token.size()) == token; }

  void copy(std::size_t bytes) {
    const std::string_view part = text_.substr(at_, bytes);
    line_ += static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
    ascii_ += part;
    at_ += part.size();
  }

  void copy_plain(char c) {
    const bool plain = (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t';
    dots_ += c == '.' ? 1 : 0;
    brackets_ += c == '[' || c == '{' ? 1 : 0;
    brackets_ -= c == ']' || c == '}' ? 1 : 0;
    if (std::string_view("[]{},=\n").find(c) != std::string_view::npos) dots_ = 0;
    if (!plain) problem_ = "a character that needs double quotes";
    if (dots_ > kMaxDots || brackets_ > kMaxBrackets) problem_ = "keys or values nest deeper than any option";
    if (problem_.empty()) copy(1);
  }

  void copy_comment() {
    for (; at_ < text_.size() && text_[at_] != '\n'; ++at_) ascii_ += is_ascii(text_[at_]) ? text_[at_] : '?';
  }

  void copy_string(char quote) {
    const std::string triple(3, quote);
    const bool many_lines = here(triple);
    const std::string_view end = std::string_view(triple).substr(0, many_lines ? 3 : 1);
    copy(end.size());
    while (problem_.empty() && at_ < text_.size() && !here(end)) {
      if (text_[at_] == '\n' && !many_lines) return;
      const char c = text_[at_], next = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
      const bool escape = c == '\\' && quote == '"';
      if (escape && !is_ascii(next)) problem_ = "a backslash that escapes nothing";
      if (is_ascii(c))
        copy(escape ? 2 : 1);
      else
        copy_foreign(quote);
    }
    copy(end.size());
    // Up to two quotes may stand before the end of a long string; they belong to it.
    while (many_lines && at_ < text_.size() && text_[at_] == quote) copy(1);
  }

  // A character outside ASCII in a string, as an escape.
  void copy_foreign(char quote) {
    const CodePoint point = first_code_point(text_.substr(at_));
    if (point.bytes == 0)
      problem_ = "bytes that are not UTF-8";
    else if (quote == '\'')
      problem_ = "a character that needs double quotes";
    ascii_ += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(point.value));
    at_ += point.bytes;
  }

  static bool is_ascii(char c) { return (static_cast<unsigned char>(c) & 0x80u) == 0; }

  std::string_view text_, problem_;
  std::string ascii_;
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
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Sieve sieve(text);
  if (const std::string_view problem = sieve.run(); !problem.empty()) {
    out.problems.push_back(fmt::format("{}:{}: {}", source, sieve.line(), problem));
    return out;
  }
  try {
    flatten(toml::parse(sieve.ascii()), "", source, out);
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

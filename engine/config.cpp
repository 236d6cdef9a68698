#include "engine/config.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"
#include "engine/file.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr std::size_t kShownBytes = 80;  // of a key or a flag in a message

bool good_key(std::string_view key) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  const bool parts = key.find("..") == std::string_view::npos && !key.starts_with('.') && !key.ends_with('.');
  return !key.empty() && parts && std::all_of(key.begin(), key.end(), good);
}

std::string_view origin_text(Origin origin) {
  switch (origin) {
    case Origin::preset:
      return "default";
    case Origin::file:
      return "file";
    case Origin::flag:
      return "flag";
  }
  return {};
}

// The group of a key ("train" of "train.steps"; empty for a key of the top level) and the rest.
std::pair<std::string_view, std::string_view> split(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  if (dot == std::string_view::npos) return {{}, key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// A flag's text as TOML: a text needs no quotes there, a list no brackets.
std::string flag_as_toml(std::string_view text, bool takes_texts, bool list) {
  const auto item = [&](std::string_view plain) {
    const bool quoted = plain.starts_with('"') || plain.starts_with('\'');
    return takes_texts && !quoted ? toml_string(plain) : std::string(plain);
  };
  if (!list) return item(text);
  if (text.starts_with('[')) return std::string(text);
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    items.push_back(item(trimmed(text.substr(begin, end - begin))));
    begin = end + 1;
  }
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string markdown_cell(std::string_view text) {
  std::string cell;
  for (const char c : text) (cell += c == '|' ? "\\" : "") += c;
  return cell;
}

}  // namespace

void Schema::add(std::string key, OptionTarget target, std::string meaning, Allowed allowed) {
  if (!good_key(key)) fail("option '{}': wanted a dotted path of [a-z0-9_]", printable(key));
  if (find(key) != nullptr || is_group(key)) fail("option '{}' is registered twice, or is a group", key);
  for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', dot + 1))
    if (find(key.substr(0, dot)) != nullptr) fail("option '{}' lies inside another option", key);
  const ConfigValue preset = value_of(target);
  const std::string problem = assign(target, allowed, preset);
  if (!problem.empty()) fail("the default of option {} {}", key, problem);
  options_.push_back({std::move(key), target, std::move(meaning), std::move(allowed), toml_text(preset)});
}

void Schema::load(const std::filesystem::path& file, std::span<const std::string> flags) {
  std::vector<std::string> problems;
  if (!file.empty()) problems = read(read_text(file, kMaxConfigBytes), shown(file));
  for (const std::string& flag : flags) {
    const std::vector<std::string> more = set(flag);
    problems.insert(problems.end(), more.begin(), more.end());
  }
  constexpr std::size_t kShownProblems = 50;
  if (problems.size() > kShownProblems) {
    const std::size_t rest = problems.size() - kShownProblems;
    problems.resize(kShownProblems);
    problems.push_back(fmt::format("... and {} more", rest));
  }
  if (!problems.empty()) refuse("{}", fmt::join(problems, "\n"));
}

std::vector<std::string> Schema::read(std::string_view text, std::string_view source) {
  auto [entries, problems] = parse_config(text, source);
  for (const ConfigEntry& entry : entries) {
    if (entry.value.is_empty_table && is_group(entry.key)) continue;
    const std::string problem = apply(entry.key, entry.value, Origin::file);
    if (!problem.empty()) problems.push_back(fmt::format("{}:{}: {}", source, entry.line, problem));
  }
  return problems;
}

std::vector<std::string> Schema::set(std::string_view assignment) {
  const std::string source = fmt::format("--set {}", printable(assignment.substr(0, kShownBytes)));
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) return {source + ": wanted key=value"};
  const std::string_view key = trimmed(assignment.substr(0, equals)),
                         text = trimmed(assignment.substr(equals + 1));
  const Option* option = find(key);
  if (option == nullptr) return {fmt::format("{}: {}", source, unknown(key))};
  if (!valid_utf8(text) || text.find_first_of("\r\n") != std::string_view::npos)
    return {source + ": the value is no single line of UTF-8"};

  const std::string toml = flag_as_toml(text, takes_text(option->target), is_list(option->target));
  const ConfigText parsed = parse_config("value = " + toml, source);
  const bool one_value =
      parsed.problems.empty() && parsed.entries.size() == 1 && parsed.entries[0].key == "value";
  if (!one_value) return {fmt::format("{}: no value, wanted {}", source, type_text(option->target))};
  const std::string problem = apply(key, parsed.entries[0].value, Origin::flag);
  if (problem.empty()) return {};
  return {fmt::format("{}: {}", source, problem)};
}

std::string Schema::apply(std::string_view key, const ConfigValue& value, Origin origin) {
  Option* option = find(key);
  if (option == nullptr) return unknown(key);
  const std::string problem = assign(option->target, option->allowed, value);
  if (!problem.empty()) return fmt::format("{} {}", option->key, problem);
  option->origin = origin;
  return {};
}

Schema::Option* Schema::find(std::string_view key) {
  const auto found =
      std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.key == key; });
  return found == options_.end() ? nullptr : &*found;
}

bool Schema::is_group(std::string_view key) const {
  const std::string prefix = std::string(key) + ".";
  return std::any_of(options_.begin(), options_.end(),
                     [&](const Option& o) { return o.key.starts_with(prefix); });
}

std::string Schema::unknown(std::string_view key) const {
  const std::string shown_key = printable(key.substr(0, kShownBytes));
  if (is_group(key)) return fmt::format("'{}' is a group of options, not an option", shown_key);
  for (const Option& option : options_)
    if (key.starts_with(option.key + "."))
      return fmt::format("'{}' is an option, not a group of options", option.key);
  std::vector<std::string> keys;
  for (const Option& option : options_) keys.push_back(option.key);
  std::vector<std::string> near;
  for (const std::string& candidate : nearest_names(key, keys)) {
    const auto index = static_cast<std::size_t>(std::find(keys.begin(), keys.end(), candidate) - keys.begin());
    near.push_back(fmt::format("{} (default {})", candidate, options_[index].preset));
  }
  if (near.empty()) return fmt::format("unknown key '{}'; --help lists all keys", shown_key);
  return fmt::format("unknown key '{}'; did you mean {}?", shown_key, fmt::join(near, ", "));
}

std::vector<OptionState> Schema::options() const {
  std::vector<OptionState> states;
  for (const Option& o : options_)
    states.push_back({.key = o.key,
                      .type = type_text(o.target),
                      .allowed = allowed_text(o.allowed),
                      .meaning = o.meaning,
                      .preset = o.preset,
                      .value = toml_text(value_of(o.target)),
                      .origin = o.origin});
  return states;
}

std::string Schema::resolved(bool with_origin) const {
  // Groups in the order of their first option; the top level before all, because a key after a [group] belongs
  // to it.
  std::vector<std::string_view> groups{std::string_view{}};
  for (const Option& option : options_)
    if (std::find(groups.begin(), groups.end(), split(option.key).first) == groups.end())
      groups.push_back(split(option.key).first);

  std::string text;
  for (const std::string_view group : groups) {
    if (!group.empty()) text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", group);
    for (const Option& option : options_) {
      if (split(option.key).first != group) continue;
      const std::string line =
          fmt::format("{} = {}", split(option.key).second, toml_text(value_of(option.target)));
      text += with_origin ? fmt::format("{:<40}  # {}\n", line, origin_text(option.origin)) : line + "\n";
    }
  }
  return text;
}

std::string Schema::help() const {
  std::string text;
  for (const OptionState& o : options())
    text += fmt::format("{} = {}\n    {} ({}{}{})\n", o.key, o.preset, o.meaning, o.type,
                        o.allowed.empty() ? "" : ", ", o.allowed);
  return text;
}

std::string Schema::markdown() const {
  std::string text = "| key | default | values | meaning |\n|---|---|---|---|\n";
  for (const OptionState& o : options())
    text += fmt::format("| `{}` | `{}` | {}{}{} | {} |\n", o.key, markdown_cell(o.preset), o.type,
                        o.allowed.empty() ? "" : ", ", markdown_cell(o.allowed), markdown_cell(o.meaning));
  return text;
}

}  // namespace stp

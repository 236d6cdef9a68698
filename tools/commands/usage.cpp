#include "tools/commands/usage.h"

#include <fmt/format.h>

#include "engine/text.h"

namespace stp {

namespace {

// The innermost command that was named: `data check` of `stprivacy data check`.
const CLI::App& chosen(const CLI::App& app) {
  const std::vector<CLI::App*> named = app.get_subcommands();
  return named.empty() ? app : chosen(*named.front());
}

std::string full_name(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : full_name(*parent) + " " + app.get_name();
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

// The long options of a command and of those around it, as they are written.
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  const std::vector<std::string> near =
      name.size() > 2 ? nearest_names(name, known) : std::vector<std::string>();
  return near.empty() ? "" : fmt::format("did you mean {}? ", fmt::join(near, " or "));
}

// The text up to its first '=': --set of --set=name.
std::string option_part(const std::string& argument) { return argument.substr(0, argument.find('=')); }

// CLI11's own words, without the line that points at the help.
std::string cause(const CLI::ParseError& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::string usage_message(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App& command = chosen(program);
  const std::string name = full_name(command), help = name + " --help";
  const std::vector<std::string> left = program.remaining(true), commands = command_names(command);
  const std::string unknown = left.empty() ? "" : left.front();
  if (unknown.size() > 1 && unknown.starts_with('-')) {
    return printable(fmt::format("{}: unknown option {}; {}{} lists all", name, option_part(unknown),
                                 did_you_mean(option_part(unknown), option_names(command)), help));
  }
  if (!commands.empty() && unknown.empty())
    return fmt::format("{}: name a command: {}; {} explains them", name, fmt::join(commands, ", "), help);
  if (!commands.empty()) {
    return printable(fmt::format("{}: unknown command '{}'; {}{} lists all", name, unknown,
                                 did_you_mean(unknown, commands), help));
  }
  if (!unknown.empty())
    return printable(fmt::format("{}: '{}' is one argument too many; {} explains", name, unknown, help));
  return printable(fmt::format("{}: {}; {} explains", name, cause(error), help));
}

}  // namespace stp

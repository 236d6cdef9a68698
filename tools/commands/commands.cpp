#include "tools/commands/commands.h"

namespace stp {

CLI::App* add_command(CLI::App& app, Program& program, const std::string& name, const std::string& what,
                      std::function<void(Console&)> run) {
  CLI::App* command = app.add_subcommand(name, what);
  command->option_defaults()->always_capture_default();
  command->callback([&program, run = std::move(run)] { program.chosen = run; });
  return command;
}

}  // namespace stp

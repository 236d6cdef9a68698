// The commands of the program, one file each. A command registers itself with its options and says what to do.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "engine/console.h"
#include "engine/memory.h"

namespace stp {

// What all commands share, and which one was chosen.
struct Program {
  bool quiet = false, verbose = false;
  int threads = 0;  // 0: all processors
  std::string device = "cpu";
  std::function<void(Console&)> chosen;

  Verbosity verbosity() const {
    if (quiet) return Verbosity::quiet;
    return verbose ? Verbosity::verbose : Verbosity::normal;
  }
  // The device that was asked for; throws Error (usage) if it is not here.
  Backend backend() const { return Backend(device_named(device)); }
};

// Adds a command whose options the caller goes on to declare; `run` is called after all of them are parsed.
CLI::App* add_command(CLI::App& app, Program& program, const std::string& name, const std::string& what,
                      std::function<void(Console&)> run);

void add_anonymize(CLI::App& app, Program& program);
void add_data(CLI::App& app, Program& program);
void add_doctor(CLI::App& app, Program& program);
void add_evaluate(CLI::App& app, Program& program);
void add_floor(CLI::App& app, Program& program);
void add_import(CLI::App& app, Program& program);
void add_inspect(CLI::App& app, Program& program);
void add_report(CLI::App& app, Program& program);
void add_reproduce(CLI::App& app, Program& program);
void add_synthesize(CLI::App& app, Program& program);
void add_train(CLI::App& app, Program& program);

}  // namespace stp

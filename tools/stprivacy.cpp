// The program: parses the command line, runs the chosen command, and turns every failure into one line and an
// exit code: 0 done, 1 failed while running, 2 wrong use, 128 + signal stopped.
#include <omp.h>

#include <cstdio>
#include <new>

#include "engine/check.h"
#include "engine/durable.h"
#include "tools/commands/commands.h"
#include "tools/commands/usage.h"
#include "tools/experiment/run.h"

namespace {

using namespace stp;

int run(const Program& program) {
  Console console(program.verbosity());
  try {
    if (program.threads > 0) omp_set_num_threads(program.threads);
    program.chosen(console);
    return 0;
  } catch (const Interrupted& stop) {
    console.warning(stop.what());
    return stop.exit_code();
  } catch (const Error& error) {
    console.error(error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    console.error("out of memory; use a smaller batch or clip");
  } catch (const std::exception& error) {
    console.error(error.what());
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  ignore_file_size_signal();
  CLI::App app("STPrivacy: privacy-preserving action recognition (Li et al., ICCV 2023)", "stprivacy");
  Program program;
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "stprivacy " STP_VERSION);
  app.add_flag("-q,--quiet", program.quiet, "only results and errors");
  app.add_flag("-v,--verbose", program.verbose, "more of what is done");
  app.add_option("--threads", program.threads, "threads of the kernels; default: all processors")
      ->check(CLI::Range(1, 1024));
  app.add_option(
         "--device", program.device,
         "cpu, cuda, auto (a GPU where there is one), or simt: the GPU's kernels on the processor, slowly")
      ->check(CLI::IsMember({"auto", "cpu", "cuda", "simt"}));
  add_synthesize(app, program);
  add_data(app, program);
  add_train(app, program);
  add_evaluate(app, program);
  add_floor(app, program);
  add_reproduce(app, program);
  add_report(app, program);
  add_anonymize(app, program);
  add_inspect(app, program);
  add_import(app, program);
  add_doctor(app, program);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    Console(program.verbosity()).error(usage_message(app, error));
    return 2;
  }
  return run(program);
}

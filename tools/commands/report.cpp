// stprivacy report RUN...: what runs found, as one HTML file.
#include "tools/report/report.h"

#include "engine/durable.h"
#include "engine/text.h"
#include "tools/commands/commands.h"

namespace stp {

namespace {

struct ReportArguments {
  std::vector<std::string> runs;
  std::string output = "report.html";
  ReportOptions options;
};

std::string command_line(const ReportArguments& a) {
  std::string line = "stprivacy report";
  for (const std::string& run : a.runs) line += " " + shell_word(run);
  line += " -o " + shell_word(a.output);
  const ReportOptions usual;
  if (a.options.title != usual.title) line += " --title " + shell_word(a.options.title);
  if (a.options.clips != usual.clips) line += fmt::format(" --clips {}", a.options.clips);
  return line;
}

void report(const ReportArguments& a, const Program& program, Console& console) {
  std::vector<RunRecord> records;
  for (const std::string& run : a.runs)
    for (RunRecord& record : read_records(run)) records.push_back(std::move(record));
  ReportOptions options = a.options;
  options.commands = {command_line(a)};
  const std::string html = report_html(records, program.backend(), options);
  write_file(a.output, html);
  console.note(fmt::format("written to {}, {:.1f} MB", a.output, static_cast<double>(html.size()) / 1e6));
}

}  // namespace

void add_report(CLI::App& app, Program& program) {
  auto a = std::make_shared<ReportArguments>();
  CLI::App* c = add_command(app, program, "report", "what runs found, as one HTML file that needs nothing else",
                            [a, &program](Console& console) { report(*a, program, console); });
  c->add_option("runs", a->runs, "folders of runs, or of tables of runs")->required();
  c->add_option("-o,--output", a->output, "the file to write");
  c->add_option("--title", a->options.title, "its heading");
  c->add_option("--clips", a->options.clips, "test clips to show for each anonymiser")
      ->check(CLI::Range(0, 20));
}

}  // namespace stp

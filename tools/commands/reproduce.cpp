// stprivacy reproduce NAME: a table or curve of the paper, run by run.
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "tools/commands/commands.h"
#include "tools/experiment/interrupt.h"
#include "tools/experiment/reproduce.h"
#include "tools/experiment/stage.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

struct ReproduceArguments {
  std::string table, data, recipe, runs;
  std::vector<std::string> only, set, sweep;
  bool list = false;
};

std::string command_line(const ReproduceArguments& a) {
  std::string line = fmt::format("stprivacy reproduce {} --data {}", a.table, a.data);
  if (!a.recipe.empty()) line += " --recipe " + a.recipe;
  if (!a.runs.empty()) line += " --runs " + a.runs;
  for (const std::string& sweep : a.sweep) line += " --sweep " + sweep;
  for (const std::string& row : a.only) line += " --only " + row;
  for (const std::string& flag : a.set) line += " --set " + flag;
  return line;
}

std::string listing(const TablePlan& plan) {
  std::string text = fmt::format("{}, {}: base recipe {}\n", plan.title, plan.data, plan.recipe.string());
  for (const TableRow& row : plan.rows)
    text +=
        fmt::format("  {:<22} {}{}\n", row.name, fmt::join(row.flags, " "),
                    row.learns_on.empty() ? "" : fmt::format("; learns on {}", fmt::join(row.learns_on, " ")));
  return text;
}

void reproduce(ReproduceArguments a, const Program& program, Console& console) {
  if (a.data.empty()) a.data = default_data(a.table);
  check((a.table == "sweep") == !a.sweep.empty(),
        "reproduce: --sweep goes with 'sweep', and 'sweep' needs one");
  const TablePlan plan =
      a.table == "sweep" ? sweep_plan(a.sweep, a.data, a.recipe) : table_plan(a.table, a.data, a.recipe);
  if (a.list) {
    console.result(listing(plan));
    return;
  }
  const fs::path folder = a.runs.empty() ? fs::path("runs") / (a.table + "-" + a.data) : fs::path(a.runs);
  watch_interrupts();
  const Results results = carry_out(plan, {folder, a.only, a.set, command_line(a)}, program.backend(), console);
  write_file(folder / "results.json", to_json(results).dump(2) + "\n");
  console.result(comparison(plan, results) + "\n" +
                 results_table(results, judged_labels(judged_recipe(plan, a.set))));
  console.note(fmt::format("everything is in {}", folder.string()));
}

}  // namespace

void add_reproduce(CLI::App& app, Program& program) {
  auto a = std::make_shared<ReproduceArguments>();
  CLI::App* c = add_command(app, program, "reproduce",
                            "run what a table of the paper needs and print ours beside the paper's",
                            [a, &program](Console& console) { reproduce(*a, program, console); });
  std::vector<std::string> tables = table_names();
  tables.emplace_back("sweep");
  c->add_option("table", a->table, "which one")->required()->check(CLI::IsMember(tables));
  c->add_option("--data", a->data, "on which data set; default: synth, or the one the table is about")
      ->check(CLI::IsMember(table_data_names()));
  c->add_option("--recipe", a->recipe, "base recipe instead of the data set's own");
  c->add_option("--runs", a->runs, "folder of the runs; default runs/TABLE-DATA");
  c->add_option("--sweep", a->sweep, "KEY=VALUE,VALUE,... of a sweep, a run each; may be repeated")
      ->allow_extra_args(false);
  c->add_option("--only", a->only, "only these rows; may be repeated")->allow_extra_args(false);
  c->add_option("--set", a->set, "key=value for every row; may be repeated")->allow_extra_args(false);
  c->add_flag("--list", a->list, "list the rows with what each sets, and run nothing");
}

}  // namespace stp

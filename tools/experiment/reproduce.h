// The paper's tables as lists of runs: what each row needs on top of a base recipe, and what the paper reports.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/console.h"
#include "tools/experiment/recipe.h"
#include "tools/experiment/results.h"

namespace stp {

// A figure of the paper: top-1 in percent, F1, cMAP in percent.
struct PaperFigure {
  double top1 = 0, f1 = 0, cmap = 0;
};

struct TableRow {
  std::string name;                // of its run folder
  std::vector<std::string> flags;  // "key=value" on top of the base recipe
  std::optional<PaperFigure> paper;
};

// One table or curve of the paper on one data set.
struct TablePlan {
  std::string name, data, title;
  std::filesystem::path recipe;  // the base
  std::string source;            // where the data set comes from, for whoever lacks it
  std::vector<TableRow> rows;    // raw clips first
};

std::vector<std::string> table_names();
std::vector<std::string> table_data_names();
// Throws Error (usage) for a table that is not reported on the data set. `recipe` replaces the base recipe.
TablePlan table_plan(const std::string& name, const std::string& data,
                     const std::filesystem::path& recipe = {});

// Carries out, one after the other, every run of the plan that is not finished yet, below `folder`, and returns
// all rows together. Runs that were begun go on where they stopped. Throws Error (usage) if a run there belongs
// to another recipe, and Interrupted as run_experiment does.
struct TableRequest {
  std::filesystem::path folder;
  std::vector<std::string> only;   // names of rows; empty: all
  std::vector<std::string> flags;  // "key=value" for every row
  std::string resume_command;
};
Results carry_out(const TablePlan& plan, const TableRequest& request, const Backend& backend, Console& console);

// Ours beside the paper's, row by row.
std::string comparison(const TablePlan& plan, const Results& results);

}  // namespace stp

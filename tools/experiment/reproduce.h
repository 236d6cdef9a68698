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

// A figure of the paper: top-1 in percent, F1, cMAP in percent. Of Table 5: cMAP of actions, and of each group
// of attributes.
struct PaperFigure {
  double top1 = 0, f1 = 0, cmap = 0;
  std::vector<double> groups = {};
};

struct TableRow {
  std::string name;                // of its run folder
  std::vector<std::string> flags;  // "key=value" on top of the base recipe
  std::optional<PaperFigure> paper = {};
  // "key=value" of the data the method learns on; fresh recognisers still learn and are judged on the row's
  // own. Empty: on the same data, or there is nothing to learn.
  std::vector<std::string> learns_on = {};
};

// One table or curve of the paper on one data set.
struct TablePlan {
  std::string name, data, title;
  std::filesystem::path recipe;    // the base
  std::string source;              // where the data set comes from, for whoever lacks it
  std::vector<std::string> flags;  // "key=value" for every row, before the row's own
  std::vector<TableRow> rows;      // raw clips first
};

std::vector<std::string> table_names();
std::vector<std::string> table_data_names();
// The data set of a table, or of a sweep, for whom none is named.
std::string default_data(const std::string& table);
// The paper's figure for a run that a table's row is called after, TABLE-DATA-ROW.
std::optional<PaperFigure> paper_figure(const std::string& run);
// Throws Error (usage) for a table that is not reported on the data set. `recipe` replaces the base recipe.
TablePlan table_plan(const std::string& name, const std::string& data,
                     const std::filesystem::path& recipe = {});
// A curve of one's own: raw clips, and a row for each value of each sweep, "alpha=0.3,0.5,0.7". A key may be
// the last part of an option's name where no other option ends so. Throws Error (usage) for others.
TablePlan sweep_plan(const std::vector<std::string>& sweeps, const std::string& data,
                     const std::filesystem::path& recipe = {});

// The recipe of the first row, raw clips: what is judged in every row.
Recipe judged_recipe(const TablePlan& plan, const std::vector<std::string>& flags);

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

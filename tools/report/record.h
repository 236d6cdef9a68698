// What a finished or unfinished run left in its folder, read for a report.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/experiment/history.h"
#include "tools/experiment/recipe.h"
#include "tools/experiment/reproduce.h"
#include "tools/experiment/results.h"

namespace stp {

struct RunRecord {
  std::filesystem::path folder;
  std::string name;  // the row of a table, or the folder's name
  Recipe recipe;
  std::optional<Results> results;  // none: not judged yet
  std::vector<StageHistory> stages;
  std::optional<JudgedLabels> labels;  // none: `no_data` says why
  std::string no_data;
  std::optional<PaperFigure> paper;  // if the run is a row of a table of the paper, on the paper's data
};

// Reads the folder of a run, or every run below the folder of a table (what reproduce made), in the order of
// its results. Throws Error (usage) for a folder that is neither, and for damaged files.
std::vector<RunRecord> read_records(const std::filesystem::path& folder);

}  // namespace stp

#include "tools/report/record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/check.h"
#include "engine/file.h"
#include "tools/experiment/run.h"
#include "tools/experiment/stage.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLogLimit = std::uint64_t{1} << 30;

bool there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Files judged as delivered, and other evaluations that were asked for later.
void add_evaluations(const fs::path& folder, Results& results) {
  std::vector<fs::path> files;
  if (!there(folder / "evaluations")) return;
  for (const auto& entry : fs::directory_iterator(folder / "evaluations"))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    for (MethodResult& m : results_from(read_json(file), file).methods) {
      if (!results.find(m.method)) {
        m.method += fmt::format(" ({})", file.stem().string());
        results.methods.push_back(std::move(m));
      }
    }
  }
}

// A torn last line is what a crash left, or what is being written now; a resumed run drops it too.
std::string whole_lines(std::string log) {
  log.resize(log.rfind('\n') + 1);  // none: npos + 1 is 0
  return log;
}

void read_labels(RunRecord& record) {
  try {
    record.labels = judged_labels(record.recipe);
  } catch (const Error& error) {
    record.no_data = error.what();
  }
}

RunRecord read_record(const fs::path& folder) {
  RunRecord record;
  record.folder = folder;
  record.name = fs::absolute(folder).lexically_normal().filename().string();
  record.recipe = recipe_of_run(folder);
  if (const fs::path log = folder / "log.jsonl"; there(log))
    record.stages = history_of_log(whole_lines(read_text(log, kLogLimit)), shown(log));
  if (const fs::path file = folder / "results.json"; there(file)) {
    record.results = results_from(read_json(file), file);
    add_evaluations(folder, *record.results);
  }
  record.paper = paper_figure(record.recipe.name);
  read_labels(record);
  return record;
}

}  // namespace

std::vector<RunRecord> read_records(const fs::path& folder) {
  check(there(folder), "{}: no such folder; name the folder of a run", shown(folder));
  if (there(folder / "config.toml")) return {read_record(folder)};
  check(there(folder / "results.json"), "{}: neither a run (config.toml) nor a table of runs (results.json)",
        shown(folder));
  std::vector<RunRecord> records;
  for (const MethodResult& m :
       results_from(read_json(folder / "results.json"), folder / "results.json").methods) {
    check(!m.row.empty() && there(folder / m.row / "config.toml"),
          "{}: its row '{}' has no run below it; name the runs themselves", shown(folder), m.row);
    records.push_back(read_record(folder / m.row));
  }
  return records;
}

}  // namespace stp

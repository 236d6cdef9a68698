#include "tools/experiment/reproduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/check.h"
#include "engine/file.h"
#include "tools/experiment/run.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

// What differs between the data sets a table can be run on.
struct TableData {
  std::string recipe, source;
  // Weak and strong blur: 13 and 21 pixels of a frame 240 high (SelectivePrivacyPreservation's presets), so as
  // many of other frames as cover the same part of them.
  int weak = 13, strong = 21;
  // Which column of the paper's Table 1 it is, or none.
  int column = -1;
};

const std::map<std::string, TableData>& table_data() {
  static const std::map<std::string, TableData> data = {
      {"synth",
       {"tools/recipes/quickstart.toml",
        "make it: stprivacy synthesize runs/data/quickstart --clips 3000 --difficulty 0 --width 48 --height 48 "
        "--seed 1",
        3, 5, -1}},
      {"jhmdb10",
       {"tools/recipes/jhmdb10.toml", "its videos are those of JHMDB (jhmdb.is.tue.mpg.de)", 13, 21, -1}},
      {"vp-hmdb51",
       {"tools/recipes/vp_hmdb51.toml",
        "its videos and split lists are HMDB51's (serre-lab.clps.brown.edu), its labels those of "
        "ming1993li/stprivacy",
        13, 21, 0}},
      {"vp-ucf101",
       {"tools/recipes/vp_ucf101.toml",
        "its videos and split lists are UCF101's (crcv.ucf.edu), its labels those of ming1993li/stprivacy", 13,
        21, 1}}};
  return data;
}

// A row of Table 1, with the paper's figures on VP-HMDB51 and VP-UCF101.
struct KnownRow {
  TableRow row;
  PaperFigure paper[2];
};

std::vector<KnownRow> table1_rows(const TableData& data) {
  const auto method = [](const std::string& name) { return "method.name=" + name; };
  const auto kernel = [](int side) { return fmt::format("method.kernel={}", side); };
  const std::string in_motion = "method.region=motion";
  return {
      {{"raw", {method("raw")}, {}}, {{51.44, .673, 75.58}, {84.20, .684, 76.62}}},
      {{"downsample2", {method("downsample"), "method.factor=2"}, {}},
       {{40.80, .601, 71.35}, {72.79, .620, 71.49}}},
      {{"downsample4", {method("downsample"), "method.factor=4"}, {}},
       {{31.32, .594, 69.79}, {56.07, .615, 69.85}}},
      {{"blackening", {method("blacken"), in_motion}, {}}, {{38.27, .649, 74.06}, {69.41, .660, 75.37}}},
      {{"strong_blur", {method("blur"), kernel(data.strong), in_motion}, {}},
       {{40.91, .655, 74.33}, {73.94, .672, 75.58}}},
      {{"weak_blur", {method("blur"), kernel(data.weak), in_motion}, {}},
       {{47.24, .663, 75.11}, {77.31, .678, 76.03}}},
      {{"collective", {method("collective")}, {}}, {{46.88, .651, 74.12}, {78.01, .663, 75.22}}},
      {{"vita", {method("vita")}, {}}, {{48.11, .638, 73.89}, {78.49, .657, 75.36}}},
      {{"spact", {method("spact")}, {}}, {{48.56, .642, 73.78}, {78.40, .651, 75.29}}},
      {{"stprivacy", {method("stprivacy")}, {}}, {{50.73, .613, 72.48}, {82.55, .634, 73.79}}},
  };
}

TablePlan table1(const TableData& data) {
  TablePlan plan;
  plan.title = "Table 1: known actions";
  for (KnownRow& known : table1_rows(data)) {
    if (data.column >= 0) known.row.paper = known.paper[data.column];
    plan.rows.push_back(std::move(known.row));
  }
  return plan;
}

// Figure 4: the ablations, one option at a time around the base recipe.
TablePlan figure4(const fs::path& recipe) {
  const std::vector<int> tubelet = load_recipe(recipe, {}).model.tubelet;
  TablePlan plan;
  plan.title = "Figure 4: parts, keep ratio, tubelet length, weights of the losses";
  plan.rows = {{"raw", {"method.name=raw"}, {}},
               {"stprivacy", {}, {}},
               {"sparsification_only", {"model.parts=sparsification"}, {}},
               {"anonymisation_only", {"model.parts=anonymisation"}, {}}};
  const auto sweep = [&](const std::string& name, const std::string& key, const std::vector<double>& values) {
    for (const double value : values)
      plan.rows.push_back({fmt::format("{}_{}", name, value), {fmt::format("{}={}", key, value)}, {}});
  };
  sweep("alpha", "model.alpha", {0.3, 0.5, 0.7, 0.9});
  for (const int t : {1, 2, 4}) {
    plan.rows.push_back({fmt::format("tubelet_frames_{}", t),
                         {fmt::format("model.tubelet=[{}, {}, {}]", t, tubelet.at(1), tubelet.at(2))},
                         {}});
  }
  sweep("lambda_action", "adversarial.lambda_action", {0.25, 0.5, 1, 2});
  sweep("lambda_privacy", "adversarial.lambda_privacy", {0.25, 0.5, 1, 2});
  return plan;
}

Recipe recipe_of_row(const TablePlan& plan, const TableRow& row, const std::vector<std::string>& more) {
  std::vector<std::string> flags = row.flags;
  flags.emplace_back("evaluate.raw=false");  // raw clips are a row of their own
  flags.push_back(fmt::format("name={}-{}-{}", plan.name, plan.data, row.name));
  flags.insert(flags.end(), more.begin(), more.end());
  return load_recipe(plan.recipe, flags);
}

bool holds(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

// The results of a finished run, or those of carrying it out.
Results results_of_row(const Recipe& recipe, const fs::path& folder, const TableRequest& request,
                       const Backend& backend, Console& console) {
  const bool begun = holds(folder / "config.toml");
  if (begun) {
    check(resolved(recipe_of_run(folder)) == resolved(recipe),
          "{}: a run with another recipe; choose another folder with --runs", shown(folder));
  }
  if (const fs::path file = folder / "results.json"; begun && holds(file)) {
    console.note(fmt::format("{} is finished", shown(folder)));
    return results_from(read_json(file), file);
  }
  console.note(fmt::format("run {}", shown(folder)));
  return run_experiment(recipe, backend, {folder, begun, Phase::all, request.resume_command}, console);
}

std::string figures(double top1, double f1, double cmap) {
  return fmt::format("{:>7.2f} {:>6.3f} {:>7.2f}", top1, f1, cmap);
}

}  // namespace

std::vector<std::string> table_names() { return {"table1", "figure4"}; }

std::vector<std::string> table_data_names() {
  std::vector<std::string> names;
  for (const auto& [name, data] : table_data()) names.push_back(name);
  return names;
}

TablePlan table_plan(const std::string& name, const std::string& data, const fs::path& recipe) {
  const auto known = table_data().find(data);
  check(known != table_data().end(), "reproduce: no data set '{}'; there are {}", data,
        fmt::join(table_data_names(), ", "));
  check(name == "table1" || name == "figure4", "reproduce: no table '{}'; there are {}", name,
        fmt::join(table_names(), ", "));
  const fs::path base = recipe.empty() ? fs::path(known->second.recipe) : recipe;
  TablePlan plan = name == "table1" ? table1(known->second) : figure4(base);
  plan.name = name;
  plan.data = data;
  plan.recipe = base;
  plan.source = known->second.source;
  return plan;
}

Results carry_out(const TablePlan& plan, const TableRequest& request, const Backend& backend,
                  Console& console) {
  for (const std::string& name : request.only) {
    check(std::ranges::any_of(plan.rows, [&](const TableRow& row) { return row.name == name; }),
          "reproduce: {} has no row '{}'", plan.name, name);
  }
  const fs::path videos = load_recipe(plan.recipe, request.flags).data.videos;
  check(holds(videos), "reproduce: {} is not there; {}", shown(videos), plan.source);
  Results all;
  for (const TableRow& row : plan.rows) {
    if (!request.only.empty() && std::ranges::find(request.only, row.name) == request.only.end()) continue;
    const Recipe recipe = settled(recipe_of_row(plan, row, request.flags), backend);
    Results one = results_of_row(recipe, request.folder / row.name, request, backend, console);
    check(one.methods.size() == 1, "{}: {} results where one was wanted", shown(request.folder / row.name),
          one.methods.size());
    one.methods.front().row = row.name;
    one.methods.insert(one.methods.begin(), all.methods.begin(), all.methods.end());
    all = std::move(one);
  }
  return all;
}

std::string comparison(const TablePlan& plan, const Results& results) {
  std::string text = fmt::format("{}, {}\n{:<22} {:>7} {:>6} {:>7}   {:>7} {:>6} {:>7}\n", plan.title,
                                 plan.data, "", "top-1 %", "F1", "cMAP %", "paper", "F1", "cMAP %");
  for (const MethodResult& m : results.methods) {
    const auto row = std::ranges::find(plan.rows, m.row, &TableRow::name);
    text += fmt::format("{:<22} {}", m.row, figures(m.top1, m.worst().f1, m.worst().cmap));
    if (row != plan.rows.end() && row->paper)
      text += "   " + figures(row->paper->top1, row->paper->f1, row->paper->cmap);
    text += "\n";
  }
  return text;
}

}  // namespace stp

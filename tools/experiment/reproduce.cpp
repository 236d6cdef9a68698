#include "tools/experiment/reproduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/check.h"
#include "engine/file.h"
#include "tools/experiment/reevaluate.h"
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
  std::vector<std::string> flags = {};           // for every row
  std::vector<std::string> rewriter_flags = {};  // for methods whose networks rewrite frames
  // Table 2: the data on which methods learn, and that on which they are judged; empty: the table's own.
  std::vector<std::string> seen = {}, unseen = {};
};

// Where the recipes of the published data sets look, and at which rate they take frames.
std::vector<std::string> dataset(const std::string& name, int rate) {
  const std::string table = fmt::format("data/annotations/vp_{}.csv", name);
  return {fmt::format("data.videos=data/{}/videos", name), "data.splits=" + table, "data.labels=" + table,
          fmt::format("data.rate={}", rate)};
}

const std::map<std::string, TableData>& table_data() {
  static const std::map<std::string, TableData> data = {
      {"synth",
       {"tools/recipes/quickstart.toml",
        "make it: stprivacy synthesize runs/data/quickstart --clips 3000 --difficulty 0 --width 48 --height 48 "
        "--seed 1",
        3,
        5,
        -1,
        {"evaluate.frame_attackers=1", "evaluate.reconstruction=true", "evaluate.reconstruction_width=8",
         "method.width=8", "evaluate.steps=600"},
        {"init.steps=200", "adversarial.steps=700", "adversarial.recogniser_warmup=200"},
        {"data.classes=[\"burpee\", \"cartwheel\", \"cheer\", \"kick\"]"},
        {"data.classes=[\"jumping_jack\", \"lift\", \"skate\", \"squat\"]"}}},
      {"jhmdb10",
       {"tools/recipes/jhmdb10.toml", "its videos are those of JHMDB (jhmdb.is.tue.mpg.de)", 13, 21, -1}},
      {"vp-hmdb51",
       {"tools/recipes/vp_hmdb51.toml",
        "its videos are HMDB51's (serre-lab.clps.brown.edu)",
        13,
        21,
        0,
        {},
        {},
        dataset("ucf101", 4),
        {}}},
      {"vp-ucf101",
       {"tools/recipes/vp_ucf101.toml",
        "its videos are UCF101's (crcv.ucf.edu)",
        13,
        21,
        1,
        {},
        {},
        dataset("hmdb51", 2),
        {}}}};
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
  const auto rewriter = [&](const std::string& name) {
    std::vector<std::string> flags = {method(name)};
    flags.insert(flags.end(), data.rewriter_flags.begin(), data.rewriter_flags.end());
    return flags;
  };
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
      {{"collective", rewriter("collective"), {}}, {{46.88, .651, 74.12}, {78.01, .663, 75.22}}},
      {{"vita", rewriter("vita"), {}}, {{48.11, .638, 73.89}, {78.49, .657, 75.36}}},
      {{"spact", rewriter("spact"), {}}, {{48.56, .642, 73.78}, {78.40, .651, 75.29}}},
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

// Table 2: methods learn on one data set and are judged on another, whose actions they have not seen.
TablePlan table2(const TableData& data) {
  const PaperFigure paper[2][5] = {{{51.44, .673, 75.58},
                                    {45.93, .633, 73.36},
                                    {46.78, .621, 73.47},
                                    {47.81, .618, 72.56},
                                    {49.56, .595, 71.25}},
                                   {{84.20, .684, 76.62},
                                    {77.12, .674, 76.01},
                                    {77.48, .669, 76.02},
                                    {78.13, .661, 75.98},
                                    {81.04, .645, 74.60}}};
  TablePlan plan;
  plan.title = "Table 2: unseen actions";
  std::size_t i = 0;
  for (const char* name : {"raw", "collective", "vita", "spact", "stprivacy"}) {
    TableRow row = {name, {fmt::format("method.name={}", name)}};
    row.flags.insert(row.flags.end(), data.unseen.begin(), data.unseen.end());
    const bool learns = i > 0, rewrites = learns && i < 4;
    if (rewrites) row.flags.insert(row.flags.end(), data.rewriter_flags.begin(), data.rewriter_flags.end());
    if (learns) row.learns_on = data.seen;
    if (data.column >= 0) row.paper = paper[data.column][i];
    plan.rows.push_back(std::move(row));
    ++i;
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

enum class Side { learns, judged };

Recipe recipe_of_row(const TablePlan& plan, const TableRow& row, const std::vector<std::string>& more,
                     Side side = Side::judged) {
  std::vector<std::string> flags = plan.flags;
  flags.insert(flags.end(), row.flags.begin(), row.flags.end());
  if (side == Side::learns) flags.insert(flags.end(), row.learns_on.begin(), row.learns_on.end());
  flags.emplace_back("evaluate.raw=false");  // raw clips are a row of their own
  flags.push_back(fmt::format("name={}-{}-{}", plan.name, plan.data, row.name));
  flags.insert(flags.end(), more.begin(), more.end());
  return load_recipe(plan.recipe, flags);
}

bool holds(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

// Whether the last checkpoint of a run is of a later phase than init.
bool begun_beyond_init(const fs::path& folder) {
  const fs::path latest = folder / "checkpoints/latest.safetensors";
  return holds(latest) && Checkpoint(latest).counter("stage") > 0;
}

// What has to be set to come from one recipe to the other.
std::vector<std::string> flags_between(Recipe from, Recipe to) {
  Schema a, b;
  register_recipe(a, from);
  register_recipe(b, to);
  const std::vector<OptionState> old = a.options(), wanted = b.options();
  std::vector<std::string> flags;
  for (std::size_t i = 0; i < old.size(); ++i)
    if (old[i].value != wanted[i].value) flags.push_back(fmt::format("{}={}", wanted[i].key, wanted[i].value));
  return flags;
}

// A row whose method learns on other data than it is judged on: phases init and adversarial there, then fresh
// recognisers here.
Results results_of_transfer(const Recipe& judged, const Recipe& learnt, const fs::path& folder,
                            const TableRequest& request, const Backend& backend, Console& console) {
  bool begun = holds(folder / "config.toml");
  check(!begun || resolved(recipe_of_run(folder)) == resolved(learnt),
        "{}: a run with another recipe; choose another folder with --runs", shown(folder));
  if (!holds(folder / "anonymiser.safetensors")) {
    console.note(fmt::format("run {}", shown(folder)));
    for (const Phase phase : {Phase::init, Phase::adversarial}) {
      if (phase == Phase::init && begun && begun_beyond_init(folder)) continue;
      run_experiment(learnt, backend, {folder, begun, phase, request.resume_command}, console);
      begun = true;
    }
  }
  return evaluate_again({folder, "unseen", flags_between(learnt, judged), {}}, backend, console).results;
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

const TableData& known_data(const std::string& name) {
  const auto known = table_data().find(name);
  check(known != table_data().end(), "reproduce: no data set '{}'; there are {}", name,
        fmt::join(table_data_names(), ", "));
  return known->second;
}

fs::path base_recipe(const TableData& data, const fs::path& given) {
  return given.empty() ? fs::path(data.recipe) : given;
}

TablePlan on_data(TablePlan plan, const std::string& data, const fs::path& recipe) {
  const TableData& known = known_data(data);
  plan.data = data;
  plan.recipe = base_recipe(known, recipe);
  plan.source = known.source;
  plan.flags = known.flags;
  return plan;
}

// The option that is called or ends so.
std::string whole_key(const std::string& key) {
  Recipe recipe;
  Schema schema;
  register_recipe(schema, recipe);
  std::vector<std::string> found;
  for (const OptionState& option : schema.options()) {
    if (option.key == key) return key;
    if (option.key.ends_with("." + key)) found.push_back(option.key);
  }
  check(!found.empty(), "reproduce: no option ends in '{}'; stprivacy train --options lists them", key);
  check(found.size() == 1, "reproduce: '{}' may be {}; write one of them", key, fmt::join(found, " or "));
  return found.front();
}

// "0.3,[1, 8, 8]" -> 0.3 and [1, 8, 8]
std::vector<std::string> listed_values(const std::string& text) {
  std::vector<std::string> values(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '[' ? 1 : (c == ']' ? -1 : 0);
    if (c == ',' && depth == 0) {
      values.emplace_back();
    } else {
      values.back() += c;
    }
  }
  for (const std::string& value : values)
    check(!value.empty(), "reproduce: --sweep: no value between two commas of '{}'", text);
  return values;
}

// What a folder can be called: other characters than letters, digits, '.', '-' and '_' become '_'.
std::string file_name(std::string text) {
  for (char& c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                       c == '-' || c == '_';
    if (!plain) c = '_';
  }
  return text;
}

std::string figures(double top1, double f1, double cmap) {
  return fmt::format("{:>7.2f} {:>6.3f} {:>7.2f}", top1, f1, cmap);
}

}  // namespace

std::vector<std::string> table_names() { return {"table1", "table2", "figure4"}; }

std::vector<std::string> table_data_names() {
  std::vector<std::string> names;
  for (const auto& [name, data] : table_data()) names.push_back(name);
  return names;
}

TablePlan table_plan(const std::string& name, const std::string& data, const fs::path& recipe) {
  const std::vector<std::string> names = table_names();
  check(std::ranges::find(names, name) != names.end(), "reproduce: no table '{}'; there are {}", name,
        fmt::join(names, ", "));
  const TableData& known = known_data(data);
  check(name != "table2" || !known.seen.empty() || !known.unseen.empty(),
        "reproduce: {} has no actions apart, which {} asks for; take vp-hmdb51, vp-ucf101 or synth", data,
        name);
  TablePlan plan = name == "table1"   ? table1(known)
                   : name == "table2" ? table2(known)
                                      : figure4(base_recipe(known, recipe));
  plan.name = name;
  return on_data(std::move(plan), data, recipe);
}

TablePlan sweep_plan(const std::vector<std::string>& sweeps, const std::string& data, const fs::path& recipe) {
  TablePlan plan;
  plan.name = "sweep";
  plan.title = fmt::format("Sweep of {}", fmt::join(sweeps, ", "));
  plan.rows = {{"raw", {"method.name=raw"}, {}}};
  for (const std::string& sweep : sweeps) {
    const std::size_t equals = sweep.find('=');
    check(equals != std::string::npos && equals + 1 < sweep.size(),
          "reproduce: --sweep {}: wanted KEY=VALUE,VALUE,...", sweep);
    const std::string key = whole_key(sweep.substr(0, equals));
    for (const std::string& value : listed_values(sweep.substr(equals + 1))) {
      plan.rows.push_back({file_name(fmt::format("{}_{}", sweep.substr(0, equals), value)),
                           {fmt::format("{}={}", key, value)},
                           {}});
    }
  }
  return on_data(std::move(plan), data, recipe);
}

Recipe judged_recipe(const TablePlan& plan, const std::vector<std::string>& flags) {
  return recipe_of_row(plan, plan.rows.front(), flags);
}

Results carry_out(const TablePlan& plan, const TableRequest& request, const Backend& backend,
                  Console& console) {
  for (const std::string& name : request.only) {
    check(std::ranges::any_of(plan.rows, [&](const TableRow& row) { return row.name == name; }),
          "reproduce: {} has no row '{}'", plan.name, name);
  }
  const fs::path videos = judged_recipe(plan, request.flags).data.videos;
  check(holds(videos), "reproduce: {} is not there; {}", shown(videos), plan.source);
  Results all;
  for (const TableRow& row : plan.rows) {
    if (!request.only.empty() && std::ranges::find(request.only, row.name) == request.only.end()) continue;
    const Recipe recipe = settled(recipe_of_row(plan, row, request.flags), backend);
    const fs::path run = request.folder / row.name;
    Results one;
    if (row.learns_on.empty()) {
      one = results_of_row(recipe, run, request, backend, console);
    } else {
      const Recipe learnt = settled(recipe_of_row(plan, row, request.flags, Side::learns), backend);
      one = results_of_transfer(recipe, learnt, run, request, backend, console);
    }
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

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

// Which of the paper's figures stand beside a table's rows: none where the data is not the paper's.
enum class Figures : std::uint8_t { none, vp_hmdb51, vp_ucf101, pa_hmdb51, celebv_hq, p_hvu };

// What differs between the data sets a table can be run on.
struct TableData {
  std::string recipe, source;
  // Weak and strong blur: 13 and 21 pixels of a frame 240 high (SelectivePrivacyPreservation's presets), so as
  // many of other frames as cover the same part of them.
  int weak = 13, strong = 21;
  // The tables it serves.
  std::map<std::string, Figures> tables;
  std::vector<std::string> flags = {};           // for every row
  std::vector<std::string> rewriter_flags = {};  // for methods whose networks rewrite frames
  // Table 2: the data on which methods learn, and that on which they are judged; empty: the table's own.
  std::vector<std::string> seen = {}, unseen = {};
  std::vector<std::string> by_frames = {};  // Table 3: where the labels of frames are
};

// Where the recipes of the published data sets look, and at which rate they take frames.
std::vector<std::string> dataset(const std::string& name, int rate) {
  const std::string table = fmt::format("data/annotations/vp_{}.csv", name);
  return {fmt::format("data.videos=data/{}/videos", name), "data.splits=" + table, "data.labels=" + table,
          fmt::format("data.rate={}", rate)};
}

const std::map<std::string, TableData>& table_data() {
  using Tables = std::map<std::string, Figures>;
  const Tables hmdb51 = {{"table1", Figures::vp_hmdb51},
                         {"table2", Figures::vp_hmdb51},
                         {"table3", Figures::pa_hmdb51},
                         {"figure4", Figures::none}};
  static const std::map<std::string, TableData> data = {
      {"synth",
       {.recipe = "tools/recipes/quickstart.toml",
        .source = "make it: stprivacy synthesize runs/data/quickstart --clips 3000 --difficulty 0 --width 48 "
                  "--height 48 --seed 1",
        .weak = 3,
        .strong = 5,
        .tables = {{"table1", Figures::none}, {"table2", Figures::none}, {"figure4", Figures::none}},
        .flags = {"evaluate.frame_attackers=1", "evaluate.reconstruction=true",
                  "evaluate.reconstruction_width=8", "method.width=8", "evaluate.steps=600"},
        .rewriter_flags = {"init.steps=200", "adversarial.steps=700", "adversarial.recogniser_warmup=200"},
        .seen = {"data.classes=[\"burpee\", \"cartwheel\", \"cheer\", \"kick\"]"},
        .unseen = {"data.classes=[\"jumping_jack\", \"lift\", \"skate\", \"squat\"]"}}},
      {"jhmdb10",
       {.recipe = "tools/recipes/jhmdb10.toml",
        .source = "its videos are those of JHMDB (jhmdb.is.tue.mpg.de)",
        .tables = {{"table1", Figures::none}, {"table3", Figures::none}, {"figure4", Figures::none}},
        .by_frames = {"data.frame_labels=../shared/data/pa-hmdb51/PrivacyAttributes"}}},
      {"vp-hmdb51",
       {.recipe = "tools/recipes/vp_hmdb51.toml",
        .source = "its videos are HMDB51's (serre-lab.clps.brown.edu)",
        .tables = hmdb51,
        .seen = dataset("ucf101", 4),
        .by_frames = {"data.frame_labels=data/pa_hmdb51/PrivacyAttributes"}}},
      {"vp-ucf101",
       {.recipe = "tools/recipes/vp_ucf101.toml",
        .source = "its videos are UCF101's (crcv.ucf.edu)",
        .tables = {{"table1", Figures::vp_ucf101}, {"table2", Figures::vp_ucf101}, {"figure4", Figures::none}},
        .seen = dataset("hmdb51", 2)}},
      {"celebv-hq",
       {.recipe = "tools/recipes/celebv_hq.toml",
        .source = "its list and clips are CelebV-HQ's (celebv-hq.github.io)",
        .tables = {{"table4", Figures::celebv_hq}, {"figure4", Figures::none}}}},
      {"p-hvu",
       {.recipe = "tools/recipes/p_hvu.toml",
        .source = "its lists are HVU's (github.com/holistic-video-understanding/HVU-Dataset)",
        .tables = {{"table5", Figures::p_hvu}, {"figure4", Figures::none}}}}};
  return data;
}

// A row of Tables 1, 3, 4 and 5, with the paper's figures in the order of `Figures`.
struct KnownRow {
  TableRow row;
  std::vector<std::optional<PaperFigure>> paper;
};

// A figure of Table 5: cMAP of actions, objects and scenes.
PaperFigure of_groups(double actions, double objects, double scenes) {
  return {actions, 0, 0, {objects, scenes}};
}

std::vector<KnownRow> known_rows(const TableData& data) {
  const auto method = [](const std::string& name) { return "method.name=" + name; };
  const auto kernel = [](int side) { return fmt::format("method.kernel={}", side); };
  const std::string in_motion = "method.region=motion";
  const auto rewriter = [&](const std::string& name) {
    std::vector<std::string> flags = {method(name)};
    flags.insert(flags.end(), data.rewriter_flags.begin(), data.rewriter_flags.end());
    return flags;
  };
  using P = PaperFigure;
  return {
      {{"raw", {method("raw")}},
       {P{51.44, .673, 75.58}, P{84.20, .684, 76.62}, P{51.23, .572, 71.12}, P{73.13, .714, 78.51},
        of_groups(27.28, 15.72, 30.18)}},
      {{"downsample2", {method("downsample"), "method.factor=2"}},
       {P{40.80, .601, 71.35}, P{72.79, .620, 71.49}, P{40.38, .519, 67.81}, P{54.53, .259, 54.33},
        of_groups(17.08, 11.74, 24.77)}},
      {{"downsample4", {method("downsample"), "method.factor=4"}},
       {P{31.32, .594, 69.79}, P{56.07, .615, 69.85}, P{31.24, .511, 67.14}, P{41.67, .244, 47.17},
        of_groups(15.23, 10.66, 22.40)}},
      {{"blackening", {method("blacken"), in_motion}},
       {P{38.27, .649, 74.06}, P{69.41, .660, 75.37}, P{38.09, .557, 70.02}, std::nullopt,
        of_groups(18.51, 14.89, 29.59)}},
      {{"strong_blur", {method("blur"), kernel(data.strong), in_motion}},
       {P{40.91, .655, 74.33}, P{73.94, .672, 75.58}, P{40.64, .560, 70.31}, P{56.77, .331, 63.61},
        of_groups(19.08, 15.01, 29.32)}},
      {{"weak_blur", {method("blur"), kernel(data.weak), in_motion}},
       {P{47.24, .663, 75.11}, P{77.31, .678, 76.03}, P{46.89, .567, 70.74}, P{64.22, .369, 64.19},
        of_groups(21.67, 14.37, 28.68)}},
      {{"collective", rewriter("collective")},
       {P{46.88, .651, 74.12}, P{78.01, .663, 75.22}, P{46.47, .554, 69.96}, P{63.65, .348, 63.20},
        of_groups(22.20, 14.27, 28.79)}},
      {{"vita", rewriter("vita")},
       {P{48.11, .638, 73.89}, P{78.49, .657, 75.36}, P{47.78, .549, 69.45}, P{66.43, .314, 61.09},
        of_groups(22.87, 14.44, 27.76)}},
      {{"spact", rewriter("spact")},
       {P{48.56, .642, 73.78}, P{78.40, .651, 75.29}, P{48.33, .543, 69.44}, P{67.12, .326, 62.78},
        of_groups(23.16, 14.02, 28.59)}},
      {{"stprivacy", {method("stprivacy")}},
       {P{50.73, .613, 72.48}, P{82.55, .634, 73.79}, P{50.61, .523, 68.76}, P{71.37, .280, 59.30},
        of_groups(26.42, 12.38, 25.64)}},
  };
}

// Tables 1, 3, 4 and 5: every method, as the paper's figures of `column` have them.
TablePlan known_table(const std::string& title, const TableData& data, Figures column) {
  TablePlan plan;
  plan.title = title;
  for (KnownRow& known : known_rows(data)) {
    if (column != Figures::none) {
      known.row.paper = known.paper.at(static_cast<std::size_t>(column) - 1);
      if (!known.row.paper) continue;  // the paper has no such row
    }
    plan.rows.push_back(std::move(known.row));
  }
  return plan;
}

// Table 2: methods learn on one data set and are judged on another, whose actions they have not seen.
TablePlan table2(const TableData& data, Figures column) {
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
    if (column != Figures::none) row.paper = paper[column == Figures::vp_hmdb51 ? 0 : 1][i];
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

const TableRow* row_of(const TablePlan& plan, const MethodResult& result) {
  const auto row = std::ranges::find(plan.rows, result.row, &TableRow::name);
  return row == plan.rows.end() ? nullptr : &*row;
}

// Table 5: the cMAP of actions and of each group of attributes.
std::string comparison_by_group(const TablePlan& plan, const Results& results,
                                const std::vector<std::string>& groups) {
  std::string text = fmt::format("{}, {}: cMAP %\n{:<22} {:>8}", plan.title, plan.data, "", "action");
  for (const std::string& group : groups) text += fmt::format(" {:>8}", group);
  text += "   paper\n";
  for (const MethodResult& m : results.methods) {
    text += fmt::format("{:<22} {:>8.2f}", m.row, m.top1);
    for (const std::string& group : groups)
      text += fmt::format(" {:>8.2f}", group_cmap(m, results.attributes, group));
    if (const TableRow* row = row_of(plan, m); row && row->paper)
      text += fmt::format("   {:.2f} {:.2f}", row->paper->top1, fmt::join(row->paper->groups, " "));
    text += "\n";
  }
  return text;
}

}  // namespace

std::vector<std::string> table_names() { return {"table1", "table2", "table3", "table4", "table5", "figure4"}; }

std::vector<std::string> table_data_names() {
  std::vector<std::string> names;
  for (const auto& [name, data] : table_data()) names.push_back(name);
  return names;
}

std::string default_data(const std::string& table) {
  if (table == "table3") return "vp-hmdb51";
  if (table == "table4") return "celebv-hq";
  return table == "table5" ? "p-hvu" : "synth";
}

std::optional<PaperFigure> paper_figure(const std::string& run) {
  for (const auto& [data, known] : table_data()) {
    for (const auto& [table, column] : known.tables) {
      const std::string begin = table + "-" + data + "-";
      if (!run.starts_with(begin) || column == Figures::none) continue;
      for (const TableRow& row : table_plan(table, data).rows)
        if (run == begin + row.name) return row.paper;
    }
  }
  return {};
}

TablePlan table_plan(const std::string& name, const std::string& data, const fs::path& recipe) {
  const std::vector<std::string> names = table_names();
  check(std::ranges::find(names, name) != names.end(), "reproduce: no table '{}'; there are {}", name,
        fmt::join(names, ", "));
  const TableData& known = known_data(data);
  const auto table = known.tables.find(name);
  if (table == known.tables.end()) {
    std::vector<std::string> serving;
    for (const auto& [other, of] : table_data())
      if (of.tables.contains(name)) serving.push_back(other);
    refuse("reproduce: {} has not what {} asks for; take {}", data, name, fmt::join(serving, ", "));
  }
  const Figures column = table->second;
  TablePlan plan = name == "table1"   ? known_table("Table 1: known actions", known, column)
                   : name == "table2" ? table2(known, column)
                   : name == "table3" ? known_table("Table 3: privacy frame by frame", known, column)
                   : name == "table4" ? known_table("Table 4: facial expressions", known, column)
                   : name == "table5" ? known_table("Table 5: actions, objects and scenes", known, column)
                                      : figure4(base_recipe(known, recipe));
  plan.name = name;
  plan = on_data(std::move(plan), data, recipe);
  if (name == "table3") plan.flags.insert(plan.flags.end(), known.by_frames.begin(), known.by_frames.end());
  return plan;
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
  const std::vector<std::string> groups = attribute_groups(results.attributes);
  if (!groups.empty()) return comparison_by_group(plan, results, groups);
  std::string text = fmt::format("{}, {}\n{:<22} {:>7} {:>6} {:>7}   {:>7} {:>6} {:>7}\n", plan.title,
                                 plan.data, "", "top-1 %", "F1", "cMAP %", "paper", "F1", "cMAP %");
  for (const MethodResult& m : results.methods) {
    text += fmt::format("{:<22} {}", m.row, figures(m.top1, m.worst().f1, m.worst().cmap));
    if (const TableRow* row = row_of(plan, m); row && row->paper)
      text += "   " + figures(row->paper->top1, row->paper->f1, row->paper->cmap);
    text += "\n";
  }
  return text;
}

}  // namespace stp

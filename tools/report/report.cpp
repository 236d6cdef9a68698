#include "tools/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/check.h"
#include "engine/file.h"
#include "engine/ops.h"
#include "engine/text.h"
#include "tools/report/chart.h"
#include "tools/report/html.h"
#include "tools/report/pictures.h"

namespace stp {

namespace {

// One judged method of one run.
struct Row {
  std::string name;
  const RunRecord* record = nullptr;
  const MethodResult* result = nullptr;
  double removed = std::numeric_limits<double>::quiet_NaN();
  std::optional<FloorPoint> floor;

  bool weak() const { return floor && attackers_are_weak(*result, *floor); }
};

// Runs on the same clips, labels and split, which one table may hold.
struct Group {
  std::string data;
  std::vector<const RunRecord*> records;
  std::vector<Row> rows;
};

std::string data_of(const Recipe& r) {
  const DataRecipe& d = r.data;
  return fmt::format("{}, split {}{}", d.labels.empty() ? d.videos : d.labels, d.split,
                     d.frame_labels.empty() ? "" : ", privacy by frames of " + d.frame_labels);
}

std::vector<Group> grouped(const std::vector<RunRecord>& records) {
  std::vector<Group> groups;
  for (const RunRecord& record : records) {
    const std::string data = data_of(record.recipe);
    auto group = std::ranges::find(groups, data, &Group::data);
    if (group == groups.end()) group = groups.insert(groups.end(), Group{data, {}, {}});
    group->records.push_back(&record);
  }
  return groups;
}

double raw_cmap(const Group& group) {
  for (const RunRecord* record : group.records)
    if (record->results)
      if (const MethodResult* raw = record->results->find("raw")) return raw->worst().cmap;
  return std::numeric_limits<double>::quiet_NaN();
}

// "strong_blur (blur 5x5 in motion)"; where one run stands alone or is called as its method, that suffices.
std::string row_name(const Group& group, const RunRecord& record, const MethodResult& m) {
  if (group.records.size() == 1 || record.name == m.method) return m.method;
  return fmt::format("{} ({})", record.name, m.method);
}

void fill_rows(Group& group) {
  const double raw = raw_cmap(group);
  for (const RunRecord* record : group.records) {
    if (!record->results) continue;
    for (const MethodResult& m : record->results->methods) {
      Row row;
      row.name = row_name(group, *record, m);
      row.record = record;
      row.result = &m;
      if (m.method != "raw") row.removed = leakage_removed(raw, m.worst().cmap, record->results->chance.cmap);
      if (record->labels && !record->results->many_actions)
        row.floor = action_posterior_floor(record->labels->train, record->labels->test, m.top1 / 100);
      group.rows.push_back(std::move(row));
    }
  }
}

std::string with_interval(double value, const Interval& interval) {
  return fmt::format("{:.2f} [{:.1f}, {:.1f}]", value, interval.low, interval.high);
}

std::string paper_cell(const std::optional<PaperFigure>& paper) {
  if (!paper) return "-";
  if (!paper->groups.empty()) return fmt::format("{:.2f}; {:.2f}", paper->top1, fmt::join(paper->groups, ", "));
  return fmt::format("{:.2f}, {:.3f}, {:.2f}", paper->top1, paper->f1, paper->cmap);
}

std::vector<std::string> cells(const Row& row) {
  const MethodResult& m = *row.result;
  const AttackerResult& worst = m.worst();
  return {row.name,
          with_interval(m.top1, m.top1_interval),
          with_interval(worst.cmap, m.cmap_interval),
          fmt::format("{} (of {})", worst.kind, m.attackers.size()),
          fmt::format("{:.2f}", m.mean_cmap()),
          fmt::format("{:.3f}", worst.f1),
          fmt::format("{:.3f}", worst.f1_logits),
          row.floor ? fmt::format("{:.2f}{}", row.floor->cmap, row.weak() ? " WEAK ATTACKERS" : "") : "-",
          std::isfinite(row.removed) ? fmt::format("{:.0f} %", 100 * row.removed) : "-",
          fmt::format("{:.0f} %", 100 * m.kept),
          m.rebuilt ? fmt::format("{:.1f} dB, {:.3f}", m.rebuilt->psnr, m.rebuilt->ssim) : "-",
          paper_cell(row.record->paper)};
}

std::string action_heading(const RunRecord& record) {
  return fmt::format("action {} %", record.results->action_metric());
}

std::string results_section(const Group& group) {
  std::vector<std::vector<std::string>> rows;
  for (const Row& row : group.rows) rows.push_back(cells(row));
  if (rows.empty()) return element("p", "Not judged yet: phase evaluate of these runs is not finished.");
  const ChancePoints& c = group.rows.front().record->results->chance;
  rows.push_back({"chance: majority, constant scores", fmt::format("{:.2f}", c.top1),
                  fmt::format("{:.2f}", c.cmap), "-", "-", fmt::format("{:.3f}", c.f1_majority), "-", "-", "-",
                  "-", "-", "-"});
  rows.push_back({"chance: all present", "-", "-", "-", "-", fmt::format("{:.3f}", c.f1_ones), "-", "-", "-",
                  "-", "-", "-"});
  return html_table(
             {"", action_heading(*group.rows.front().record) + " [95 %]",
              "privacy cMAP % of the worst attacker [95 %]", "worst attacker", "mean cMAP %", "F1 at p > 0.5",
              "F1 of logits > 0.5", "floor: cMAP % by the action alone", "leakage above chance removed",
              "tubelets kept", "rebuilt: PSNR, SSIM", "paper: top-1, F1, cMAP"},
             rows) +
         "<p class=\"note\">Attackers start afresh on what each method delivers and are judged by their last "
         "state. A "
         "cMAP below the floor means that the attackers were weak, not that the method is private.</p>\n";
}

std::string attackers_section(const Group& group) {
  std::vector<std::vector<std::string>> rows;
  for (const Row& row : group.rows)
    for (const AttackerResult& a : row.result->attackers)
      rows.push_back({row.name, a.kind, fmt::format("{:016x}", a.seed), fmt::format("{:.2f}", a.cmap),
                      fmt::format("{:.3f}", a.f1), fmt::format("{:.3f}", a.f1_logits)});
  if (rows.empty()) return "";
  return "<details><summary>Every attacker with its seed</summary>\n" +
         html_table({"", "attacker", "seed", "cMAP %", "F1", "F1 of logits"}, rows) + "</details>\n";
}

// What an attacker gets who knows only the action, at every accuracy.
Curve floor_curve(const RunRecord& record) {
  Curve curve = {"floor: what the action alone reveals", {}, true};
  constexpr int kPoints = 20;
  for (int i = 0; i <= kPoints; ++i) {
    const double accuracy = static_cast<double>(i) / kPoints;
    curve.points.push_back(
        {100 * accuracy, action_posterior_floor(record.labels->train, record.labels->test, accuracy).cmap});
  }
  return curve;
}

std::string trade_off(const Group& group) {
  std::vector<Curve> curves;
  std::vector<Mark> marks;
  if (group.rows.empty()) return "";
  const RunRecord& first = *group.rows.front().record;
  if (first.labels && !first.results->many_actions) curves.push_back(floor_curve(first));
  for (const Row& row : group.rows) {
    const MethodResult& m = *row.result;
    marks.push_back({row.name, m.top1, m.worst().cmap, m.top1_interval, m.cmap_interval, false});
  }
  for (const Row& row : group.rows)
    if (row.record->paper && row.record->paper->groups.empty())
      marks.push_back(
          {row.name + ", the paper's", row.record->paper->top1, row.record->paper->cmap, {}, {}, true});
  return xy_chart(
      {"Trade-off: right and low is better", action_heading(first), "privacy cMAP %, worst attacker", {}, {}},
      curves, marks);
}

std::string attribute_bars(const Group& group) {
  if (group.rows.empty()) return "";
  const RunRecord& record = *group.rows.front().record;
  const std::vector<std::string>& attributes = record.results->attributes;
  const std::vector<std::string> groups = attribute_groups(attributes);
  std::vector<BarSet> sets;
  for (const Row& row : group.rows) {
    BarSet set = {row.name, {}};
    for (const std::string& name : groups) set.values.push_back(group_cmap(*row.result, attributes, name));
    for (std::size_t a = 0; groups.empty() && a < attributes.size(); ++a)
      set.values.push_back(100 * row.result->worst().precisions[a]);
    sets.push_back(std::move(set));
  }
  if (!groups.empty())
    return bar_chart({"Best attacker of each group", "", "cMAP %", {}, Interval{0, 100}}, groups, sets, {});
  std::vector<double> shares;
  if (record.labels) {
    const std::size_t A = record.labels->test.attributes, n = record.labels->test.actions.size();
    shares.assign(A, 0.0);
    for (std::size_t i = 0; i < n * A; ++i)
      shares[i % A] += 100.0 * record.labels->test.positive[i] / static_cast<double>(n);
  }
  return bar_chart({"Worst attacker, attribute by attribute; the lines are chance",
                    "",
                    "average precision %",
                    {},
                    Interval{0, 100}},
                   attributes, sets, shares);
}

// The series of a stage whose name begins and ends so, under the name without its end.
std::vector<Curve> curves_of(const StageHistory& stage, std::string_view begin, std::string_view end) {
  std::vector<Curve> curves;
  for (const Series& series : stage.series) {
    if (!series.name.starts_with(begin) || !series.name.ends_with(end)) continue;
    Curve curve = {series.name.substr(0, series.name.size() - end.size()), {}, false};
    for (const Series::Point& p : series.points) curve.points.push_back({static_cast<double>(p.step), p.value});
    curves.push_back(std::move(curve));
  }
  return curves;
}

std::string training_charts(const RunRecord& record) {
  std::string charts;
  for (const StageHistory& stage : record.stages) {
    const std::string title = record.name + ", " + stage.name;
    if (const auto losses = curves_of(stage, "", "_loss"); !losses.empty())
      charts += xy_chart({title + ": losses", "step", "loss", {}, {}}, losses);
    if (const auto kept = curves_of(stage, "keep_", ""); !kept.empty())
      charts += xy_chart(
          {title + ": share of tokens kept after each scorer", "step", "share", {}, Interval{0, 1}}, kept);
    if (const auto rates = curves_of(stage, "rate", ""); !rates.empty())
      charts += xy_chart({title + ": learning rate", "step", "rate", {}, {}}, rates);
  }
  return charts;
}

std::string training_section(const std::vector<RunRecord>& records) {
  std::string charts;
  for (const RunRecord& record : records) charts += training_charts(record);
  if (charts.empty()) return element("p", "Nothing is logged yet.");
  return "<div class=\"charts\">" + charts + "</div>\n";
}

// Pictures until their bytes are spent.
class Album {
 public:
  explicit Album(std::size_t bytes) : left_(bytes) {}

  std::string show(const Strip& strip) {
    const std::vector<std::uint8_t> png = png_of(strip.picture.rgb, strip.picture.width, strip.picture.height);
    const std::string data = base64(png);
    if (data.size() > left_) {
      ++omitted_;
      return "";
    }
    left_ -= data.size();
    return fmt::format(
        "<figure class=\"strip\"><figcaption>{0}</figcaption><img alt=\"{0}\" width=\"{1}\" "
        "height=\"{2}\" src=\"data:image/png;base64,{3}\"></figure>\n",
        escaped(strip.caption), strip.picture.width, strip.picture.height, data);
  }
  int omitted() const { return omitted_; }

 private:
  std::size_t left_;
  int omitted_ = 0;
};

std::string slots_chart(const std::string& run, const ClipStrips& clip) {
  std::vector<std::string> slots;
  std::vector<BarSet> sets;
  for (const std::vector<double>& shares : clip.kept_of_slot) {
    BarSet set = {fmt::format("after scorer {}", sets.size() + 1), {}};
    for (const double share : shares) set.values.push_back(100 * share);
    sets.push_back(std::move(set));
  }
  if (sets.empty()) return "";
  for (std::size_t s = 0; s < sets.front().values.size(); ++s) slots.push_back(fmt::format("{}", s + 1));
  return bar_chart({fmt::format("{}, {}: tubelets left in each time slot", run, clip.name),
                    "time slot",
                    "left %",
                    {},
                    Interval{0, 100}},
                   slots, sets);
}

std::string clips_section(const RunRecord& record, const Backend& backend, int count, Album& album) {
  if (count == 0) return "";
  if (record.recipe.method.name != "stprivacy")
    return element("p", fmt::format("{}: no anonymiser of ours to show at work.", record.name));
  std::vector<ClipStrips> clips;
  try {
    clips = draw_clips(record, backend, count);
  } catch (const Error& error) {
    return element("p", fmt::format("{}: no clips to show: {}", record.name, error.what()));
  }
  std::string text, charts;
  for (const ClipStrips& clip : clips) {
    text += element("h3", fmt::format("{}: {}", record.name, clip.name));
    for (const Strip& strip : clip.strips) text += album.show(strip);
    charts += slots_chart(record.name, clip);
  }
  return text + "<div class=\"charts\">" + charts + "</div>\n";
}

std::string repeat_section(const std::vector<RunRecord>& records, const ReportOptions& options) {
  std::vector<std::vector<std::string>> rows;
  std::string commands, recipes;
  for (const RunRecord& record : records) {
    const std::string config = (record.folder / "config.toml").string();
    rows.push_back({record.name, fmt::format("{}", record.recipe.seed), config});
    commands += fmt::format("stprivacy train {} --run NEW_FOLDER\n", shell_word(config));
    recipes += "<details><summary>" + escaped(record.name + ": the whole recipe") + "</summary>" +
               preformatted(resolved(record.recipe)) + "</details>\n";
  }
  for (const std::string& command : options.commands) commands += command + "\n";
  const DeviceFacts cpu = facts_of(Device::cpu);
  return element("h2", "How to repeat it") + html_table({"run", "seed", "recipe"}, rows) +
         preformatted(commands) +
         element("p", fmt::format(
                          "Written by stprivacy {}, built by {}; processor {}, {} {}.{}.{}. The same seed and "
                          "build give the same bits on the same machine.",
                          STP_VERSION, __VERSION__, cpu.instructions, cpu.library, cpu.version[0],
                          cpu.version[1], cpu.version[2])) +
         recipes;
}

std::string group_section(Group& group) {
  fill_rows(group);
  std::string text = element("h2", "Results: " + group.data) + results_section(group);
  for (const RunRecord* record : group.records)
    if (!record->no_data.empty())
      text += "<p class=\"note\">" +
              escaped(record->name + ": no floor, for its data is not here: " + record->no_data) + "</p>\n";
  text += "<div class=\"charts\">" + trade_off(group) + attribute_bars(group) + "</div>\n";
  return text + attackers_section(group);
}

}  // namespace

std::string report_html(const std::vector<RunRecord>& records, const Backend& backend,
                        const ReportOptions& options) {
  std::string body = element("h1", options.title);
  std::vector<Group> groups = grouped(records);
  for (Group& group : groups) body += group_section(group);
  body += element("h2", "Training") + training_section(records);
  Album album(options.picture_bytes);
  body += element("h2", "Clips");
  for (const RunRecord& record : records) body += clips_section(record, backend, options.clips, album);
  if (album.omitted() > 0)
    body += element("p", fmt::format("{} pictures were left out to keep the file small.", album.omitted()));
  body += repeat_section(records, options);
  return html_page(options.title, body);
}

}  // namespace stp

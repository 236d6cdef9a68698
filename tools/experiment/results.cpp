#include "tools/experiment/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/check.h"
#include "engine/file.h"

namespace stp {

namespace {

using Json = nlohmann::ordered_json;

std::string line(const std::string& name, double top1, double f1, double cmap, const std::string& note) {
  const std::string accuracy = std::isnan(top1) ? "-" : fmt::format("{:.2f}", top1);
  return fmt::format("{:<34} {:>8} {:>8.3f} {:>8.2f}  {}\n", name, accuracy, f1, cmap, note);
}

Interval interval_from(const Json& json) { return {json.at(0), json.at(1)}; }

// "; object 12.38, scene 25.64"
std::string groups_note(const MethodResult& m, const std::vector<std::string>& attributes) {
  std::string note;
  for (const std::string& group : attribute_groups(attributes))
    note += fmt::format("{} {} {:.2f}", note.empty() ? ";" : ",", group, group_cmap(m, attributes, group));
  return note;
}

// "95 %: top-1 91.2-93.4, cMAP 52.1-55.0; worst of 5 attackers (vit), mean cMAP 52.97"
std::string attackers_note(const MethodResult& m, const char* metric) {
  const Interval &top1 = m.top1_interval, &cmap = m.cmap_interval;
  std::string note = fmt::format("95 %: {} {:.1f}-{:.1f}, cMAP {:.1f}-{:.1f}", metric, top1.low, top1.high,
                                 cmap.low, cmap.high);
  note += fmt::format("; worst of {} attackers ({}), mean cMAP {:.2f}", m.attackers.size(), m.worst().kind,
                      m.mean_cmap());
  if (m.rebuilt)
    note += fmt::format("; rebuilt at PSNR {:.1f} dB, SSIM {:.3f}", m.rebuilt->psnr, m.rebuilt->ssim);
  return note;
}

}  // namespace

const AttackerResult& MethodResult::worst() const {
  check(!attackers.empty(), "results: {} has no attacker", method);
  return *std::max_element(attackers.begin(), attackers.end(),
                           [](const AttackerResult& a, const AttackerResult& b) { return a.cmap < b.cmap; });
}

double MethodResult::mean_cmap() const {
  double sum = 0;
  for (const AttackerResult& a : attackers) sum += a.cmap;
  return sum / static_cast<double>(attackers.size());
}

const MethodResult* Results::find(const std::string& method) const {
  for (const MethodResult& m : methods) {
    if (m.method == method) return &m;
  }
  return nullptr;
}

std::vector<std::string> attribute_groups(const std::vector<std::string>& attributes) {
  std::vector<std::string> groups;
  for (const std::string& name : attributes) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos) return {};
    if (std::ranges::find(groups, name.substr(0, slash)) == groups.end())
      groups.push_back(name.substr(0, slash));
  }
  return groups;
}

double group_cmap(const MethodResult& method, const std::vector<std::string>& attributes,
                  const std::string& group) {
  double best = 0;
  for (const AttackerResult& attacker : method.attackers) {
    double sum = 0, present = 0;
    for (std::size_t a = 0; a < attributes.size(); ++a) {
      if (!attributes[a].starts_with(group + "/")) continue;
      sum += attacker.precisions[a];
      present += attacker.precisions[a] > 0 ? 1 : 0;  // 0 only where no test clip has it
    }
    if (present > 0) best = std::max(best, 100 * sum / present);
  }
  return best;
}

Json to_json(const Results& results) {
  Json json;
  json["attributes"] = results.attributes;
  if (results.many_actions) json["many_actions"] = true;
  json["chance"] = {{"top1", results.chance.top1},
                    {"cmap", results.chance.cmap},
                    {"f1_all_ones", results.chance.f1_ones},
                    {"f1_majority", results.chance.f1_majority}};
  json["methods"] = Json::array();
  for (const MethodResult& m : results.methods) {
    Json row = {{"method", m.method},
                {"top1", m.top1},
                {"top1_interval", {m.top1_interval.low, m.top1_interval.high}},
                {"cmap_interval", {m.cmap_interval.low, m.cmap_interval.high}},
                {"kept", m.kept},
                {"attackers", Json::array()}};
    if (!m.row.empty()) row["row"] = m.row;
    if (m.rebuilt) row["rebuilt"] = {{"psnr", m.rebuilt->psnr}, {"ssim", m.rebuilt->ssim}};
    for (const AttackerResult& a : m.attackers) {
      row["attackers"].push_back({{"kind", a.kind},
                                  {"seed", a.seed},
                                  {"cmap", a.cmap},
                                  {"f1", a.f1},
                                  {"f1_logits", a.f1_logits},
                                  {"ap", a.precisions}});
    }
    json["methods"].push_back(row);
  }
  return json;
}

Results results_from_json(const Json& json) {
  Results results;
  results.attributes = json.at("attributes").get<std::vector<std::string>>();
  results.many_actions = json.value("many_actions", false);
  const Json& chance = json.at("chance");
  results.chance = {chance.at("top1"), chance.at("cmap"), chance.at("f1_all_ones"), chance.at("f1_majority")};
  for (const Json& row : json.at("methods")) {
    MethodResult m;
    m.method = row.at("method");
    m.row = row.value("row", "");
    m.top1 = row.at("top1");
    m.top1_interval = interval_from(row.at("top1_interval"));
    m.cmap_interval = interval_from(row.at("cmap_interval"));
    m.kept = row.at("kept");
    for (const Json& a : row.at("attackers"))
      m.attackers.push_back(
          {a.at("kind"), a.at("seed"), a.at("cmap"), a.at("f1"), a.at("f1_logits"), a.at("ap")});
    if (row.contains("rebuilt")) m.rebuilt = {row["rebuilt"].at("psnr"), row["rebuilt"].at("ssim")};
    results.methods.push_back(m);
  }
  return results;
}

Json read_json(const std::filesystem::path& file) {
  constexpr std::uint64_t kLimit = 16u << 20;
  Json json = Json::parse(read_text(file, kLimit), nullptr, false);
  check(!json.is_discarded(), "{}: not JSON; restore the file", shown(file));
  return json;
}

Results results_from(const Json& json, const std::filesystem::path& file) {
  try {
    Results results = results_from_json(json);
    for (const MethodResult& m : results.methods) m.worst();  // throws without attackers
    return results;
  } catch (const nlohmann::json::exception& error) {
    refuse("{}: no results of this program: {}", shown(file), error.what());
  }
}

bool attackers_are_weak(const MethodResult& method, const FloorPoint& floor) {
  constexpr double kMargin = 1.0;  // percent points
  return method.worst().cmap < floor.cmap - kMargin;
}

double leakage_removed(const Results& results, const MethodResult& method) {
  const MethodResult* raw = results.find("raw");
  if (!raw) return std::numeric_limits<double>::quiet_NaN();
  return leakage_removed(raw->worst().cmap, method.worst().cmap, results.chance.cmap);
}

std::string results_table(const Results& results, const JudgedLabels& labels) {
  std::string text = fmt::format("{:<34} {:>8} {:>8} {:>8}\n", "",
                                 results.many_actions ? "actions: cMAP" : "top-1 %", "F1", "cMAP %");
  const double none = std::numeric_limits<double>::quiet_NaN();
  const auto floor_of = [&](const MethodResult& m) {
    return action_posterior_floor(labels.train, labels.test, m.top1 / 100);
  };
  for (const MethodResult& m : results.methods) {
    std::string note = attackers_note(m, results.action_metric()) + groups_note(m, results.attributes);
    const double removed = leakage_removed(results, m);
    if (m.method != "raw" && std::isfinite(removed)) {
      note += fmt::format("; {:.0f} % of the leakage above chance removed", 100 * removed);
    }
    // Of several actions a clip no floor is known at a method's own accuracy.
    if (!results.many_actions && attackers_are_weak(m, floor_of(m)))
      note += "; WEAK ATTACKERS: below what the action alone reveals";
    text += line(m.method, m.top1, m.worst().f1, m.worst().cmap, note);
  }
  const ChancePoints& c = results.chance;
  text += line(results.many_actions ? "chance (constant scores)" : "chance (majority, constant scores)", c.top1,
               c.f1_majority, c.cmap, fmt::format("F1 of all ones {:.3f}", c.f1_ones));
  if (results.many_actions) {
    const FloorPoint floor = action_posterior_floor(labels.train, labels.test, 1);
    return text + line("floor of the true actions", none, floor.f1, floor.cmap,
                       "what all actions of a clip reveal, were they known");
  }
  for (const MethodResult& m : results.methods) {
    const FloorPoint floor = floor_of(m);
    text += line("action-posterior floor of " + m.method, none, floor.f1, floor.cmap,
                 "what its accuracy alone reveals");
  }
  return text;
}

}  // namespace stp

// What an evaluation found, as JSON and as a table for people.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/experiment/metrics.h"

namespace stp {

// One attacker, trained afresh.
struct AttackerResult {
  std::string kind =
      "vit";  // who it is: watchers.h; "posterior" and "action" know only what the action recogniser says
  std::uint64_t seed = 0;
  double cmap = 0, f1 = 0, f1_logits = 0;
  std::vector<double> precisions;  // AP of each attribute
};

// Frames that an attacker rebuilt, beside the raw ones: means over the frames of the test clips.
struct Rebuilt {
  double psnr = 0;  // dB
  double ssim = 0;
};

// One method judged: an action recogniser and several attackers trained afresh on what it delivers.
struct MethodResult {
  std::string method;  // Recipe::method_label
  std::string row;     // of a table of several runs: the run's name there; empty in a run's own results
  double top1 = 0;     // of several actions a clip: their cMAP
  Interval top1_interval, cmap_interval;  // 95 % over the test clips; cmap of the worst attacker
  double kept = 1;                        // part of the tokens that are delivered
  std::vector<AttackerResult> attackers;
  std::optional<Rebuilt> rebuilt;  // if an attacker wanted the picture itself

  const AttackerResult& worst() const;  // for the person: the attacker with the highest cMAP
  double mean_cmap() const;
};

struct Results {
  std::vector<MethodResult> methods;
  ChancePoints chance;
  std::vector<std::string> attributes;  // "GROUP/NAME" where they are of several groups
  bool many_actions = false;            // a clip may show several

  // What tells how well actions are recognised: "top-1", or their "cMAP".
  const char* action_metric() const { return many_actions ? "cMAP" : "top-1"; }
  const MethodResult* find(const std::string& method) const;
};

nlohmann::ordered_json to_json(const Results& results);
Results results_from_json(const nlohmann::ordered_json& json);

// The same from a file that anyone may have touched: Error (usage) naming it if it holds something else.
nlohmann::ordered_json read_json(const std::filesystem::path& file);
Results results_from(const nlohmann::ordered_json& json, const std::filesystem::path& file);

// The groups of attributes called "GROUP/NAME", in their order; none if they have no groups.
std::vector<std::string> attribute_groups(const std::vector<std::string>& attributes);
// The mean AP of a group's attributes that a test clip has, in percent, of the attacker who is best at them.
double group_cmap(const MethodResult& method, const std::vector<std::string>& attributes,
                  const std::string& group);

// Rows: each method, chance, and what the action alone reveals at each method's accuracy. A method below the
// floor is marked: its attackers were weak, it is not private.
std::string results_table(const Results& results, const JudgedLabels& labels);

// Whether the strongest attacker knows less than the action alone reveals: then the attackers were weak, and
// the method is not private. A floor estimated by a few draws may lie a percent point too high.
bool attackers_are_weak(const MethodResult& method, const FloorPoint& floor);

// (raw - method) / (raw - chance): the part of the leakage above chance that a method removed, under the worst
// attackers. NaN if raw leaks nothing.
double leakage_removed(const Results& results, const MethodResult& method);

}  // namespace stp

#include "tools/experiment/history.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/check.h"
#include "engine/events.h"

namespace stp {

namespace {

using Json = nlohmann::ordered_json;

void add_point(StageHistory& stage, const std::string& name, std::int64_t step, const Json& value) {
  if (!value.is_number()) return;
  auto series = std::ranges::find(stage.series, name, &Series::name);
  if (series == stage.series.end()) series = stage.series.insert(stage.series.end(), Series{name, {}});
  series->points.push_back({step, value});
}

void add_step(StageHistory& stage, const Json& line) {
  const std::int64_t step = line.at("step");
  for (const auto& [key, value] : line.items()) {
    if (key == "step") continue;
    if (!value.is_array()) add_point(stage, key, step, value);
    for (std::size_t i = 0; value.is_array() && i < value.size(); ++i)
      add_point(stage, fmt::format("{}_{}", key, i + 1), step, value[i]);
  }
}

}  // namespace

std::vector<StageHistory> history_of_log(std::string_view log, const std::string& source) {
  std::vector<StageHistory> stages;
  for (std::int64_t number = 1; !log.empty(); ++number) {
    const std::size_t end = std::min(log.find('\n'), log.size());
    try {
      const Json line = Json::parse(log.substr(0, end));
      if (line.at("event") == "step") {
        const std::string name = line.at("stage");
        if (stages.empty() || stages.back().name != name) stages.push_back({name, {}});
        add_step(stages.back(), line);
      }
    } catch (const nlohmann::json::exception&) {
      refuse("{}:{}: no line of a log of this program; restore the file", source, number);
    }
    log.remove_prefix(std::min(end + 1, log.size()));
  }
  return stages;
}

std::string event_file(const std::vector<StageHistory>& history) {
  EventRecords records;
  for (const StageHistory& stage : history)
    for (const Series& series : stage.series)
      for (const Series::Point& point : series.points)
        records.scalar(stage.name + "/" + series.name, point.step, point.value);
  return records.bytes();
}

}  // namespace stp

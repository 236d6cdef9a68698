// What the log of a run tells about its steps, as series of numbers: for charts, and for TensorBoard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stp {

struct Series {
  struct Point {
    std::int64_t step = 0;
    double value = 0;
  };
  std::string name;  // the key of the log; element i of an array "keep" is "keep_i", from 1 on
  std::vector<Point> points;
};

struct StageHistory {
  std::string name;
  std::vector<Series> series;
};

// The step events of log.jsonl, by stages in their order. Numbers only: "nan" is left out. `source` names the
// log in messages. Throws Error (usage) naming the line for text that is no log of this program.
std::vector<StageHistory> history_of_log(std::string_view log, const std::string& source);

// The same as the content of a TensorBoard event file, tags STAGE/SERIES.
std::string event_file(const std::vector<StageHistory>& history);

}  // namespace stp

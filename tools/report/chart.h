// Charts as inline SVG: no script, no library. Each is a <figure> with its title, the drawing and a legend.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/experiment/metrics.h"

namespace stp {

struct Axes {
  std::string title, x, y;                   // of the chart, and what the axes measure
  std::optional<Interval> range_x, range_y;  // else what the values need
};

struct Curve {
  struct Point {
    double x = 0, y = 0;
  };
  std::string name;
  std::vector<Point> points;
  bool dashed = false;  // a reference, not a measurement
};

// A point with its 95 % intervals; hollow: somebody else's figure.
struct Mark {
  std::string name;
  double x = 0, y = 0;
  std::optional<Interval> interval_x, interval_y;
  bool hollow = false;
};

// Curves and marks in one frame. Marks carry numbers, which the legend explains. Points that are not finite are
// left out, and of long curves those that would not be seen: a chart takes a few kilobytes, however long the
// run was.
std::string xy_chart(const Axes& axes, const std::vector<Curve>& curves, const std::vector<Mark>& marks = {});

struct BarSet {
  std::string name;
  std::vector<double> values;  // one for each group
};

// Bars side by side in groups; `references`, if given, is a line across each group.
std::string bar_chart(const Axes& axes, const std::vector<std::string>& groups, const std::vector<BarSet>& sets,
                      const std::vector<double>& references = {});

// Round numbers that cut the range into about `count` parts, all inside it.
std::vector<double> ticks(const Interval& range, int count);

}  // namespace stp

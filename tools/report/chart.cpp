#include "tools/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tools/report/html.h"

namespace stp {

namespace {

// Okabe and Ito's colours, which the colour-blind tell apart as well; black comes last.
constexpr std::array<const char*, 8> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#8c6d31", "#333333"};
const char* colour(std::size_t i) { return kColours[i % kColours.size()]; }

// The drawing in its own units; the page scales it.
constexpr double kWidth = 640, kHeight = 400, kLeft = 72, kRight = 14, kTop = 12, kBottom = 52;

void include(std::optional<Interval>& range, double value) {
  if (!std::isfinite(value)) return;
  if (!range) range = Interval{value, value};
  range->low = std::min(range->low, value);
  range->high = std::max(range->high, value);
}

// The range with some air, and never empty.
Interval roomy(const std::optional<Interval>& range) {
  Interval r = range.value_or(Interval{0, 1});
  const double air = r.high > r.low ? 0.05 * (r.high - r.low) : std::max(0.5, 0.05 * std::abs(r.high));
  return {r.low - air, r.high + air};
}

// From values to the drawing.
class PlotArea {
 public:
  PlotArea(const Interval& x, const Interval& y) : x_(x), y_(y) {}
  double x(double value) const {
    return kLeft + (value - x_.low) / (x_.high - x_.low) * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    return kHeight - kBottom - (value - y_.low) / (y_.high - y_.low) * (kHeight - kTop - kBottom);
  }
  const Interval& range_x() const { return x_; }
  const Interval& range_y() const { return y_; }

 private:
  Interval x_, y_;
};

std::string text_at(double x, double y, std::string_view anchor, std::string_view words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(words));
}

std::string line_between(double x0, double y0, double x1, double y1, std::string_view stroke,
                         double width = 1) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x0,
      y0, x1, y1, stroke, width);
}

std::string number(double value) { return fmt::format("{:.6g}", std::abs(value) < 1e-12 ? 0 : value); }

std::string grid_y(const PlotArea& area) {
  std::string text;
  for (const double t : ticks(area.range_y(), 6)) {
    text += line_between(kLeft, area.y(t), kWidth - kRight, area.y(t), "#e3e3e3");
    text += text_at(kLeft - 8, area.y(t) + 4, "end", number(t));
  }
  return text;
}

std::string grid_x(const PlotArea& area) {
  std::string text;
  for (const double t : ticks(area.range_x(), 7)) {
    text += line_between(area.x(t), kTop, area.x(t), kHeight - kBottom, "#f0f0f0");
    text += text_at(area.x(t), kHeight - kBottom + 18, "middle", number(t));
  }
  return text;
}

std::string axis_names(const Axes& axes) {
  const double middle = (kTop + kHeight - kBottom) / 2;
  return line_between(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "#555") +
         text_at((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", axes.x) +
         fmt::format(
             "<text x=\"14\" y=\"{0:.1f}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {0:.1f})\">"
             "{1}</text>\n",
             middle, escaped(axes.y));
}

// The finite points, and no more than a drawing this wide can show: of each stretch the lowest and the
// highest, so that no peak is lost.
std::vector<Curve::Point> thinned(std::vector<Curve::Point> points) {
  constexpr std::size_t kStretches = 200;
  std::erase_if(points, [](const Curve::Point& p) { return !std::isfinite(p.x) || !std::isfinite(p.y); });
  if (points.size() <= 2 * kStretches) return points;
  std::vector<Curve::Point> some;
  for (std::size_t i = 0; i < kStretches; ++i) {
    const auto at = [&](std::size_t n) {
      return points.begin() + static_cast<std::ptrdiff_t>(n * points.size() / kStretches);
    };
    auto [low, high] = std::ranges::minmax_element(at(i), at(i + 1), {}, &Curve::Point::y);
    if (low > high) std::swap(low, high);
    some.push_back(*low);
    if (high != low) some.push_back(*high);
  }
  return some;
}

std::string polyline(const PlotArea& area, const Curve& curve, std::string_view stroke) {
  std::string points;
  for (const Curve::Point& p : thinned(curve.points))
    points += fmt::format("{:.1f},{:.1f} ", area.x(p.x), area.y(p.y));
  return fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"{} points=\"{}\"/>\n", stroke,
                     curve.dashed ? " stroke-dasharray=\"6 4\"" : "", points);
}

std::string mark_at(const PlotArea& area, const Mark& mark, std::size_t index) {
  const double x = area.x(mark.x), y = area.y(mark.y);
  const char* stroke = colour(index);
  std::string text;
  if (mark.interval_x)
    text += line_between(area.x(mark.interval_x->low), y, area.x(mark.interval_x->high), y, stroke, 1.5);
  if (mark.interval_y)
    text += line_between(x, area.y(mark.interval_y->low), x, area.y(mark.interval_y->high), stroke, 1.5);
  text += fmt::format(
      "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" fill=\"{}\" stroke=\"{}\" stroke-width=\"2\"/>\n", x, y,
      mark.hollow ? "#fff" : stroke, stroke);
  return text + text_at(x + 8, y - 7, "start", fmt::format("{}", index + 1));
}

struct Entry {
  std::string name, colour;
};

std::string figure(const Axes& axes, const std::string& drawing, const std::vector<Entry>& entries) {
  std::string legend;
  for (const Entry& e : entries)
    legend += fmt::format("<li><i style=\"background:{}\"></i>{}</li>", e.colour, escaped(e.name));
  return fmt::format(
      "<figure class=\"chart\"><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {1} {2}\" role=\"img\" "
      "aria-label=\"{0}\">\n{3}</svg>\n<ul class=\"legend\">{4}</ul></figure>\n",
      escaped(axes.title), kWidth, kHeight, drawing, legend);
}

constexpr const char* kReference = "#888";

}  // namespace

std::vector<double> ticks(const Interval& range, int count) {
  const double rough = (range.high - range.low) / std::max(1, count);
  if (!(rough > 0) || !std::isfinite(rough)) return {range.low};
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough) step = factor * power;
  std::vector<double> found;
  const double slack = 1e-9 * step;
  for (double t = std::ceil((range.low - slack) / step); t * step <= range.high + slack; ++t)
    found.push_back(t * step);
  return found;
}

std::string xy_chart(const Axes& axes, const std::vector<Curve>& curves, const std::vector<Mark>& marks) {
  std::optional<Interval> across, along;
  for (const Curve& curve : curves) {
    for (const Curve::Point& p : curve.points) {
      include(across, p.x);
      include(along, p.y);
    }
  }
  for (const Mark& mark : marks) {
    include(across, mark.x);
    include(along, mark.y);
    for (const double v : {mark.interval_x.value_or(Interval{mark.x, mark.x}).low,
                           mark.interval_x.value_or(Interval{mark.x, mark.x}).high})
      include(across, v);
    for (const double v : {mark.interval_y.value_or(Interval{mark.y, mark.y}).low,
                           mark.interval_y.value_or(Interval{mark.y, mark.y}).high})
      include(along, v);
  }
  const PlotArea area(axes.range_x.value_or(roomy(across)), axes.range_y.value_or(roomy(along)));
  std::string drawing = grid_x(area) + grid_y(area) + axis_names(axes);
  std::vector<Entry> entries;
  std::size_t next = 0;
  for (const Curve& curve : curves) {
    const std::string stroke = curve.dashed ? kReference : colour(next++);
    drawing += polyline(area, curve, stroke);
    entries.push_back({curve.name, stroke});
  }
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (!std::isfinite(marks[i].x) || !std::isfinite(marks[i].y)) continue;
    drawing += mark_at(area, marks[i], i);
    entries.push_back({fmt::format("{} {}", i + 1, marks[i].name), colour(i)});
  }
  return figure(axes, drawing, entries);
}

std::string bar_chart(const Axes& axes, const std::vector<std::string>& groups, const std::vector<BarSet>& sets,
                      const std::vector<double>& references) {
  std::optional<Interval> along = Interval{0, 0};
  for (const BarSet& set : sets)
    for (const double v : set.values) include(along, v);
  for (const double v : references) include(along, v);
  const Interval needed = {along->low, along->high > 0 ? along->high * 1.05 : 1};
  const PlotArea area({0, static_cast<double>(std::max<std::size_t>(groups.size(), 1))},
                      axes.range_y.value_or(needed));
  std::string drawing = grid_y(area) + axis_names(axes);
  std::vector<Entry> entries;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    entries.push_back({sets[s].name, colour(s)});
    const double width = 0.8 / static_cast<double>(sets.size());
    for (std::size_t g = 0; g < groups.size() && g < sets[s].values.size(); ++g) {
      const double v = sets[s].values[g];
      if (!std::isfinite(v)) continue;
      const double left = static_cast<double>(g) + 0.1 + static_cast<double>(s) * width;
      const double x0 = area.x(left), x1 = area.x(left + 0.92 * width);
      const double base = area.y(std::max(0.0, area.range_y().low)), top = area.y(v);
      drawing +=
          fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n", x0,
                      std::min(top, base), x1 - x0, std::abs(base - top), colour(s));
    }
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const double middle = static_cast<double>(g) + 0.5;
    drawing += text_at(area.x(middle), kHeight - kBottom + 18, "middle", groups[g]);
    if (g < references.size())
      drawing += line_between(area.x(middle - 0.45), area.y(references[g]), area.x(middle + 0.45),
                              area.y(references[g]), "#000", 2);
  }
  return figure(axes, drawing, entries);
}

}  // namespace stp

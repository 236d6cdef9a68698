#include "bench/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace stp::bench {

namespace {

constexpr double kWidth = 1120, kHeight = 460, kLeft = 70, kRight = 530, kTop = 40, kBottom = 50;
constexpr std::array<const char*, 8> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#8c6d31", "#333333"};

// Whole powers of ten around positive values.
struct Decades {
  int low = 0, high = 1;
  void include(double value) {
    low = std::min(low, static_cast<int>(std::floor(std::log10(value))));
    high = std::max(high, static_cast<int>(std::ceil(std::log10(value))));
  }
  double part(double value) const { return (std::log10(value) - low) / (high - low); }
};

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) safe += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return safe;
}

class Drawing {
 public:
  Drawing(const Decades& x, const Decades& y) : x_(x), y_(y) {}
  double x(double intensity) const { return kLeft + x_.part(intensity) * (kWidth - kLeft - kRight); }
  double y(double rate) const { return kHeight - kBottom - y_.part(rate) * (kHeight - kTop - kBottom); }

  void line(double x0, double y0, double x1, double y1, const char* style) {
    text_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x0, y0, x1, y1,
                         style);
  }
  void words(double x, double y, const char* anchor, const std::string& words) {
    text_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                         escaped(words));
  }
  void axes() {
    for (int d = x_.low; d <= x_.high; ++d) {
      const double at = std::pow(10, d);
      line(x(at), kTop, x(at), kHeight - kBottom, "stroke=\"#e3e3e3\"");
      words(x(at), kHeight - kBottom + 18, "middle", fmt::format("{:g}", at));
    }
    for (int d = y_.low; d <= y_.high; ++d) {
      const double at = std::pow(10, d);
      line(kLeft, y(at), kWidth - kRight, y(at), "stroke=\"#e3e3e3\"");
      words(kLeft - 8, y(at) + 4, "end", fmt::format("{:g}", at));
    }
    words((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", "flop / byte");
    words(kLeft, kTop - 8, "middle", "GFLOP/s");
  }
  void roof(const Peak& peak) {
    const double ridge = peak.flops / peak.bytes, left = std::pow(10, x_.low), right = std::pow(10, x_.high);
    const char* style = "stroke=\"#000\" stroke-width=\"2\"";
    line(x(left), y(left * peak.bytes / 1e9), x(ridge), y(peak.flops / 1e9), style);
    line(x(ridge), y(peak.flops / 1e9), x(right), y(peak.flops / 1e9), style);
  }
  void point(std::size_t number, const RooflinePoint& p, double roof) {
    const char* colour = kColours[(number - 1) % kColours.size()];
    const double rate = p.cost.flops / p.seconds / 1e9, px = x(p.cost.flops / p.cost.bytes), py = y(rate);
    text_ +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\" fill=\"{}\"><title>{}</title></circle>\n",
                    px, py, colour, escaped(p.name));
    words(px + 6, py - 5, "start", fmt::format("{}", number));
    const double row = kTop + 15 * static_cast<double>(number - 1);
    text_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", kWidth - kRight + 20,
                         row - 4, colour);
    words(kWidth - kRight + 30, row, "start",
          fmt::format("{} {}: {:.0f} %", number, p.name, 100 * rate / roof));
  }
  std::string text() const { return text_; }

 private:
  Decades x_, y_;
  std::string text_;
};

}  // namespace

std::string roofline_svg(const std::string& title, const Peak& peak, const std::vector<RooflinePoint>& points) {
  std::vector<RooflinePoint> shown;
  std::ranges::copy_if(points, std::back_inserter(shown), [](const RooflinePoint& p) {
    return p.cost.flops > 0 && p.cost.bytes > 0 && p.seconds > 0;
  });
  Decades across, along;
  across.include(peak.flops / peak.bytes);
  along.include(peak.flops / 1e9);
  for (const RooflinePoint& p : shown) {
    across.include(p.cost.flops / p.cost.bytes);
    along.include(p.cost.flops / p.seconds / 1e9);
  }
  // The roof begins at the left edge.
  along.include(std::pow(10, across.low) * peak.bytes / 1e9);
  Drawing drawing(across, along);
  drawing.axes();
  drawing.roof(peak);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const double intensity = shown[i].cost.flops / shown[i].cost.bytes;
    drawing.point(i + 1, shown[i], std::min(peak.flops, intensity * peak.bytes) / 1e9);
  }
  const double height = std::max(kHeight, kTop + 15 * static_cast<double>(shown.size()) + 10);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" "
      "font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{}\" y=\"18\" "
      "font-size=\"14\">{}</text>\n{}</svg>\n",
      kWidth, height, kLeft, escaped(title), drawing.text());
}

}  // namespace stp::bench

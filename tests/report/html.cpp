// Hostile names stay text, and charts hold what they were given.
#include "tools/report/html.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tools/report/chart.h"

namespace stp {
namespace {

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

TEST_CASE("report: names that want to be markup or steer a terminal become text") {
  CHECK(escaped("a<script>alert(1)</script>") == "a&lt;script&gt;alert(1)&lt;/script&gt;");
  CHECK(escaped("\" onload='x' &amp;") == "&quot; onload=&#39;x&#39; &amp;amp;");
  for (const std::string& hostile :
       {std::string("a\nb"), std::string("\x1b[2J"), std::string("\xff\xfe"), std::string("a\0b", 3)}) {
    for (const char c : escaped(hostile)) CHECK(static_cast<unsigned char>(c) >= 0x20);
  }
  CHECK(element("p", "<b>") == "<p>&lt;b&gt;</p>\n");
  CHECK(preformatted("a\n<b>\n") == "<pre>a\n&lt;b&gt;\n</pre>\n");
  const std::string table = html_table({"", "<i>"}, {{"<td>", "2"}});
  CHECK(count(table, "<td>") == 2);
  CHECK(count(table, "<i>") == 0);
}

TEST_CASE("report: base64 of RFC 4648") {
  const auto coded = [](std::string_view text) {
    const std::vector<std::uint8_t> bytes(text.begin(), text.end());
    return base64(bytes);
  };
  CHECK(coded("") == "");
  CHECK(coded("f") == "Zg==");
  CHECK(coded("fo") == "Zm8=");
  CHECK(coded("foo") == "Zm9v");
  CHECK(coded("foobar") == "Zm9vYmFy");
}

TEST_CASE("report: ticks are round and inside") {
  CHECK(ticks({0, 1}, 5) == std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1});
  CHECK(ticks({49.6, 53.2}, 4) == std::vector<double>{50, 51, 52, 53});
  for (const double t : ticks({-3.7, 1234.5}, 7)) CHECK((t >= -3.7 && t <= 1234.5));
  CHECK(ticks({2, 2}, 5).size() == 1);
}

TEST_CASE("report: a chart draws every curve, mark and interval, and leaves out what is no number") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::string chart = xy_chart({"a < b", "x", "y", {}, {}},
                                     {{"one", {{0, 0}, {1, nan}, {2, 4}}, false}, {"two", {{0, 1}}, true}},
                                     {{"m&m", 1, 2, Interval{0, 2}, Interval{1, 3}, false},
                                      {"theirs", 2, 2, {}, {}, true},
                                      {"no", nan, 1, {}, {}, false}});
  CHECK(count(chart, "<polyline") == 2);
  CHECK(count(chart, "stroke-dasharray") == 1);
  CHECK(count(chart, "<circle") == 2);
  CHECK(count(chart, "fill=\"#fff\"") == 1);
  CHECK(count(chart, "a &lt; b") == 2);
  CHECK(count(chart, "m&amp;m") == 1);
  CHECK(count(chart, "nan") == 0);
  CHECK(count(chart, "<li>") == 4);
  const std::string bars =
      bar_chart({"t", "", "y", {}, {}}, {"g", "h"}, {{"s", {1, 2}}, {"u", {3, nan}}}, {1, 1});
  CHECK(count(bars, "<rect") == 3);
}

TEST_CASE("report: a curve of a long run takes no more room than a drawing shows, and keeps its peaks") {
  Curve curve = {"loss", {}, false};
  for (int step = 0; step < 100'000; ++step) curve.points.push_back({1.0 * step, step % 2 ? 1.0 : 2.0});
  const std::string flat = xy_chart({"", "", "", {}, Interval{0, 10}}, {curve});
  CHECK(flat.size() < 20'000);
  curve.points[54'321].y = 9;
  curve.points[77'777].y = std::numeric_limits<double>::quiet_NaN();
  const std::string peak = xy_chart({"", "", "", {}, Interval{0, 10}}, {curve});
  CHECK(count(peak, "nan") == 0);
  Curve alone = {"loss", {{0, 2}, {54'321, 9}, {99'999, 1}}, false};
  const std::string drawn = xy_chart({"", "", "", {}, Interval{0, 10}}, {alone});
  const std::size_t middle = drawn.find(' ', drawn.find("points=\"")) + 1;
  const std::string point = drawn.substr(middle, drawn.find(' ', middle) - middle);
  CHECK(count(peak, point) == 1);
  CHECK(count(flat, point) == 0);
}

TEST_CASE("report: a page holds no script and asks for nothing") {
  const std::string page = html_page("<title>", "<p>body</p>");
  CHECK(count(page, "<script") == 0);
  CHECK(count(page, "http") == 0);
  CHECK(count(page, "@import") == 0);
  CHECK(count(page, "<title>&lt;title&gt;</title>") == 1);
}

}  // namespace
}  // namespace stp

#include "tools/report/html.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/text.h"

namespace stp {

namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
h1, h2, h3 { line-height: 1.2; margin: 2rem 0 .6rem; }
h1, h2, h3, p, figcaption, summary, .legend { overflow-wrap: anywhere; }
h1 { margin-top: .5rem; }
p { max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; line-height: 1.3; }
th, td { padding: .3rem .45rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td:first-child { white-space: normal; min-width: 8rem; }
thead th { border-bottom: 2px solid #555; vertical-align: bottom; white-space: normal; min-width: 3.2rem; }
figure { margin: 0; break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: .2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1.5rem 2rem; }
.chart svg { display: block; width: 100%; height: auto; max-width: 46rem; }
.chart text { font: 13px system-ui, sans-serif; fill: #333; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .3rem 0 0; padding: 0; font-size: .85rem; }
.legend i { display: inline-block; width: .9em; height: .9em; border-radius: .2em; margin-right: .35em; vertical-align: -.1em; }
.strip { margin: .4rem 0; }
.strip figcaption { font-weight: 400; font-size: .85rem; }
.strip img { display: block; width: 100%; max-width: 56rem; height: auto; image-rendering: pixelated; }
.note { color: #555; font-size: .9rem; }
pre { overflow-x: auto; background: #f5f5f5; padding: .8rem; font-size: .8rem; line-height: 1.35; }
@media (max-width: 34rem) { h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; } .chart text { font-size: 18px; } }
@media print { body { max-width: none; font-size: 11px; } pre { white-space: pre-wrap; } details { display: block; } .scroll { overflow: visible; } }
)";

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string element(std::string_view tag, std::string_view text) {
  return fmt::format("<{0}>{1}</{0}>\n", tag, escaped(text));
}

std::string preformatted(std::string_view text) {
  std::string out = "<pre>";
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += escaped(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out + "</pre>\n";
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t there = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j) three = three << 8 | (j < there ? bytes[i + j] : 0u);
    for (std::size_t j = 0; j < 4; ++j) out += j <= there ? kDigits[three >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string html_table(const std::vector<std::string>& head,
                       const std::vector<std::vector<std::string>>& rows) {
  const auto line = [](const std::vector<std::string>& cells, std::string_view tag) {
    std::string text = "<tr>";
    for (const std::string& cell : cells) text += fmt::format("<{0}>{1}</{0}>", tag, escaped(cell));
    return text + "</tr>\n";
  };
  std::string text = "<div class=\"scroll\"><table>\n<thead>" + line(head, "th") + "</thead>\n<tbody>\n";
  for (const auto& row : rows) text += line(row, "td");
  return text + "</tbody></table></div>\n";
}

std::string html_page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" "
      "href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      escaped(title), kStyle, body);
}

}  // namespace stp

// HTML by hand: few words, all of them escaped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stp {

// Text that may come from anywhere as it may stand in an element or an attribute in double quotes: what could
// steer a terminal is made visible first, then &, <, > and both quotes are references.
std::string escaped(std::string_view text);

// <TAG>text</TAG> with the text escaped.
std::string element(std::string_view tag, std::string_view text);

// <pre> of several lines.
std::string preformatted(std::string_view text);

std::string base64(std::span<const std::uint8_t> bytes);

// A table whose first column names its rows. Cells are escaped; `head` has as many as every row.
std::string html_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);

// The whole document: no script, no reference to anything outside; readable on a phone and on paper.
std::string html_page(std::string_view title, std::string_view body);

}  // namespace stp

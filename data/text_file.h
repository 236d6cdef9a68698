// Lists and tables that others wrote (splits, class lists, labels): read whole and bounded, cut into lines, and
// refused with file and line when something in them cannot be meant.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace stp {

// `text` fit for one line of a message: printable (engine/text.h), at most 200 bytes, the rest as "...".
std::string brief(std::string_view text);

// A text file of at most 64 MiB with lines of at most 64 KiB. Lines may end in LF or CR LF; a byte order mark,
// white space at the end of a line and blank lines carry nothing and are left out. Control characters are
// refused.
class TextFile {
 public:
  // `what` it should be, for messages: "split list", "label table". Throws Error (usage).
  TextFile(const std::filesystem::path& path, std::string_view what);
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  struct Line {
    int number = 0;  // from 1, as an editor shows it
    std::string_view text;
  };
  const std::vector<Line>& lines() const { return lines_; }
  // "FILE:LINE", the beginning of every message about a line.
  std::string at(const Line& line) const;
  std::string name() const { return name_; }

 private:
  std::string name_, content_;
  std::vector<Line> lines_;  // views into content_
};

// The fields of `text` between white space, empty ones left out.
std::vector<std::string_view> words(std::string_view text);
// The fields of `text` between `separator`s, empty ones included.
std::vector<std::string_view> split(std::string_view text, char separator);
// Decimal digits only, at most `limit`; -1 for anything else.
int whole_number(std::string_view text, int limit);

}  // namespace stp

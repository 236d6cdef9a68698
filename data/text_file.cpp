#include "data/text_file.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

#include "engine/check.h"
#include "engine/file.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr std::uint64_t kFileBytes = std::uint64_t{64} << 20;
constexpr std::size_t kLineBytes = std::size_t{64} << 10;
constexpr std::string_view kWhite = " \t\r";

bool control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string_view without_white_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(kWhite);
  return last == std::string_view::npos ? std::string_view{} : text.substr(0, last + 1);
}

}  // namespace

std::string brief(std::string_view text) {
  constexpr std::size_t kBytes = 200;
  return text.size() <= kBytes ? printable(text) : printable(text.substr(0, kBytes)) + "...";
}

TextFile::TextFile(const std::filesystem::path& path, std::string_view what)
    : name_(shown(path)), content_(read_text(path, kFileBytes)) {
  std::string_view rest = content_;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const Line line{number, without_white_end(rest.substr(0, end))};
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.text.size() > kLineBytes)
      refuse("{}: a line of {} bytes, the limit is {}; this is no {}", at(line), line.text.size(), kLineBytes,
             what);
    for (const char c : line.text)
      if (control(c) && c != '\t')
        refuse("{}: control character \\x{:02x}; save the {} as plain text", at(line),
               static_cast<unsigned char>(c), what);
    if (!line.text.empty()) lines_.push_back(line);
  }
}

std::string TextFile::at(const Line& line) const { return fmt::format("{}:{}", name_, line.number); }

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t begin = text.find_first_not_of(kWhite);
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(kWhite), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t end = text.find(separator);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

int whole_number(std::string_view text, int limit) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool digits =
      !text.empty() && text.front() != '-' && error == std::errc{} && end == text.data() + text.size();
  return digits && value <= limit ? value : -1;
}

}  // namespace stp

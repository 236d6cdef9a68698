#include "data/names.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "data/text_file.h"
#include "engine/check.h"

namespace stp {
namespace {

constexpr std::array<std::string_view, 17> kExtensions{".avi", ".mp4",  ".mkv", ".mov",  ".webm", ".m4v",
                                                       ".mpg", ".mpeg", ".wmv", ".flv",  ".3gp",  ".ogv",
                                                       ".ts",  ".gif",  ".jpg", ".jpeg", ".png"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool survives_copying(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '/' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// What one round compares, and its candidates: the indices on either side that have this key.
struct Candidates {
  std::vector<int> wanted, present;
};

[[noreturn]] void refuse_ambiguous(const Candidates& c, const std::vector<std::string>& wanted,
                                   const std::vector<std::string>& present, const std::string& where) {
  const std::string first = brief(wanted[static_cast<std::size_t>(c.wanted.front())]);
  const std::string found = brief(present[static_cast<std::size_t>(c.present.front())]);
  if (c.present.size() == 1)
    refuse("{}: '{}' could be '{}' or '{}'; rename it so that it matches one", where, found, first,
           brief(wanted[static_cast<std::size_t>(c.wanted[1])]));
  refuse("{}: '{}' could be '{}' or '{}'; remove or rename one", where, first, found,
         brief(present[static_cast<std::size_t>(c.present[1])]));
}

class Matching {
 public:
  Matching(const std::vector<std::string>& wanted, const std::vector<std::string>& present,
           const std::string& where, const std::function<bool(int, int)>& same)
      : wanted_(wanted),
        present_(present),
        where_(where),
        same_(same),
        index_(wanted.size(), -1),
        taken_(present.size(), false) {}

  template <class Key>
  void round(const Key& key) {
    std::unordered_map<std::string, Candidates> groups;
    for (std::size_t i = 0; i < wanted_.size(); ++i)
      if (index_[i] < 0) groups[key(wanted_[i])].wanted.push_back(static_cast<int>(i));
    for (std::size_t j = 0; j < present_.size(); ++j) {
      if (taken_[j]) continue;
      const auto group = groups.find(key(present_[j]));
      if (group != groups.end()) group->second.present.push_back(static_cast<int>(j));
    }
    // In the order of the wanted paths, so that of several mistakes always the same one is reported.
    for (std::size_t i = 0; i < wanted_.size(); ++i)
      if (index_[i] < 0) settle(groups[key(wanted_[i])]);
  }

  std::vector<int> result() { return std::move(index_); }

 private:
  void settle(const Candidates& c) {
    if (c.present.empty()) return;
    const int first = c.present.front();
    const bool one = c.present.size() == 1 && (c.wanted.size() == 1 || same_);
    const auto interchangeable = [&](int j) { return j == first || same_(first, j); };
    if (!one && !(same_ && std::ranges::all_of(c.present, interchangeable)))
      refuse_ambiguous(c, wanted_, present_, where_);
    for (const int i : c.wanted) index_[static_cast<std::size_t>(i)] = first;
    for (const int j : c.present) taken_[static_cast<std::size_t>(j)] = true;
  }

  const std::vector<std::string>&wanted_, &present_;
  const std::string& where_;
  const std::function<bool(int, int)>& same_;
  std::vector<int> index_;
  std::vector<bool> taken_;
};

}  // namespace

bool known_extension(std::string_view extension) {
  std::string small(extension.substr(0, 8));
  std::ranges::transform(small, small.begin(), lower);
  return std::ranges::find(kExtensions, small) != kExtensions.end();
}

std::string clip_name(std::string_view path) {
  const std::size_t dot = path.find_last_of("./");
  const bool extension = dot != std::string_view::npos && path[dot] == '.' && known_extension(path.substr(dot));
  return std::string(extension ? path.substr(0, dot) : path);
}

std::string normalised_name(std::string_view path) {
  std::string name = clip_name(path);
  std::ranges::transform(name, name.begin(), lower);
  std::erase_if(name, [](char c) { return !survives_copying(c); });
  return name;
}

bool stays_below(std::string_view path) {
  if (path.find('\\') != std::string_view::npos || path.find('\0') != std::string_view::npos) return false;
  return std::ranges::all_of(
      split(path, '/'), [](std::string_view part) { return !part.empty() && part != "." && part != ".."; });
}

std::vector<int> match_names(const std::vector<std::string>& wanted, const std::vector<std::string>& present,
                             const std::string& where, const std::function<bool(int, int)>& same) {
  Matching matching(wanted, present, where, same);
  matching.round([](const std::string& path) { return path; });
  matching.round([](const std::string& path) { return clip_name(path); });
  // A name of which nothing survives copying matches nothing but itself.
  matching.round([](const std::string& path) {
    const std::string name = normalised_name(path);
    return name.empty() || name.ends_with('/') ? path : name;
  });
  return matching.result();
}

}  // namespace stp

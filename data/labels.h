// Labels of clips: one 0 or 1 per attribute. A CSV table ("video,skin_color,face,gender,nudity,relationship"),
// or the pickles in which VP-HMDB51 and VP-UCF101 are published (Li et al., STPrivacy, ICCV 2023).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace stp {

class Labels {
 public:
  // Reads strictly. CSV: the first column is "video", every other column is an attribute with values 0 or 1, no
  // clip occurs twice. Pickle (pickle.h): five values of 0 or 1 for each clip; the file does not name the
  // attributes, their order is that of the CSV above. Throws Error (usage) with file, line or byte, and cure.
  explicit Labels(const std::filesystem::path& path);

  const std::vector<std::string>& attributes() const {
    return attributes_;
  }                                                                 // (A), in the order of the columns
  const std::vector<std::string>& names() const { return names_; }  // in the order of the lines, as written
  std::size_t size() const { return names_.size(); }
  std::span<const std::uint8_t> values(std::size_t clip) const {  // (A), 0 or 1
    return std::span(values_).subspan(clip * attributes_.size(), attributes_.size());
  }

  // For each clip the line that labels it (index into names(), see match_names), or -1. Where several lines
  // could be meant and their values differ: Error (usage).
  std::vector<int> find(const std::vector<std::string>& clips) const;

 private:
  void read_table(const std::filesystem::path& path);
  void read_pickle(const std::filesystem::path& path);

  std::string file_;
  std::vector<std::string> attributes_, names_;
  std::vector<std::uint8_t> values_;  // (size, A)
};

}  // namespace stp

#include "data/labels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <unordered_map>

#include "data/names.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

constexpr std::size_t kAttributes = 4096;
constexpr std::string_view kCure = "give a CSV table with the header video,ATTRIBUTE,... and values 0 or 1";

// Pickles since protocol 2 begin with 0x80 and the number of the protocol; loading one runs the code it names.
bool is_pickle(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".pickle" || extension == ".pkl") return true;
  const InputFile file(path);
  std::array<std::byte, 2> head{};
  if (file.size() < head.size()) return false;
  file.read(0, head);
  return head[0] == std::byte{0x80} && head[1] >= std::byte{2} && head[1] <= std::byte{5};
}

bool is_bit(std::string_view field) { return field == "0" || field == "1"; }

std::vector<std::string> read_header(const TextFile& file) {
  if (file.lines().empty()) refuse("{}: empty; {}", file.name(), kCure);
  const TextFile::Line& line = file.lines().front();
  const std::vector<std::string_view> fields = split(line.text, ',');
  if (fields.size() > 1 && std::all_of(fields.begin() + 1, fields.end(), is_bit))
    refuse("{}: no header; {}", file.at(line), kCure);
  if (fields.front() != "video")
    refuse("{}: the first column is '{}', wanted 'video'; {}", file.at(line), brief(fields.front()), kCure);
  if (fields.size() < 2) refuse("{}: no attribute column; {}", file.at(line), kCure);
  if (fields.size() > kAttributes + 1)
    refuse("{}: {} attribute columns, the limit is {}", file.at(line), fields.size() - 1, kAttributes);
  std::vector<std::string> attributes;
  for (const std::string_view field : std::span(fields).subspan(1)) {
    if (field.empty())
      refuse("{}: attribute column {} has no name; name it", file.at(line), attributes.size() + 1);
    if (std::ranges::find(attributes, field) != attributes.end())
      refuse("{}: attribute '{}' occurs twice; rename or remove one column", file.at(line), brief(field));
    attributes.emplace_back(field);
  }
  return attributes;
}

}  // namespace

Labels::Labels(const std::filesystem::path& path) : file_(shown(path)) {
  if (is_pickle(path)) refuse("{}: a pickle can run code when it is read and is refused; {}", file_, kCure);
  const TextFile file(path, "label table");
  attributes_ = read_header(file);
  std::unordered_map<std::string, int> seen;  // clip_name -> line
  for (const TextFile::Line& line : std::span(file.lines()).subspan(1)) {
    const std::vector<std::string_view> fields = split(line.text, ',');
    if (fields.size() != attributes_.size() + 1)
      refuse("{}: {} columns, wanted {} (video and {} attributes); mend the line", file.at(line), fields.size(),
             attributes_.size() + 1, attributes_.size());
    const std::string name = brief(fields.front());
    if (!stays_below(fields.front()))
      refuse("{}: '{}' is no clip; write CLASS/VIDEO below the data set's folder", file.at(line), name);
    const auto [first, fresh] = seen.emplace(clip_name(fields.front()), line.number);
    if (!fresh)
      refuse("{}: clip '{}' was labelled in line {}; keep one of them", file.at(line), name, first->second);
    for (std::size_t a = 0; a < attributes_.size(); ++a) {
      if (!is_bit(fields[a + 1]))
        refuse("{}: {} is '{}', wanted 0 or 1; mend the value", file.at(line), brief(attributes_[a]),
               brief(fields[a + 1]));
      values_.push_back(fields[a + 1] == "1");
    }
    names_.emplace_back(fields.front());
  }
  if (names_.empty()) refuse("{}: a header and no clip; {}", file_, kCure);
}

std::vector<int> Labels::find(const std::vector<std::string>& clips) const {
  return match_names(clips, names_, file_, [this](int i, int j) {
    return std::ranges::equal(values(static_cast<std::size_t>(i)), values(static_cast<std::size_t>(j)));
  });
}

}  // namespace stp

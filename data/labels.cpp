#include "data/labels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <unordered_map>

#include "data/names.h"
#include "data/pickle.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr std::size_t kAttributes = 4096;
constexpr std::string_view kTableCure =
    "give a CSV table with the header video,ATTRIBUTE,... and values 0 or 1";

// The attributes of the published pickles, whose order they do not say: settled by agreement with PA-HMDB51's
// own labels.
constexpr std::array<std::string_view, 5> kPickled = {"skin_color", "face", "gender", "nudity", "relationship"};
constexpr std::uint64_t kPickleBytes = std::uint64_t{64} << 20;

// Pickles since protocol 2 begin with 0x80 and the number of the protocol.
bool is_pickle(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".pickle" || extension == ".pkl") return true;
  const InputFile file(path);
  std::array<std::byte, 2> head{};
  if (file.size() < head.size()) return false;
  file.read(0, head);
  return head[0] == std::byte{0x80} && head[1] >= std::byte{2} && head[1] <= std::byte{5};
}

// Columns of a table of clips and splits (listing.h), which are no attributes.
bool is_split(std::string_view column) {
  constexpr std::string_view kSplit = "split_";
  return column.starts_with(kSplit) && whole_number(column.substr(kSplit.size()), 1000) >= 0;
}

bool is_bit(std::string_view field) { return field == "0" || field == "1"; }

std::vector<std::string> read_header(const TextFile& file) {
  if (file.lines().empty()) refuse("{}: empty; {}", file.name(), kTableCure);
  const TextFile::Line& line = file.lines().front();
  const std::vector<std::string_view> fields = split(line.text, ',');
  if (fields.size() > 1 && std::all_of(fields.begin() + 1, fields.end(), is_bit))
    refuse("{}: no header; {}", file.at(line), kTableCure);
  if (fields.front() != "video")
    refuse("{}: the first column is '{}', wanted 'video'; {}", file.at(line), brief(fields.front()),
           kTableCure);
  if (fields.size() < 2) refuse("{}: no attribute column; {}", file.at(line), kTableCure);
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
  if (is_pickle(path)) {
    read_pickle(path);
  } else {
    read_table(path);
  }
}

void Labels::read_pickle(const std::filesystem::path& path) {
  const InputFile file(path);
  if (file.size() > kPickleBytes)
    refuse("{}: {} bytes, the limit for a label file is {}", file_, file.size(), kPickleBytes);
  std::vector<std::byte> bytes(file.size());
  file.read(0, bytes);
  const PickledLabels pickled = read_pickled_labels(bytes, file_);
  attributes_.assign(kPickled.begin(), kPickled.end());
  std::unordered_map<std::string, std::string> seen;  // clip_name -> as written
  for (const PickledLabels::Clip& clip : pickled.clips) {
    const std::string name = brief(clip.name);
    if (!valid_utf8(clip.name) || !stays_below(clip.name))
      refuse("{}: '{}' is no clip; {}", file_, name, kTableCure);
    if (clip.values.size() != attributes_.size())
      refuse("{}: '{}' has {} labels, wanted {}; {}", file_, name, clip.values.size(), attributes_.size(),
             kTableCure);
    const auto [first, fresh] = seen.emplace(clip_name(clip.name), name);
    if (!fresh) refuse("{}: '{}' and '{}' are one clip; {}", file_, name, first->second, kTableCure);
    for (const std::int64_t value : clip.values) {
      if (value != 0 && value != 1)
        refuse("{}: a label of '{}' is {}, wanted 0 or 1; {}", file_, name, value, kTableCure);
      values_.push_back(value == 1);
    }
    names_.push_back(clip.name);
  }
  if (names_.empty()) refuse("{}: no clip; {}", file_, kTableCure);
}

void Labels::read_table(const std::filesystem::path& path) {
  const TextFile file(path, "label table");
  const std::vector<std::string> columns = read_header(file);
  std::ranges::copy_if(columns, std::back_inserter(attributes_),
                       [](const std::string& c) { return !is_split(c); });
  if (attributes_.empty()) refuse("{}: no attribute column; {}", file.at(file.lines().front()), kTableCure);
  std::unordered_map<std::string, int> seen;  // clip_name -> line
  for (const TextFile::Line& line : std::span(file.lines()).subspan(1)) {
    const std::vector<std::string_view> fields = split(line.text, ',');
    if (fields.size() != columns.size() + 1)
      refuse("{}: {} columns, wanted {} (video and {} attributes); mend the line", file.at(line), fields.size(),
             columns.size() + 1, columns.size());
    const std::string name = brief(fields.front());
    if (!stays_below(fields.front()))
      refuse("{}: '{}' is no clip; write CLASS/VIDEO below the data set's folder", file.at(line), name);
    const auto [first, fresh] = seen.emplace(clip_name(fields.front()), line.number);
    if (!fresh)
      refuse("{}: clip '{}' was labelled in line {}; keep one of them", file.at(line), name, first->second);
    for (std::size_t a = 0; a < columns.size(); ++a) {
      if (is_split(columns[a])) continue;
      if (!is_bit(fields[a + 1]))
        refuse("{}: {} is '{}', wanted 0 or 1; mend the value", file.at(line), brief(columns[a]),
               brief(fields[a + 1]));
      values_.push_back(fields[a + 1] == "1");
    }
    names_.emplace_back(fields.front());
  }
  if (names_.empty()) refuse("{}: a header and no clip; {}", file_, kTableCure);
}

std::vector<int> Labels::find(const std::vector<std::string>& clips) const {
  return match_names(clips, names_, file_, [this](int i, int j) {
    return std::ranges::equal(values(static_cast<std::size_t>(i)), values(static_cast<std::size_t>(j)));
  });
}

}  // namespace stp

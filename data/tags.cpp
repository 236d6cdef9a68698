#include "data/tags.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "data/json_file.h"
#include "data/names.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

using Json = JsonFile::Json;

// The member of an object, which must be there.
const Json& member(const JsonFile& file, const std::string& about, const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) file.bad(about, fmt::format("has no {}", key));
  return object[key];
}

// CelebV-HQ

constexpr std::array<const char*, 8> kExpressions = {"neutral", "happy",    "sadness", "anger",
                                                     "fear",    "surprise", "disgust", "contempt"};
constexpr std::array<const char*, 5> kProtected = {"young", "pointy_nose", "male", "rosy_cheeks", "brown_hair"};

int expression_named(const JsonFile& file, const std::string& clip, const Json& name) {
  const auto found = std::ranges::find_if(kExpressions, [&](const char* e) { return name == e; });
  if (found == kExpressions.end())
    file.bad(clip, fmt::format("has an expression that is none of {}", fmt::join(kExpressions, ", ")));
  return static_cast<int>(found - kExpressions.begin());
}

double seconds(const JsonFile& file, const std::string& clip, const Json& part) {
  const Json &start = member(file, clip, part, "start_sec"), &end = member(file, clip, part, "end_sec");
  if (!start.is_number() || !end.is_number() || end < start)
    file.bad(clip, "has an expression without its times");
  return end.get<double>() - start.get<double>();
}

int expression_of(const JsonFile& file, const std::string& clip, const Json& emotion) {
  const Json& labels = member(file, clip, emotion, "labels");
  if (labels.is_string()) return expression_named(file, clip, labels);
  if (!labels.is_array() || labels.empty()) file.bad(clip, "has no expression");
  std::array<double, kExpressions.size()> lengths{};
  for (const Json& part : labels) {
    const int e = expression_named(file, clip, member(file, clip, part, "emotion"));
    lengths[static_cast<std::size_t>(e)] += seconds(file, clip, part);
  }
  return static_cast<int>(std::ranges::max_element(lengths) - lengths.begin());
}

// Copies of the file differ in how they write an attribute: "Male", "male".
bool same_but_for_case(const Json& name, std::string_view wanted) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return name.is_string() && std::ranges::equal(name.get_ref<const std::string&>(), wanted, {}, lower);
}

// Where the protected attributes stand in the list of all.
std::array<std::size_t, kProtected.size()> protected_places(const JsonFile& file, const Json& mapping) {
  std::array<std::size_t, kProtected.size()> places{};
  for (std::size_t a = 0; a < kProtected.size(); ++a) {
    const auto found = std::find_if(mapping.begin(), mapping.end(),
                                    [&](const Json& name) { return same_but_for_case(name, kProtected[a]); });
    if (found == mapping.end()) file.bad("appearance_mapping", fmt::format("lacks {}", kProtected[a]));
    places[a] = static_cast<std::size_t>(found - mapping.begin());
  }
  return places;
}

bool is_bit(const Json& value) { return value.is_number_unsigned() && value.get<std::uint64_t>() <= 1; }

// HVU

std::unordered_map<std::string, std::string> categories_of_tags(const std::filesystem::path& path) {
  const TextFile file(path, "list of categories of HVU");
  std::unordered_map<std::string, std::string> category;
  for (const TextFile::Line& line : file.lines()) {
    const std::size_t comma = line.text.rfind(',');  // a tag may hold one
    if (comma == std::string_view::npos || comma == 0 || comma + 1 == line.text.size())
      refuse("{}: wanted TAG,CATEGORY; fetch HVU's list of categories again", file.at(line));
    const bool first = &line == &file.lines().front();
    if (first && (line.text == "Tag,Category" || line.text == "Tag,Main_Category")) continue;
    if (!category.emplace(line.text.substr(0, comma), line.text.substr(comma + 1)).second)
      refuse("{}: tag '{}' is there twice; keep one of the lines", file.at(line),
             brief(line.text.substr(0, comma)));
  }
  return category;
}

struct HvuClip {
  std::string name;
  std::vector<std::string_view> tags;
};

HvuClip hvu_clip(const TextFile& file, const TextFile::Line& line) {
  const std::vector<std::string_view> fields = split(line.text, ',');
  if (fields.size() < 4)
    refuse("{}: wanted TAG|TAG,ID,START,END; fetch HVU's list of clips again", file.at(line));
  const std::size_t n = fields.size();  // tags may hold commas
  constexpr int kSeconds = 999999;
  const auto time = [&](std::string_view field) {
    const int value = whole_number(field.substr(0, field.find('.')), kSeconds);
    if (value < 0) refuse("{}: '{}' is no time in seconds; mend the line", file.at(line), brief(field));
    return value;
  };
  const int start = time(fields[n - 2]), end = time(fields[n - 1]);
  if (start >= end) refuse("{}: it goes from {} to {} seconds; mend the line", file.at(line), start, end);
  const std::string name = fmt::format("{}_{:06}_{:06}", fields[n - 3], start, end);
  if (fields[n - 3].empty() || !stays_below(name))
    refuse("{}: '{}' is no video; mend the line", file.at(line), brief(fields[n - 3]));
  const std::size_t tags =
      line.text.size() - fields[n - 1].size() - fields[n - 2].size() - fields[n - 3].size() - 3;
  return {name, split(line.text.substr(0, tags), '|')};
}

// VISPR

struct VisprLabel {
  const char* name;
  std::vector<std::string> ids;  // any of these
};

std::vector<VisprLabel> vispr_labels(VisprLabels labels) {
  if (labels == VisprLabels::pa_hmdb51)
    return {{"skin_color", {"a17"}},
            {"face", {"a9", "a10"}},
            {"gender", {"a4"}},
            {"nudity", {"a12"}},
            {"relationship", {"a64", "a65"}}};
  return {{"skin_color", {"a17"}},  {"gender", {"a4"}},    {"face_complete", {"a9"}}, {"face_partial", {"a10"}},
          {"semi_nudity", {"a12"}}, {"personal", {"a64"}}, {"social", {"a65"}}};
}

// "a4_gender" -> "a4"
std::string vispr_id(const JsonFile& file, const Json& label) {
  if (!label.is_string()) file.bad("labels", "holds something that is no text");
  const std::string text = label;
  std::string id = text.substr(0, text.find('_'));
  if (id.size() < 2 || id[0] != 'a' || whole_number(std::string_view(id).substr(1), 999) < 0)
    file.bad(text, "is no attribute of VISPR");
  return id;
}

}  // namespace

CelebvHq read_celebv_hq(const std::filesystem::path& path) {
  const JsonFile file(path, "annotations of CelebV-HQ");
  const Json& mapping =
      member(file, "meta_info", member(file, "", file.root(), "meta_info"), "appearance_mapping");
  if (!mapping.is_array()) file.bad("appearance_mapping", "is no list");
  const auto places = protected_places(file, mapping);
  CelebvHq all;
  all.expressions.assign(kExpressions.begin(), kExpressions.end());
  all.attributes.labels.assign(kProtected.begin(), kProtected.end());
  const Json& clips = member(file, "", file.root(), "clips");
  if (!clips.is_object() || clips.empty()) file.bad("clips", "holds no clips");
  for (const auto& [name, clip] : clips.items()) {
    if (!stays_below(name)) file.bad(name, "is no clip's name");
    const Json& attributes = member(file, name, clip, "attributes");
    const Json& appearance = member(file, name, attributes, "appearance");
    if (!appearance.is_array() || appearance.size() != mapping.size() ||
        !std::ranges::all_of(appearance, is_bit))
      file.bad(name, fmt::format("does not have {} attributes of 0 or 1", mapping.size()));
    all.expression.push_back(expression_of(file, name, member(file, name, attributes, "emotion")));
    TagTable::Row row = {name, {}};
    for (const std::size_t place : places) row.values.push_back(appearance[place].get<std::uint8_t>());
    all.attributes.rows.push_back(std::move(row));
  }
  return all;
}

std::vector<std::pair<std::string, TagTable>> read_hvu(const std::filesystem::path& clips,
                                                       const std::filesystem::path& categories,
                                                       const std::vector<std::string>& wanted) {
  const auto category = categories_of_tags(categories);
  const TextFile file(clips, "list of clips of HVU");
  std::vector<std::pair<std::string, TagTable>> tables;
  std::unordered_map<std::string, std::pair<std::size_t, std::size_t>> place;  // tag -> table and label
  for (const std::string& name : wanted) {
    std::set<std::string> tags;  // in alphabetical order, whatever the file's is
    for (const auto& [tag, of] : category)
      if (of == name) tags.insert(tag);
    check(!tags.empty(), "{}: no tag of category '{}'; wanted are those of HVU", shown(categories), name);
    for (const std::string& tag : tags)
      place[tag] = {tables.size(), static_cast<std::size_t>(std::distance(tags.begin(), tags.find(tag)))};
    tables.push_back({name, {{tags.begin(), tags.end()}, {}}});
  }
  std::unordered_set<std::string> seen;
  for (const TextFile::Line& line : file.lines()) {
    if (&line == &file.lines().front() && line.text == "Tags,youtube_id,time_start,time_end") continue;
    const HvuClip clip = hvu_clip(file, line);
    if (!seen.insert(clip.name).second)
      refuse("{}: clip '{}' is there twice; keep one of the lines", file.at(line), brief(clip.name));
    for (auto& [name, table] : tables)
      table.rows.push_back({clip.name, std::vector<std::uint8_t>(table.labels.size(), 0)});
    for (const std::string_view tag : clip.tags) {
      if (!category.contains(std::string(tag)))
        refuse("{}: tag '{}' has no category; fetch both lists of HVU again", file.at(line), brief(tag));
      if (const auto at = place.find(std::string(tag)); at != place.end())
        tables[at->second.first].second.rows.back().values[at->second.second] = 1;
    }
  }
  if (seen.empty()) refuse("{}: no clips; fetch HVU's list of clips again", file.name());
  return tables;
}

TagTable read_vispr(const std::filesystem::path& folder, VisprLabels which) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  check(!error && !files.empty(), "{}: no JSON file in it; name a folder of VISPR's annotations",
        shown(folder));
  std::sort(files.begin(), files.end());
  const std::vector<VisprLabel> wanted = vispr_labels(which);
  TagTable table;
  for (const VisprLabel& label : wanted) table.labels.emplace_back(label.name);
  for (const auto& path : files) {
    const JsonFile file(path, "annotations of VISPR");
    const Json& image = member(file, "", file.root(), "image_path");
    if (!image.is_string() || !stays_below(image.get<std::string>()))
      file.bad("image_path", "is no path of an image");
    const Json& labels = member(file, "", file.root(), "labels");
    if (!labels.is_array() || labels.empty()) file.bad("labels", "is no list of attributes");
    std::unordered_set<std::string> ids;
    for (const Json& label : labels) ids.insert(vispr_id(file, label));
    TagTable::Row row = {image.get<std::string>(), {}};
    for (const VisprLabel& label : wanted)
      row.values.push_back(
          std::ranges::any_of(label.ids, [&](const std::string& id) { return ids.contains(id); }));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace stp

// Annotations with many labels a clip, of the data sets behind the paper's Tables 3 to 5, as their authors
// publish them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace stp {

// For each clip (or image) which of the labels it has.
struct TagTable {
  std::vector<std::string> labels;
  struct Row {
    std::string name;
    std::vector<std::uint8_t> values;  // (labels) 0 or 1
  };
  std::vector<Row> rows;
};

// CelebV-HQ (Zhu et al., ECCV 2022), celebvhq_info.json: meta_info.appearance_mapping names the 40 attributes
// of every clip's attributes.appearance; attributes.emotion is one of eight names, or a list of them with
// times. The paper's Table 4: which expression, hiding five attributes.
struct CelebvHq {
  std::vector<std::string> expressions;  // (8) classes
  std::vector<int> expression;           // of each row of `attributes`; the longest, where it changes
  TagTable attributes;                   // young, pointy_nose, male, rosy_cheeks, brown_hair
};
// Throws Error (usage) with file, line and cure, as the readers below do.
CelebvHq read_celebv_hq(const std::filesystem::path& file);

// HVU (Diba et al., ECCV 2020): the categories of its tags (CSV "Tag,Category") and the tags of clips (CSV
// "Tags,youtube_id,time_start,time_end", tags joined by '|'). One table for each wanted category, over the same
// clips, which are called ID_START_END with six digits each.
std::vector<std::pair<std::string, TagTable>> read_hvu(const std::filesystem::path& clips,
                                                       const std::filesystem::path& categories,
                                                       const std::vector<std::string>& wanted = {
                                                           "action", "object", "scene"});

// VISPR (Orekondy et al., ICCV 2017): a folder with a JSON file an image, {"image_path": ..., "labels":
// ["a4_gender", ...]}.
enum class VisprLabels {
  pa_hmdb51,  // five, as VITA maps them: skin a17, face a9 or a10, gender a4, nudity a12, relationship a64 or
              // a65
  vispr1      // the seven of SPAct: a17, a4, a9, a10, a12, a64, a65
};
TagTable read_vispr(const std::filesystem::path& folder, VisprLabels labels);

}  // namespace stp

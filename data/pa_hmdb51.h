// PA-HMDB51 (Wu et al., TPAMI 2020; VITA-Group/PA-HMDB51): privacy attributes of 515 videos of HMDB51, frame by
// frame. One JSON file a class: video -> attribute -> [[first, last, value], ...], frames from 0, both ends
// included, value a number or a list of them (several people).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace stp {

// In the order of the VP label files.
inline constexpr std::array<const char*, 5> kPaAttributes = {"skin_color", "face", "gender", "nudity",
                                                             "relationship"};

struct PaVideo {
  struct Segment {
    int first = 0, last = 0;
    bool positive = false;  // any value above 0: identifiable
  };
  std::string name;  // CLASS/VIDEO as the file has it
  std::array<std::vector<Segment>, kPaAttributes.size()> segments;

  int frames() const;  // behind the last labelled one
  // Attribute a in a frame: 1, 0, or -1 if no segment covers it. Where two do, the later one of the file holds.
  int at(std::size_t attribute, int frame) const;
  // All attributes of a frame; nothing unless segments of each cover it.
  std::optional<std::array<int, kPaAttributes.size()>> all_at(int frame) const;
};

// All files CLASS.json of `folder`, in alphabetical order, videos in the order of their file. Throws Error
// (usage) with file, line and cure.
std::vector<PaVideo> read_pa_hmdb51(const std::filesystem::path& folder);

// Which videos a privacy attacker is trained on. The paper (Table 3): a random 60 % of the videos, the rest is
// for test; its seed is not published. VITA and SPAct: none, their attacker learns from VISPR and all videos
// are for test. True: training.
std::vector<bool> pa_training_videos(std::size_t videos, std::uint64_t seed, double share = 0.6);

}  // namespace stp

#include "data/pa_hmdb51.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/json_file.h"
#include "data/names.h"
#include "engine/check.h"
#include "engine/file.h"
#include "engine/rng.h"

namespace stp {
namespace {

using Json = JsonFile::Json;

constexpr std::string_view kWhat = "annotations of PA-HMDB51";
constexpr int kFrames = 1 << 20, kValue = 3;

bool is_value(const Json& value) {
  return value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(kValue);
}

bool is_positive(const JsonFile& file, const std::string& video, const Json& value) {
  const bool several = value.is_array() && !value.empty() && std::ranges::all_of(value, is_value);
  if (!is_value(value) && !several)
    file.bad(video, fmt::format("has a label that is not 0 to {}, nor a list of those", kValue));
  if (!several) return value != 0;
  return std::ranges::any_of(value, [](const Json& one) { return one != 0; });
}

int frame_number(const JsonFile& file, const std::string& video, const Json& value) {
  const bool fits =
      value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(kFrames);
  if (!fits) file.bad(video, fmt::format("has a frame number that is not 0 to {}", kFrames));
  return value.get<int>();
}

std::vector<PaVideo::Segment> segments_of(const JsonFile& file, const std::string& video, const Json& list) {
  std::vector<PaVideo::Segment> segments;
  if (!list.is_array() || list.empty()) file.bad(video, "has an attribute without segments");
  for (const Json& segment : list) {
    if (!segment.is_array() || segment.size() != 3)
      file.bad(video, "has a segment that is not [first, last, value]");
    const int first = frame_number(file, video, segment[0]), last = frame_number(file, video, segment[1]);
    if (first > last) file.bad(video, fmt::format("has a segment from frame {} to {}", first, last));
    segments.push_back({first, last, is_positive(file, video, segment[2])});
  }
  return segments;
}

PaVideo read_video(const JsonFile& file, const std::string& action, const std::string& key,
                   const Json& labels) {
  PaVideo video;
  video.name = action + "/" + key;
  if (!stays_below(video.name)) file.bad(key, "is no video's name");
  if (!labels.is_object()) file.bad(key, "has no attributes");
  for (std::size_t a = 0; a < kPaAttributes.size(); ++a) {
    if (!labels.contains(kPaAttributes[a])) file.bad(key, fmt::format("lacks {}", kPaAttributes[a]));
    video.segments[a] = segments_of(file, key, labels[kPaAttributes[a]]);
  }
  return video;
}

}  // namespace

int PaVideo::frames() const {
  int last = -1;
  for (const auto& list : segments)
    for (const Segment& s : list) last = std::max(last, s.last);
  return last + 1;
}

int PaVideo::at(std::size_t attribute, int frame) const {
  int label = -1;
  for (const Segment& s : segments.at(attribute))
    if (s.first <= frame && frame <= s.last) label = s.positive ? 1 : 0;
  return label;
}

std::optional<std::array<int, kPaAttributes.size()>> PaVideo::all_at(int frame) const {
  std::array<int, kPaAttributes.size()> labels{};
  for (std::size_t a = 0; a < labels.size(); ++a) {
    labels[a] = at(a, frame);
    if (labels[a] < 0) return std::nullopt;
  }
  return labels;
}

std::vector<PaVideo> read_pa_hmdb51(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  check(!error && !files.empty(), "{}: no CLASS.json in it; name the folder PrivacyAttributes of PA-HMDB51",
        shown(folder));
  std::sort(files.begin(), files.end());
  std::vector<PaVideo> videos;
  for (const auto& path : files) {
    const JsonFile file(path, kWhat);
    if (!file.root().is_object() || file.root().empty()) file.bad("", "it holds no videos");
    for (const auto& [key, labels] : file.root().items())
      videos.push_back(read_video(file, path.stem().string(), key, labels));
  }
  return videos;
}

std::vector<bool> pa_training_videos(std::size_t videos, std::uint64_t seed, double share) {
  std::vector<std::size_t> order(videos);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(seed, stream_id("pa_hmdb51"));
  for (std::size_t i = videos; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  std::vector<bool> training(videos, false);
  const auto count = static_cast<std::size_t>(std::lround(share * static_cast<double>(videos)));
  for (std::size_t i = 0; i < count; ++i) training[order[i]] = true;
  return training;
}

}  // namespace stp

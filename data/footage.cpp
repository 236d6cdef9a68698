#include "data/footage.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "data/frames.h"
#include "data/resize.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

// Scales the frames of one video down to a shorter side.
class Shrinker {
 public:
  explicit Shrinker(int short_side) : short_side_(short_side) {}

  // What the frame becomes; valid until the next call, and as long as the frame.
  Picture operator()(const Picture& frame) {
    const int shorter = std::min(frame.width, frame.height);
    if (short_side_ == 0 || shorter <= short_side_) return frame;
    if (!resizer_) prepare(frame, static_cast<double>(short_side_) / shorter);
    (*resizer_)(frame.rgb, rgb_);
    return {height_, width_, rgb_};
  }

 private:
  void prepare(const Picture& frame, double factor) {
    width_ = static_cast<int>(std::lround(frame.width * factor));
    height_ = static_cast<int>(std::lround(frame.height * factor));
    rgb_.resize(std::size_t{3} * height_ * width_);
    resizer_.emplace(frame.height, frame.width, Region::whole(frame.height, frame.width), height_, width_);
  }

  int short_side_, height_ = 0, width_ = 0;
  std::optional<Resizer> resizer_;
  std::vector<std::uint8_t> rgb_;
};

// What is kept of the frames of one video, given in order.
class Keeper {
 public:
  Keeper(std::unique_ptr<FrameFilter> filter, int short_side)
      : filter_(std::move(filter)), shrink_(short_side) {}

  bool needs_every_frame() const { return filter_ && filter_->needs_every_frame(); }
  Picture operator()(int number, const Frame& frame) {
    const Picture picture = {frame.height, frame.width, frame.rgb};
    return shrink_(filter_ ? (*filter_)(number, picture) : picture);
  }

 private:
  std::unique_ptr<FrameFilter> filter_;
  Shrinker shrink_;
};

}  // namespace

Picture Footage::picture(int number) const {
  check(number >= 0 && number < frames, "footage: no frame {}, there are {}", number, frames);
  const std::size_t bytes = std::size_t{3} * height * width;
  return {height, width, std::span(rgb).subspan(static_cast<std::size_t>(number) * bytes, bytes)};
}

FootageStore::FootageStore(std::vector<std::filesystem::path> paths, int short_side, std::size_t cache_bytes,
                           std::size_t whole_bytes, Filters filters)
    : paths_(std::move(paths)),
      short_side_(short_side),
      cache_bytes_(cache_bytes),
      whole_bytes_(whole_bytes),
      filters_(std::move(filters)),
      frames_(paths_.size(), 0),
      kept_(paths_.size()) {}

FootageStore::Whole FootageStore::whole(std::size_t item) {
  {
    const std::lock_guard lock(mutex_);
    if (frames_[item] > 0) return {frames_[item], kept_[item]};
  }
  const auto source = open_frames(paths_[item]);
  Keeper keep_frame(filter(item), short_side_);
  Footage footage;
  Frame frame;
  int frames = 0;
  bool fits = true;
  while (fits ? source->next(frame) : source->skip()) {
    ++frames;
    if (!fits) continue;
    const Picture picture = keep_frame(frames - 1, frame);
    fits = footage.rgb.size() + picture.rgb.size() <= whole_bytes_;
    if (fits) {
      footage.rgb.insert(footage.rgb.end(), picture.rgb.begin(), picture.rgb.end());
      footage.frames = frames;
      footage.height = picture.height;
      footage.width = picture.width;
    } else {
      footage = {};
    }
  }
  if (frames == 0) refuse("{}: no frame decodes; replace or remove the file", shown(paths_[item]));
  return {frames, keep(item, frames, std::move(footage))};
}

// Footage without frames is one that did not fit.
std::shared_ptr<const Footage> FootageStore::keep(std::size_t item, int frames, Footage footage) {
  const std::lock_guard lock(mutex_);
  // Another thread may have decoded the same video meanwhile; its frames are the same.
  frames_[item] = frames;
  if (kept_[item] != nullptr || footage.frames == 0) return kept_[item];
  const bool room = footage.rgb.size() <= cache_bytes_ - cached_bytes_;
  if (room) footage.rgb.shrink_to_fit();
  auto shared = std::make_shared<const Footage>(std::move(footage));
  if (room) {
    cached_bytes_ += shared->rgb.size();
    kept_[item] = shared;
  }
  return shared;
}

void FootageStore::visit(std::size_t item, const Whole& whole, std::span<const int> numbers,
                         const Visitor& visitor) const {
  if (whole.footage != nullptr) {
    for (const int number : numbers) visitor(number, whole.footage->picture(number));
    return;
  }
  const auto source = open_frames(paths_[item]);
  Keeper keep_frame(filter(item), short_side_);
  Frame frame;
  int at = 0;  // frames read or skipped
  for (const int number : numbers) {
    bool there = true;
    while (there && at < number) {
      there = keep_frame.needs_every_frame() ? source->next(frame) : source->skip();
      if (there && keep_frame.needs_every_frame()) keep_frame(at, frame);
      at += there;
    }
    if (!there || !source->next(frame))
      fail("{}: {} frames decode, where there were {} before; leave the file alone while it is read",
           shown(paths_[item]), at, whole.frames);
    ++at;
    visitor(number, keep_frame(number, frame));
  }
}

std::size_t FootageStore::cached_bytes() const {
  const std::lock_guard lock(mutex_);
  return cached_bytes_;
}

}  // namespace stp

#include "data/footage.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "data/footage_disk.h"
#include "data/footage_memory.h"
#include "data/frames.h"
#include "data/resize.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

struct Size {
  int height = 0, width = 0;
  std::size_t bytes() const {
    return std::size_t{3} * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
};

// What frames become when they are scaled down to a shorter side (0: they are not).
Size shrunk(int height, int width, int short_side) {
  const int shorter = std::min(width, height);
  if (short_side == 0 || shorter <= short_side) return {height, width};
  const double factor = static_cast<double>(short_side) / shorter;
  return {static_cast<int>(std::lround(height * factor)), static_cast<int>(std::lround(width * factor))};
}

// Scales the frames of one video down to a shorter side.
class Shrinker {
 public:
  explicit Shrinker(int short_side) : short_side_(short_side) {}

  // What the frame becomes; valid until the next call, and as long as the frame.
  Picture operator()(const Picture& frame) {
    const Size size = shrunk(frame.height, frame.width, short_side_);
    if (size.height == frame.height && size.width == frame.width) return frame;
    if (!resizer_) {
      rgb_.resize(size.bytes());
      resizer_.emplace(frame.height, frame.width, Region::whole(frame.height, frame.width), size.height,
                       size.width);
    }
    (*resizer_)(frame.rgb, rgb_);
    return {size.height, size.width, rgb_};
  }

 private:
  int short_side_;
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

std::vector<int> all_numbers(int frames) {
  std::vector<int> numbers(static_cast<std::size_t>(frames));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

// Collects all frames that are shown, of which footage.frames is the number.
FootageStore::Visitor appending(Footage& footage) {
  return [&footage](int number, const Picture& picture) {
    footage.height = picture.height;
    footage.width = picture.width;
    if (number == 0) footage.rgb.reserve(picture.rgb.size() * static_cast<std::size_t>(footage.frames));
    footage.rgb.insert(footage.rgb.end(), picture.rgb.begin(), picture.rgb.end());
  };
}

}  // namespace

Picture Footage::picture(int number) const {
  check(number >= 0 && number < frames, "footage: no frame {}, there are {}", number, frames);
  const std::size_t bytes = std::size_t{3} * height * width;
  return {height, width, std::span(rgb).subspan(static_cast<std::size_t>(number) * bytes, bytes)};
}

FootageStore::FootageStore(std::vector<std::filesystem::path> paths, int short_side,
                           std::shared_ptr<FootageMemory> memory, std::size_t whole_bytes, Filters filters,
                           std::vector<bool> stills)
    : paths_(std::move(paths)),
      short_side_(short_side),
      memory_(std::move(memory)),
      whole_bytes_(whole_bytes),
      filters_(std::move(filters)),
      stills_(std::move(stills)),
      frames_(paths_.size(), 0),
      keys_(paths_.size()) {}

FootageStore::~FootageStore() = default;

void FootageStore::use(std::unique_ptr<FootageDisk> disk) { disk_ = std::move(disk); }

std::unique_ptr<FrameSource> FootageStore::open(std::size_t item) const {
  return open_frames(paths_[item], {.still = still(item)});
}

FootageStore::Whole FootageStore::whole(std::size_t item) {
  if (auto footage = memory_->find({paths_[item], short_side_})) {
    const int frames = footage->frames;
    return {.frames = frames, .footage = std::move(footage)};
  }
  Whole whole = from_disk(item);
  if (whole.frames > 0) return whole;
  int known = 0;
  {
    const std::lock_guard lock(mutex_);
    known = frames_[item];
  }
  return known > 0 ? Whole{.frames = known} : decode(item);
}

// Nothing for items that are not on disk.
FootageStore::Whole FootageStore::from_disk(std::size_t item) {
  const auto key = key_of(item);
  const auto stored = key ? disk_->find(*key) : nullptr;
  if (stored == nullptr) return {};
  Whole whole = {.frames = stored->frames(), .stored = stored};
  if (!room_for(stored->bytes())) return whole;
  Footage footage;
  footage.frames = stored->frames();
  if (!show_stored(*stored, all_numbers(stored->frames()), appending(footage))) return decode(item);
  return {.frames = whole.frames, .footage = keep(item, std::move(footage))};
}

// The key of an item's entry on disk; nothing where there is no disk, or frames are not stored as they are.
std::optional<std::uint64_t> FootageStore::key_of(std::size_t item) {
  if (disk_ == nullptr || filter(item) != nullptr || still(item)) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    if (keys_[item]) return keys_[item];
  }
  const auto key = disk_->key_of(paths_[item]);
  const std::lock_guard lock(mutex_);
  return keys_[item] = key;
}

// Decodes the video to its end and keeps its frames where there is room, in memory and on disk.
FootageStore::Whole FootageStore::decode(std::size_t item) {
  std::shared_ptr<FrameSource> source = open(item);
  int frames = 0;
  bool fits = true;
  while (fits ? source->hold() : source->skip()) {
    ++frames;
    if (!fits || source->held_bytes() <= whole_bytes_) continue;
    fits = false;
    source->drop_held();
  }
  if (frames == 0) refuse("{}: no frame decodes; replace or remove the file", shown(paths_[item]));
  {
    const std::lock_guard lock(mutex_);
    frames_[item] = frames;
  }
  const Size size = shrunk(source->info().height, source->info().width, short_side_);
  const std::size_t bytes = size.bytes() * static_cast<std::size_t>(frames);
  if (!fits || bytes > whole_bytes_) return {.frames = frames};
  const auto key = key_of(item);
  const bool to_disk = key && disk_->takes(bytes);
  if (!to_disk && !room_for(bytes)) return {.frames = frames, .held = std::move(source)};
  Footage footage;
  footage.frames = frames;
  show_held(item, *source, all_numbers(frames), appending(footage));
  // A file that was exchanged meanwhile must not leave its frames under the other's key.
  if (to_disk && disk_->key_of(paths_[item]) == key) disk_->write(*key, footage);
  return {.frames = frames, .footage = keep(item, std::move(footage))};
}

std::shared_ptr<const Footage> FootageStore::keep(std::size_t item, Footage footage) {
  return memory_->keep({paths_[item], short_side_}, std::move(footage));
}

bool FootageStore::room_for(std::size_t bytes) const {
  return bytes <= std::min(memory_->free(), whole_bytes_);
}

void FootageStore::visit(std::size_t item, const Whole& whole, std::span<const int> numbers,
                         const Visitor& visitor) {
  if (whole.footage != nullptr) {
    for (const int number : numbers) visitor(number, whole.footage->picture(number));
  } else if (whole.held != nullptr) {
    show_held(item, *whole.held, numbers, visitor);
  } else if (whole.stored == nullptr) {
    show_decoded(item, whole.frames, numbers, visitor);
  } else if (!show_stored(*whole.stored, numbers, visitor)) {
    visit(item, decode(item), numbers, visitor);  // the entry is damaged; a new one takes its place
  }
}

// False if a frame is not what was written.
bool FootageStore::show_stored(const StoredFootage& stored, std::span<const int> numbers,
                               const Visitor& visitor) const {
  std::vector<std::uint8_t> rgb;
  for (const int number : numbers) {
    const auto picture = stored.picture(number, rgb);
    if (!picture) return false;
    visitor(number, *picture);
  }
  return true;
}

void FootageStore::show_held(std::size_t item, FrameSource& held, std::span<const int> numbers,
                             const Visitor& visitor) const {
  Keeper keep_frame(filter(item), short_side_);
  Frame frame;
  int at = 0;  // frames shown or passed over
  for (const int number : numbers) {
    for (; at < number; ++at) {
      if (!keep_frame.needs_every_frame()) continue;
      held.show(static_cast<std::size_t>(at), frame);
      keep_frame(at, frame);
    }
    held.show(static_cast<std::size_t>(at++), frame);
    visitor(number, keep_frame(number, frame));
  }
}

void FootageStore::show_decoded(std::size_t item, int frames, std::span<const int> numbers,
                                const Visitor& visitor) const {
  const auto source = open(item);
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
           shown(paths_[item]), at, frames);
    ++at;
    visitor(number, keep_frame(number, frame));
  }
}

}  // namespace stp

// Decoded frames of the items of a data set: from memory, from disk or from the video itself, with the same
// pixels each way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace stp {

class FootageDisk;
class FootageMemory;
class FrameSource;
class StoredFootage;

// One frame as clips are cut from it, 8-bit RGB.
struct Picture {
  int height = 0, width = 0;
  std::span<const std::uint8_t> rgb;  // (height, width, 3)
};

// All frames of one video, of one size.
struct Footage {
  int frames = 0, height = 0, width = 0;
  std::vector<std::uint8_t> rgb;  // (frames, height, width, 3)

  Picture picture(int number) const;
};

// What becomes of the frames of one video as they are decoded, in their order.
class FrameFilter {
 public:
  virtual ~FrameFilter() = default;
  FrameFilter() = default;
  FrameFilter(const FrameFilter&) = delete;
  FrameFilter& operator=(const FrameFilter&) = delete;

  // Whether it must see every frame from the first, or only those that are used.
  virtual bool needs_every_frame() const = 0;
  // What frame `number` becomes, of the same size; valid until the next call.
  virtual Picture operator()(int number, const Picture& frame) = 0;
};

// Frames by item. Only what decodes counts: the length of a video is found by decoding it once, whatever its
// header says. Every function may be called from several threads.
class FootageStore {
 public:
  // Frames whose shorter side is longer than `short_side` are scaled down to it as they come (0: kept as they
  // are). Whole videos are kept in `memory` as far as it has room. Of a video that is not kept, at most
  // `whole_bytes` are held at a time.
  static constexpr std::size_t kWholeBytes = std::size_t{256} << 20;
  // Before that every frame passes the item's `filter`, if there is one; then `memory` must be this store's
  // alone.
  using Filters = std::function<std::unique_ptr<FrameFilter>(std::size_t)>;
  // `stills`: the items whose picture is one frame (FrameOptions); empty: none.
  FootageStore(std::vector<std::filesystem::path> paths, int short_side, std::shared_ptr<FootageMemory> memory,
               std::size_t whole_bytes = kWholeBytes, Filters filters = {}, std::vector<bool> stills = {});
  ~FootageStore();
  // From now on frames are also looked up on disk, and written there, of items without a filter.
  void use(std::unique_ptr<FootageDisk> disk);

  struct Whole {
    int frames = 0;                                    // that decode; at least 1
    std::shared_ptr<const Footage> footage = {};       // all of them, or null where they are not at hand
    std::shared_ptr<FrameSource> held = {};            // or all of them as the decoder left them, or null
    std::shared_ptr<const StoredFootage> stored = {};  // or all of them on disk, or null
  };
  // The length of a video and what is at hand of it: its frames if they are kept, or as they were decoded to
  // find the length, if they take no more than whole_bytes, so that a long one does not fill the memory. Throws
  // Error naming the file.
  Whole whole(std::size_t item);

  // Shows the frames `numbers` (increasing, below whole.frames) one after the other. `whole` is what
  // whole(item) gave, for this one thread; of what is held only the frames that are shown are converted and
  // scaled; where nothing is at hand the video is decoded up to the last number. Throws Error naming the file.
  using Visitor = std::function<void(int, const Picture&)>;
  void visit(std::size_t item, const Whole& whole, std::span<const int> numbers, const Visitor& visitor);

 private:
  bool room_for(std::size_t bytes) const;
  std::shared_ptr<const Footage> keep(std::size_t item, Footage footage);
  Whole decode(std::size_t item);
  std::optional<std::uint64_t> key_of(std::size_t item);
  Whole from_disk(std::size_t item);
  bool show_stored(const StoredFootage& stored, std::span<const int> numbers, const Visitor& visitor) const;
  void show_held(std::size_t item, FrameSource& held, std::span<const int> numbers,
                 const Visitor& visitor) const;
  void show_decoded(std::size_t item, int frames, std::span<const int> numbers, const Visitor& visitor) const;

  bool still(std::size_t item) const { return !stills_.empty() && stills_[item]; }
  std::unique_ptr<FrameSource> open(std::size_t item) const;
  std::unique_ptr<FrameFilter> filter(std::size_t item) const { return filters_ ? filters_(item) : nullptr; }

  std::vector<std::filesystem::path> paths_;
  int short_side_;
  std::shared_ptr<FootageMemory> memory_;
  std::size_t whole_bytes_;
  Filters filters_;
  std::vector<bool> stills_;
  std::unique_ptr<FootageDisk> disk_;               // or null
  mutable std::mutex mutex_;                        // guards what follows
  std::vector<int> frames_;                         // per item; 0: not known yet
  std::vector<std::optional<std::uint64_t>> keys_;  // of the entries on disk, as far as they are known
};

}  // namespace stp

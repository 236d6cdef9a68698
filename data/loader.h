// Batches of clips, made ahead of time by several threads. What a batch holds is a pure function of the items,
// the options and its place (epoch, index): not of the number of threads, their timing, the cache, or what was
// read before. So a run resumes at any place without decoding what came before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/augment.h"
#include "data/clip.h"
#include "data/dataset.h"
#include "data/obfuscation.h"

namespace stp {

class FootageMemory;

struct Batch {
  std::uint64_t epoch = 0;
  std::int64_t index = 0;  // of the epoch's batches
  int B = 0, T = 0, Y = 0, X = 0, A = 0;
  std::vector<std::uint8_t> pixels;  // (B, T, Y, X, 3) RGB
  std::vector<int> labels;           // (B)
  std::vector<float> attributes;     // (B, A)
  std::vector<float> actions;        // (B, C) where clips may show several; else empty
  std::vector<int> frames;           // (B, T) which frames of the video they are
  std::vector<std::uint32_t> items;  // (B) index into the loader's items
  std::vector<std::uint32_t> views;  // (B) clip * crops + crop; 0 in training
};

struct LoaderOptions {
  enum class Views : std::uint8_t {
    random,  // training: every epoch one random clip of each item, in an order of its own
    even,    // evaluation: all clips x crops of every item, evenly spread, in the order of the items
  };
  Views views = Views::random;
  int T = 16, rate = 2, Y = 112, X = 112;
  Padding padding = Padding::loop;
  int batch = 8;
  std::uint64_t seed = 0;
  CropSpec crop;             // random views
  AugmentSpec augment;       // random views
  bool drop_last = true;     // random views: leave out the last, smaller batch of an epoch
  int clips = 5, crops = 3;  // even views
  int short_side = 0;        // frames are first scaled down to this shorter side (0: not); bounds the cache
  std::shared_ptr<FootageMemory> memory;  // of decoded frames, which loaders may share; null: none are kept
  std::filesystem::path cache_dir;        // folder of decoded frames that runs share; empty: none
  std::uint64_t cache_disk_bytes = std::uint64_t{16} << 30;  // its entries grow to no more than this
  Obfuscation obfuscation;                                   // of what is delivered, whatever the views
  int threads = 2;
  int ahead = 3;  // batches made ahead of the one in use
};

// A place between batches. (e, number of batches) is the end of epoch e.
struct Position {
  std::uint64_t epoch = 0;
  std::int64_t batch = 0;
  bool operator==(const Position&) const = default;
};

class Loader {
 public:
  // Throws Error (usage) for options or items that cannot make a batch.
  Loader(std::vector<Item> items, const LoaderOptions& options);
  ~Loader();
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  // Batches in an epoch; the last one is smaller unless it is dropped.
  std::int64_t batches() const;
  // Goes to `position`, 0 <= batch <= batches(). What was made ahead is dropped; the threads begin with next().
  void open(Position position);
  // Where the next batch comes from: what a checkpoint must hold. (0, 0) at first.
  Position position() const;

  // The next batch into `batch` (whose memory is used again). False at the end of the epoch, once; the call
  // after it begins the next epoch (even views: the same again). A clip that cannot be read is never replaced:
  // its Error, which names the file, is thrown in the place of its batch, again and again until open() moves
  // on.
  bool next(Batch& batch);

  // Seconds that next() waited for batches to be made, summed up: 0 where the workers keep ahead.
  double waited() const;
  // Why no more clips are written to cache_dir, in one line; empty if all is well. Batches are the same.
  std::string cache_trouble() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The items of an epoch in their random order, a pure function of the arguments.
std::vector<std::uint32_t> epoch_order(std::uint32_t items, std::uint64_t seed, std::uint64_t epoch);

}  // namespace stp

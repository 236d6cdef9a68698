// From the loader to the networks: batches by their number, on the device.
#pragma once

#include "data/loader.h"
#include "engine/staging.h"
#include "models/adversary.h"
#include "tools/experiment/recipe.h"

namespace stp {

// Where the clips of a batch come from.
struct ClipSources {
  std::vector<std::uint32_t> items;  // (B) of those the feed was given
  std::vector<int> frames;           // (B, T) of the video
};

// Batches of one stage of a run, numbered from 0 over all epochs. Asking for the next number is cheap: it was
// uploaded while the device worked on the one before. Any other is opened in place, without decoding what lies
// before it.
class Feed {
 public:
  // Decoded clips are kept in `memory`, if it is given, and taken from it.
  Feed(const Backend& backend, const Recipe& recipe, const std::vector<Item>& items, int batch,
       std::uint64_t stream, std::shared_ptr<FootageMemory> memory);
  LabelledClips batch(std::int64_t number);
  const ClipSources& sources() const { return sources_; }  // of the batch that was asked for last
  std::int64_t per_epoch() const { return loader_.batches(); }
  const Loader& loader() const { return loader_; }

 private:
  // Reads a batch and starts its upload.
  void stage(std::int64_t number);

  Backend backend_;
  const DataRecipe& data_;
  Loader loader_;
  Batch batch_;
  Staging staging_;
  LabelledClips staged_;
  ClipSources staged_sources_, sources_;
  std::int64_t staged_number_ = -1;
  std::int64_t next_ = -1;  // that the loader gives without being opened
};

// One pass over all views of the test clips, in order.
class TestFeed {
 public:
  TestFeed(const Backend& backend, const Recipe& recipe, const std::vector<Item>& items, int batch,
           std::shared_ptr<FootageMemory> memory = nullptr);
  // False at the end.
  bool next(LabelledClips& clips, ClipSources& sources);
  std::int64_t batches() const { return loader_.batches(); }

 private:
  Backend backend_;
  const DataRecipe& data_;
  Loader loader_;
  Batch batch_;
};

LabelledClips on_device(const Backend& backend, const DataRecipe& data, const Batch& batch);

}  // namespace stp

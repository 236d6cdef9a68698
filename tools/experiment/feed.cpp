#include "tools/experiment/feed.h"

#include <algorithm>

namespace stp {

LabelledClips on_device(const Backend& backend, const DataRecipe& data, const Batch& batch) {
  LabelledClips clips;
  FrameBatch& frames = clips.input.frames;
  frames.pixels = Bytes::from(backend, {batch.B, batch.T, batch.Y, batch.X, 3}, batch.pixels);
  for (std::size_t c = 0; c < 3; ++c) {
    frames.mean[c] = static_cast<float>(data.mean[c]);
    frames.deviation[c] = static_cast<float>(data.deviation[c]);
  }
  clips.labels = Indices::from(backend, {batch.B}, batch.labels);
  clips.attributes = Tensor::from(backend, {batch.B, batch.A}, batch.attributes);
  return clips;
}

Feed::Feed(const Backend& backend, const Recipe& recipe, const std::vector<Item>& items, int batch,
           std::uint64_t stream)
    : backend_(backend),
      data_(recipe.data),
      loader_(items, recipe.loader(LoaderOptions::Views::random, batch, stream)) {
  check(loader_.batches() > 0, "training: {} clips make no batch of {}; use a smaller train.batch",
        items.size(), batch);
}

LabelledClips Feed::batch(std::int64_t number) {
  if (number != next_) {
    loader_.open({static_cast<std::uint64_t>(number / per_epoch()), number % per_epoch()});
  }
  backend_.timed("wait for the loader", [&] {
    if (!loader_.next(batch_)) check(loader_.next(batch_), "training: an epoch without a batch");
  });
  next_ = number + 1;
  return on_device(backend_, data_, batch_);
}

TestFeed::TestFeed(const Backend& backend, const Recipe& recipe, const std::vector<Item>& items, int batch)
    : backend_(backend),
      data_(recipe.data),
      loader_(items, recipe.loader(LoaderOptions::Views::even, batch, 0)) {}

bool TestFeed::next(LabelledClips& clips, std::vector<std::uint32_t>& items) {
  if (!loader_.next(batch_)) return false;
  clips = on_device(backend_, data_, batch_);
  items = batch_.items;
  return true;
}

}  // namespace stp

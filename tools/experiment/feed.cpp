#include "tools/experiment/feed.h"

#include <algorithm>

namespace stp {

namespace {

// upload(to, from, bytes) fills the memory of the tensors.
template <class Upload>
LabelledClips uploaded(const Backend& backend, const DataRecipe& data, const Batch& batch,
                       const Upload& upload) {
  LabelledClips clips;
  FrameBatch& frames = clips.input.frames;
  frames.pixels = Bytes(backend, {batch.B, batch.T, batch.Y, batch.X, 3});
  upload(frames.pixels.mutable_data(), batch.pixels.data(), batch.pixels.size());
  for (std::size_t c = 0; c < 3; ++c) {
    frames.mean[c] = static_cast<float>(data.mean[c]);
    frames.deviation[c] = static_cast<float>(data.deviation[c]);
  }
  clips.labels = Indices(backend, {batch.B});
  upload(clips.labels.mutable_data(), batch.labels.data(), batch.labels.size() * sizeof(int));
  const auto labels = [&](const std::vector<float>& values) {
    if (values.empty()) return Tensor();
    Tensor tensor(backend, {batch.B, static_cast<std::int64_t>(values.size()) / batch.B});
    upload(tensor.out().data, values.data(), values.size() * sizeof(float));
    return tensor;
  };
  clips.attributes = labels(batch.attributes);
  clips.actions = labels(batch.actions);
  return clips;
}

LoaderOptions with(LoaderOptions options, std::shared_ptr<FootageMemory> memory) {
  options.memory = std::move(memory);
  return options;
}

}  // namespace

LabelledClips on_device(const Backend& backend, const DataRecipe& data, const Batch& batch) {
  return uploaded(backend, data, batch, backend.kernels().memory.upload);
}

Feed::Feed(const Backend& backend, const Recipe& recipe, const std::vector<Item>& items, int batch,
           std::uint64_t stream, std::shared_ptr<FootageMemory> memory)
    : backend_(backend),
      data_(recipe.data),
      loader_(items, with(recipe.loader(LoaderOptions::Views::random, batch, stream), std::move(memory))),
      staging_(backend) {
  check(loader_.batches() > 0, "training: {} clips make no batch of {}; use a smaller train.batch",
        items.size(), batch);
}

void Feed::stage(std::int64_t number) {
  staged_number_ = -1;
  if (number != next_) {
    loader_.open({static_cast<std::uint64_t>(number / per_epoch()), number % per_epoch()});
    next_ = number;
  }
  backend_.timed("wait for the loader", [&] {
    if (!loader_.next(batch_)) check(loader_.next(batch_), "training: an epoch without a batch");
  });
  next_ = number + 1;
  staging_.begin(batch_.pixels.size() + batch_.labels.size() * sizeof(int) +
                 (batch_.attributes.size() + batch_.actions.size()) * sizeof(float));
  staged_ = uploaded(backend_, data_, batch_,
                     [&](void* to, const void* from, std::size_t bytes) { staging_.upload(to, from, bytes); });
  staged_sources_ = {batch_.items, batch_.frames};
  staged_number_ = number;
}

LabelledClips Feed::batch(std::int64_t number) {
  if (number != staged_number_) stage(number);
  LabelledClips clips = std::move(staged_);
  sources_ = std::move(staged_sources_);
  staging_.join();
  try {
    stage(number + 1);
  } catch (const Error&) {
    // It belongs to the batch that cannot be read, and comes again when that one is asked for.
  }
  return clips;
}

TestFeed::TestFeed(const Backend& backend, const Recipe& recipe, const std::vector<Item>& items, int batch,
                   std::shared_ptr<FootageMemory> memory)
    : backend_(backend),
      data_(recipe.data),
      loader_(items, with(recipe.loader(LoaderOptions::Views::even, batch, 0), std::move(memory))) {}

bool TestFeed::next(LabelledClips& clips, ClipSources& sources) {
  if (!loader_.next(batch_)) return false;
  clips = on_device(backend_, data_, batch_);
  sources = {batch_.items, batch_.frames};
  return true;
}

}  // namespace stp

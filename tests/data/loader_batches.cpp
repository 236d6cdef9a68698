// Batches: what is in them, in which order, and that threads, cache, resuming and the past change nothing.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "data/footage_memory.h"
#include "data/image.h"
#include "data/loader.h"
#include "data/resize.h"
#include "engine/digest.h"
#include "tests/data/clips.h"

namespace stp {
namespace {

using test::telling_clip;
using test::TemporaryFolder;

// Seven clips of 5 to 29 frames; clips of 4 frames at rate 3 span 10, so the first two are too short.
std::vector<Item> seven_clips(const TemporaryFolder& folder) {
  return test::telling_clips(folder, {5, 9, 13, 17, 21, 25, 29});
}

LoaderOptions small_options() {
  LoaderOptions options;
  options.T = 4;
  options.rate = 3;
  options.Y = 8;
  options.X = 12;
  options.batch = 3;
  options.seed = 11;
  for (Jitter* jitter : {&options.augment.brightness, &options.augment.hue, &options.augment.erase})
    jitter->chance = 0.5;
  return options;
}

// A batch in one line, place included: equal lines are equal batches.
std::string summary(const Batch& batch) {
  Digest pixels;
  pixels.add(std::as_bytes(std::span(batch.pixels)));
  std::string out = fmt::format("{} {} {}x{}x{}x{} {} pixels {:x}: ", batch.epoch, batch.index, batch.B,
                                batch.T, batch.Y, batch.X, batch.A, pixels.value());
  for (std::size_t b = 0; b < batch.items.size(); ++b)
    out += fmt::format("{} {} {},", batch.labels[b], batch.items[b], batch.views[b]);
  for (const float attribute : batch.attributes) out += fmt::format("{},", attribute);
  return out;
}

std::vector<std::string> epochs(Loader& loader, int count) {
  std::vector<std::string> out;
  Batch batch;
  for (int e = 0; e < count; ++e)
    while (loader.next(batch)) out.push_back(summary(batch));
  return out;
}

// Byte `channel` of the first pixel of frame t of clip b.
int told(const Batch& batch, int b, int t, int channel) {
  const std::size_t frame = static_cast<std::size_t>(b) * batch.T + t;
  return batch.pixels[frame * batch.Y * batch.X * 3 + static_cast<std::size_t>(channel)];
}

TEST_CASE("loader: an epoch's order is a permutation, another one in every epoch and for every seed") {
  const auto order = epoch_order(1000, 7, 3);
  CHECK(order == epoch_order(1000, 7, 3));
  CHECK(order != epoch_order(1000, 7, 4));
  CHECK(order != epoch_order(1000, 8, 3));
  auto sorted = order;
  std::ranges::sort(sorted);
  std::vector<std::uint32_t> all(1000);
  std::iota(all.begin(), all.end(), 0u);
  CHECK(sorted == all);
  CHECK(epoch_order(1, 7, 0) == std::vector<std::uint32_t>{0});
  // Every item comes first equally often: 600 of 3,000 epochs of 5 items, standard deviation 22, five of them.
  std::vector<int> first(5, 0);
  for (std::uint64_t epoch = 0; epoch < 3000; ++epoch) ++first[epoch_order(5, 1, epoch).front()];
  for (const int n : first) CHECK(!(std::abs(n - 600) > 110));
}

TEST_CASE("loader: training batches hold every clip once an epoch, with its frames, label and attributes") {
  const TemporaryFolder folder;
  const std::vector<Item> items = seven_clips(folder);
  LoaderOptions options = small_options();
  options.augment = {.flip = 0};
  options.drop_last = false;
  Loader loader(items, options);
  REQUIRE(loader.batches() == 3);
  std::set<int> starts;  // of the last clip
  for (std::uint64_t epoch = 0; epoch < 6; ++epoch) {
    std::vector<std::uint32_t> seen;
    Batch batch;
    for (int index = 0; loader.next(batch); ++index) {
      CHECK(batch.epoch == epoch);
      CHECK(batch.index == index);
      CHECK(batch.B == (index == 2 ? 1 : 3));
      REQUIRE(batch.pixels.size() == static_cast<std::size_t>(batch.B) * 4 * 8 * 12 * 3);
      REQUIRE(batch.attributes.size() == static_cast<std::size_t>(batch.B) * 2);
      for (int b = 0; b < batch.B; ++b) {
        const int item = static_cast<int>(batch.items[static_cast<std::size_t>(b)]);
        CHECK(batch.labels[static_cast<std::size_t>(b)] == item % 2);
        CHECK(batch.attributes[static_cast<std::size_t>(b) * 2] == static_cast<float>(item % 2));
        CHECK(batch.views[static_cast<std::size_t>(b)] == 0);
        const std::vector<int> numbers =
            clip_frames(5 + 4 * item, told(batch, b, 0, 1), options.T, options.rate, options.padding);
        for (int t = 0; t < options.T; ++t) {
          CHECK(told(batch, b, t, 0) == 10 * item);
          CHECK(told(batch, b, t, 1) == numbers[static_cast<std::size_t>(t)]);
          CHECK(told(batch, b, t, 1) == batch.frames[static_cast<std::size_t>(b * options.T + t)]);
        }
        if (item == 6) starts.insert(told(batch, b, 0, 1));
      }
      seen.insert(seen.end(), batch.items.begin(), batch.items.end());
    }
    CHECK(seen == epoch_order(7, options.seed, epoch));
  }
  CHECK(starts.size() > 2);  // epochs start clips in different places
}

TEST_CASE("loader: a batch is the same whatever the threads, the cache, and the batches made ahead") {
  const TemporaryFolder folder;
  const std::vector<Item> items = seven_clips(folder);
  for (const auto views : {LoaderOptions::Views::random, LoaderOptions::Views::even}) {
    LoaderOptions options = small_options();
    options.views = views;
    options.short_side = 16;  // 21 x 16 from 32 x 24
    options.threads = 1;
    options.ahead = 1;
    Loader plain(items, options);
    const auto wanted = epochs(plain, 3);
    CHECK(wanted.size() == (views == LoaderOptions::Views::random ? 6 : 3 * 35));
    for (const int threads : {1, 2, 7})
      for (const std::size_t cache : {std::size_t{0}, std::size_t{30'000}, std::size_t{1} << 30}) {
        options.threads = threads;
        options.ahead = threads;
        options.memory = std::make_shared<FootageMemory>(cache);
        Loader loader(items, options);
        if (views == LoaderOptions::Views::random)
          CHECK(epochs(loader, 3) == wanted);
        else
          CHECK(epochs(loader, 1) == std::vector<std::string>(wanted.begin(), wanted.begin() + 35));
      }
  }
}

TEST_CASE("loader: what one loader decoded another that shares its memory does not decode again") {
  const TemporaryFolder folder;
  const std::vector<Item> items = seven_clips(folder);
  LoaderOptions options = small_options();
  options.memory = std::make_shared<FootageMemory>(std::size_t{1} << 30);
  Loader first(items, options);
  const auto wanted = epochs(first, 1);
  for (const Item& item : items) std::filesystem::remove(item.path);
  Loader second(items, options);
  CHECK(epochs(second, 1) == wanted);
  // Frames of another size or look are others, and have to be decoded.
  LoaderOptions smaller = options;
  smaller.short_side = 16;
  Batch batch;
  CHECK_THROWS_AS(Loader(items, smaller).next(batch), Error);
  LoaderOptions blurred = options;
  blurred.obfuscation.kind = Obfuscation::Kind::blur;
  CHECK_THROWS_AS(Loader(items, blurred).next(batch), Error);
}

TEST_CASE("loader: any place can be opened directly") {
  const TemporaryFolder folder;
  const std::vector<Item> items = seven_clips(folder);
  LoaderOptions options = small_options();
  options.drop_last = false;
  Loader through(items, options);
  const auto wanted = epochs(through, 4);
  CHECK(through.position() == Position{4, 0});
  Loader loader(items, options);
  Batch batch;
  for (const std::int64_t place : {11, 0, 5, 5, 3, 8}) {
    const Position position{static_cast<std::uint64_t>(place / 3), place % 3};
    loader.open(position);
    CHECK(loader.position() == position);
    REQUIRE(loader.next(batch));
    CHECK(summary(batch) == wanted[static_cast<std::size_t>(place)]);
  }
  // The end of an epoch is a place too: what a checkpoint after the last batch holds.
  loader.open({1, 2});
  REQUIRE(loader.next(batch));
  CHECK(loader.position() == Position{1, 3});
  Loader resumed(items, options);
  resumed.open({1, 3});
  CHECK_FALSE(resumed.next(batch));
  REQUIRE(resumed.next(batch));
  CHECK(summary(batch) == wanted[6]);
}

TEST_CASE("loader: the same place can be opened again after its batch was taken") {
  const TemporaryFolder folder;
  LoaderOptions options = small_options();
  options.views = LoaderOptions::Views::even;
  Loader loader(test::telling_clips(folder, {12, 14}), options);
  Batch batch;
  std::string last;
  while (loader.next(batch)) last = summary(batch);
  // Many times: what is left of the old batch must not be taken for the new one, whichever thread comes first.
  for (int again = 0; again < 100; ++again) {
    loader.open({0, loader.batches() - 1});
    Batch fresh;  // its empty memory goes to the loader in exchange
    REQUIRE(loader.next(fresh));
    CHECK(summary(fresh) == last);
  }
}

TEST_CASE("loader: opening a place decodes nothing that came before it") {
  const TemporaryFolder folder;
  const std::vector<Item> items = seven_clips(folder);
  const LoaderOptions options = small_options();
  Loader through(items, options);
  const auto wanted = epochs(through, 1);
  // The clips of the first batch are gone: only a loader that reads them could notice.
  const auto order = epoch_order(7, options.seed, 0);
  for (std::size_t i = 0; i < 3; ++i) std::filesystem::remove(items[order[i]].path);
  Loader loader(items, options);
  loader.open({0, 1});
  Batch batch;
  REQUIRE(loader.next(batch));
  CHECK(summary(batch) == wanted[1]);
}

TEST_CASE("loader: evaluation shows all clips and crops of every item in order, pass after pass") {
  const TemporaryFolder folder;
  std::vector<Item> items = {telling_clip(folder, 0, 5), telling_clip(folder, 1, 30),
                             telling_clip(folder, 2, 50)};
  LoaderOptions options = small_options();
  options.views = LoaderOptions::Views::even;
  options.T = 4;
  options.rate = 2;
  options.Y = options.X = 24;  // as high as the clips: crops are cut, not scaled
  options.batch = 4;
  Loader loader(items, options);
  REQUIRE(loader.batches() == 12);  // 45 views, one of them alone
  Batch batch;
  for (int pass = 0; pass < 2; ++pass) {
    int sample = 0;
    while (loader.next(batch)) {
      CHECK(batch.B == (batch.index == 11 ? 1 : 4));
      for (int b = 0; b < batch.B; ++b, ++sample) {
        const int item = sample / 15, view = sample % 15;
        CHECK(batch.items[static_cast<std::size_t>(b)] == static_cast<std::uint32_t>(item));
        CHECK(batch.views[static_cast<std::size_t>(b)] == static_cast<std::uint32_t>(view));
        const int frames = std::vector{5, 30, 50}[static_cast<std::size_t>(item)];
        const int start = even_start(frames, 4, 2, view / 3, 5);
        const std::vector<int> numbers = clip_frames(frames, start, 4, 2, Padding::loop);
        for (int t = 0; t < 4; ++t) {
          CHECK(told(batch, b, t, 0) == 10 * item);
          CHECK(told(batch, b, t, 1) == numbers[static_cast<std::size_t>(t)]);
          CHECK(told(batch, b, t, 2) == std::vector{0, 4, 8}[static_cast<std::size_t>(view % 3)]);
        }
      }
    }
    CHECK(sample == 45);
  }
}

TEST_CASE(
    "loader: a training clip is its frames cut, scaled, flipped and augmented by the published functions") {
  const TemporaryFolder folder;
  const std::vector<Item> items = {telling_clip(folder, 3, 29, 40, 30)};
  LoaderOptions options = small_options();
  options.batch = 1;
  Loader loader(items, options);
  bool flipped = false, erased = false;
  for (std::uint64_t epoch = 0; epoch < 12; ++epoch) {
    Batch batch;
    REQUIRE(loader.next(batch));
    CHECK_FALSE(loader.next(batch));
    Random start_draw(options.seed, stream_id("clip start", {epoch, 0}));
    Random crop_draw(options.seed, stream_id("clip crop", {epoch, 0}));
    const int start = random_start(29, options.T, options.rate, start_draw);
    const Crop crop = random_crop(30, 40, options.Y, options.X, options.crop, crop_draw);
    const Augmentation augmentation =
        draw_augmentation(options.augment, options.Y, options.X, options.seed, epoch, 0);
    flipped = flipped || augmentation.flip;
    erased = erased || augmentation.erase_side > 0;
    std::vector<std::uint8_t> wanted(static_cast<std::size_t>(options.T) * options.Y * options.X * 3);
    const std::size_t bytes = wanted.size() / static_cast<std::size_t>(options.T);
    for (int t = 0; t < options.T; ++t)
      resize(test::telling_frame(3, start + t * options.rate, 40, 30), 30, 40, crop, options.Y, options.X,
             augmentation.flip, std::span(wanted).subspan(static_cast<std::size_t>(t) * bytes, bytes));
    apply(augmentation, wanted, options.T, options.Y, options.X);
    CHECK(batch.pixels == wanted);
  }
  CHECK((flipped && erased));
}

// The same frames as a telling clip's: as a folder of pictures, and side by side in one picture (square
// frames).
Item folder_clip(const TemporaryFolder& folder, int clip, int frames) {
  Item item{folder / fmt::format("frames{}", clip), "folder", 0, {0, 0}};
  std::filesystem::create_directory(item.path);
  for (int n = 0; n < frames; ++n)
    write_png(item.path / fmt::format("frame{}.png", n), test::telling_frame(clip, n, 32, 24), 32, 24);
  return item;
}

Item strip_clip(const TemporaryFolder& folder, int clip, int frames) {
  constexpr int kSide = 16;
  std::vector<std::uint8_t> strip;
  for (int y = 0; y < kSide; ++y)
    for (int n = 0; n < frames; ++n) {
      const auto frame = test::telling_frame(clip, n, kSide, 1);
      strip.insert(strip.end(), frame.begin(), frame.end());
    }
  Item item{folder / fmt::format("strip{}.png", clip), "strip", 0, {0, 0}};
  write_png(item.path, strip, kSide * frames, kSide);
  return item;
}

TEST_CASE("loader: videos of any size, folders of frames and strips share a batch") {
  const TemporaryFolder folder;
  const std::vector<Item> items = {telling_clip(folder, 0, 12, 64, 20), telling_clip(folder, 1, 12, 20, 64),
                                   folder_clip(folder, 2, 12), strip_clip(folder, 3, 12)};
  LoaderOptions options = small_options();
  options.augment = {.flip = 0};
  options.batch = 4;
  Loader loader(items, options);
  Batch batch;
  for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
    loader.open({epoch, 0});
    REQUIRE(loader.next(batch));
    for (int b = 0; b < 4; ++b)
      for (int t = 0; t < options.T; ++t) {
        CHECK(told(batch, b, t, 0) == 10 * static_cast<int>(batch.items[static_cast<std::size_t>(b)]));
        CHECK(told(batch, b, t, 1) == told(batch, b, 0, 1) + t * options.rate);
      }
  }
}

}  // namespace
}  // namespace stp

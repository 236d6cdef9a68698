// What the loader and the check of a data set do with bad clips, bad options and early ends.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/check.h"
#include "data/footage.h"
#include "data/footage_memory.h"
#include "data/loader.h"
#include "tests/data/clips.h"

namespace stp {
namespace {

using test::telling_clip;
using test::TemporaryFolder;

LoaderOptions batches_of_two() {
  LoaderOptions options;
  options.T = 2;
  options.rate = 1;
  options.Y = options.X = 8;
  options.batch = 2;
  return options;
}

TEST_CASE("loader: a clip that cannot be read is an error that names it, in its place, never another clip") {
  const TemporaryFolder folder;
  const std::vector<Item> items = test::telling_clips(folder, std::vector(8, 6));
  const LoaderOptions plain = batches_of_two();
  const auto order = epoch_order(8, plain.seed, 0);
  // Two bad clips in the same batch: the first in the batch's order is named, whichever thread is faster.
  const std::string first = folder.write(items[order[4]].path.filename().string(), "no video").string();
  folder.write(items[order[5]].path.filename().string(), "no video");
  for (const int threads : {1, 2, 5})
    for (int again = 0; again < 3; ++again) {
      LoaderOptions options = plain;
      options.threads = threads;
      Loader loader(items, options);
      Batch batch;
      REQUIRE(loader.next(batch));
      REQUIRE(loader.next(batch));
      for (int i = 0; i < 2; ++i) {
        std::string message;
        try {
          loader.next(batch);
        } catch (const Error& error) {
          message = error.what();
        }
        CHECK(message.find(first) != std::string::npos);
      }
      CHECK(loader.position() == Position{0, 2});
      // What lies beyond can still be read if it is asked for.
      loader.open({0, 3});
      CHECK(loader.next(batch));
    }
}

TEST_CASE("loader: a loader can be dropped and moved in the middle") {
  const TemporaryFolder folder;
  const std::vector<Item> items = test::telling_clips(folder, std::vector(8, 6));
  LoaderOptions options = batches_of_two();
  options.ahead = 64;
  options.threads = 4;
  for (int read = 0; read <= 4; ++read) {
    Loader loader(items, options);
    Batch batch;
    for (int n = 0; n < read; ++n) REQUIRE(loader.next(batch));
    Loader moved = std::move(loader);
    CHECK(moved.next(batch) == (read < 4));
  }
}

TEST_CASE("loader: options and items that make no batch are refused") {
  const TemporaryFolder folder;
  const std::vector<Item> items = test::telling_clips(folder, {3, 3});
  const auto message = [&](const std::vector<Item>& given, const LoaderOptions& options) {
    return folder.error_of([&] { const Loader loader(given, options); });
  };
  const auto with = [&](const auto& change) {
    LoaderOptions options = batches_of_two();
    change(options);
    return message(items, options);
  };
  CHECK(message(items, batches_of_two()).empty());
  CHECK(message({}, batches_of_two()) == "loader: no clips; check the split and the folder of the videos");
  CHECK(with([](LoaderOptions& o) { o.T = 0; }) == "loader: T is 0, wanted 1 to 4096");
  CHECK(with([](LoaderOptions& o) { o.rate = 0; }) == "loader: rate is 0, wanted 1 to 1000000");
  CHECK(with([](LoaderOptions& o) { o.Y = 9000; }) == "loader: Y is 9000, wanted 1 to 8192");
  CHECK(with([](LoaderOptions& o) { o.X = -1; }) == "loader: X is -1, wanted 1 to 8192");
  CHECK(with([](LoaderOptions& o) { o.threads = 0; }) == "loader: threads is 0, wanted 1 to 256");
  CHECK(with([](LoaderOptions& o) { o.ahead = 0; }) == "loader: ahead is 0, wanted 1 to 64");
  CHECK(with([](LoaderOptions& o) { o.augment.flip = 2; }) == "augment flip: probability 2, wanted 0 to 1");
  CHECK(with([](LoaderOptions& o) { o.crop.area_low = 2; }) ==
        "crop area: 2 to 1, wanted a range within 0.0001 to 1");
  CHECK(with([](LoaderOptions& o) { o.batch = 3; }) ==
        "loader: 2 clips make no batch of 3; lower batch, or keep the last one (drop_last = false)");
  CHECK(with([](LoaderOptions& o) {
          o.batch = 65536;
          o.Y = o.X = 8192;
          o.T = 4096;
        }) ==
        "loader: a batch of 65536 x 4096 x 8192 x 8192 x 3 bytes is more than 4294967296; lower batch, T, Y or "
        "X");
  std::vector<Item> uneven = items;
  uneven[1].attributes.pop_back();
  CHECK(message(uneven, batches_of_two()) == "loader: DIR/1.mp4 has 1 attributes, DIR/0.mp4 has 2");
  Loader loader(items, batches_of_two());
  CHECK(folder.error_of([&] {
    loader.open({0, 2});
  }) == "loader: no place 2 in epoch 0; an epoch has 1 batches");
  CHECK(folder.error_of([&] {
    loader.open({0, -1});
  }) == "loader: no place -1 in epoch 0; an epoch has 1 batches");
}

TEST_CASE("loader: footage is kept within its budget, first come first kept") {
  const TemporaryFolder folder;
  const auto items = test::telling_clips(folder, {10, 10, 10});
  constexpr std::size_t kVideo = 10 * 32 * 24 * 3;
  const auto memory = std::make_shared<FootageMemory>(2 * kVideo + kVideo / 2);
  FootageStore store({items[0].path, items[1].path, items[2].path}, 0, memory);
  for (std::size_t i = 0; i < 3; ++i) {
    const FootageStore::Whole whole = store.whole(i);
    CHECK(whole.frames == 10);
    CHECK((whole.footage != nullptr) == (i < 2));
    REQUIRE((whole.footage != nullptr || whole.held != nullptr));  // decoded anyway
    store.visit(i, whole, std::vector{7}, [](int, const Picture& picture) { CHECK(picture.rgb[1] == 7); });
    if (i < 2) CHECK_THROWS_AS(whole.footage->picture(10), Error);
    if (i == 2) CHECK_THROWS_AS(store.visit(i, whole, std::vector{10}, [](int, const Picture&) {}), Error);
  }
  CHECK(memory->free() == kVideo / 2);
  CHECK(store.whole(1).footage != nullptr);
  const FootageStore::Whole again = store.whole(2);
  CHECK((again.footage == nullptr && again.held == nullptr));  // the length is known, the frames are read again

  // Frames from memory and from the file.
  for (const std::size_t item : {std::size_t{1}, std::size_t{2}}) {
    std::vector<int> seen;
    store.visit(item, store.whole(item), std::vector{0, 3, 9}, [&](int number, const Picture& picture) {
      CHECK((picture.height == 24 && picture.width == 32));
      CHECK(picture.rgb[0] == 10 * item);
      CHECK(picture.rgb[1] == number);
      seen.push_back(number);
    });
    CHECK(seen == std::vector{0, 3, 9});
  }
  // A file that lost frames while it was in use.
  telling_clip(folder, 2, 4);
  CHECK(folder.error_of([&] {
    store.visit(2, store.whole(2), std::vector{2, 7}, [](int, const Picture&) {});
  }) == "DIR/2.mp4: 4 frames decode, where there were 10 before; leave the file alone while it is read");
}

TEST_CASE("loader: a long video is counted without holding it, and read frame by frame") {
  const TemporaryFolder folder;
  constexpr std::size_t kFrame = 32 * 24 * 3;
  const auto memory = std::make_shared<FootageMemory>(100 * kFrame);
  FootageStore store({telling_clip(folder, 5, 9).path}, 0, memory, 8 * kFrame);
  const FootageStore::Whole whole = store.whole(0);
  CHECK(whole.frames == 9);
  CHECK((whole.footage == nullptr && whole.held == nullptr));
  CHECK(memory->free() == memory->budget());
  std::vector<int> told;
  store.visit(0, whole, std::vector{1, 2, 8},
              [&](int, const Picture& picture) { told.push_back(picture.rgb[1]); });
  CHECK(told == std::vector{1, 2, 8});
}

TEST_CASE("loader: footage of large frames is scaled down, small ones are left alone") {
  const TemporaryFolder folder;
  const std::vector<std::filesystem::path> paths = {telling_clip(folder, 0, 3, 64, 48).path,
                                                    telling_clip(folder, 1, 3, 24, 16).path};
  FootageStore kept(paths, 24, std::make_shared<FootageMemory>(std::size_t{1} << 20));
  FootageStore store(paths, 24, std::make_shared<FootageMemory>(0));
  const FootageStore::Whole large = kept.whole(0), small = kept.whole(1);
  CHECK((large.footage->height == 24 && large.footage->width == 32));
  CHECK((small.footage->height == 16 && small.footage->width == 24));
  // As they were held, and decoded again.
  for (int time = 0; time < 2; ++time) {
    const FootageStore::Whole whole = store.whole(0);
    CHECK((whole.held != nullptr) == (time == 0));
    store.visit(0, whole, std::vector{2}, [&](int, const Picture& picture) {
      CHECK((picture.height == 24 && picture.width == 32));
      CHECK(std::ranges::equal(picture.rgb, large.footage->picture(2).rgb));
    });
  }
}

TEST_CASE("loader: the check of a data set gives every item its verdict, in order") {
  const TemporaryFolder folder;
  std::vector<Item> items = {telling_clip(folder, 0, 31), telling_clip(folder, 1, 30),
                             telling_clip(folder, 2, 40), telling_clip(folder, 3, 35)};
  folder.write("2.mp4", "no video");
  items.push_back({folder / "none.mp4", "none", 0, {}});
  for (const int threads : {1, 3}) {
    std::int64_t calls = 0;
    const CheckReport report =
        check_items(items, {.T = 16, .rate = 2, .threads = threads}, [&](std::int64_t done, std::int64_t all) {
          CHECK(done == ++calls);
          CHECK(all == 5);
        });
    CHECK(calls == 5);
    REQUIRE(report.items.size() == 5);
    CHECK(report.bad == 2);
    CHECK(report.damaged == 0);
    CHECK(report.too_short == 1);
    CHECK(report.frames == 31 + 30 + 35);
    CHECK(report.items[0].ok);
    CHECK(report.items[0].frames == 31);
    CHECK(report.items[0].width == 32);
    CHECK(report.items[0].height == 24);
    CHECK_FALSE(report.items[0].too_short);
    CHECK(report.items[1].too_short);
    CHECK_FALSE(report.items[2].ok);
    CHECK(report.items[2].cause.find("2.mp4") != std::string::npos);
    CHECK(report.items[3].ok);
    CHECK_FALSE(report.items[4].ok);
  }
  CHECK(check_items({}, {}).items.empty());
  CHECK_THROWS_AS(check_items(items, {.T = 0}), Error);
  CHECK_THROWS_AS(check_items(items, {.threads = 0}), Error);
}

}  // namespace
}  // namespace stp

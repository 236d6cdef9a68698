// Decoded clips on disk: the same batches with and without, whatever happens to the folder.
#include "data/footage_disk.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "data/footage_memory.h"
#include "data/loader.h"
#include "tests/data/clips.h"
#include "tests/engine/faults.h"

namespace stp {
namespace {

using test::TemporaryFolder;

std::vector<Item> four_clips(const TemporaryFolder& folder) {
  return test::telling_clips(folder, {9, 14, 20, 26});
}

LoaderOptions options_with(const std::filesystem::path& cache_dir) {
  LoaderOptions options;
  options.T = 4;
  options.rate = 2;
  options.Y = options.X = 12;
  options.batch = 2;
  options.short_side = 16;
  options.cache_dir = cache_dir;
  return options;
}

std::vector<std::uint8_t> pixels(Loader& loader, int epochs) {
  std::vector<std::uint8_t> all;
  Batch batch;
  for (int e = 0; e < epochs; ++e)
    while (loader.next(batch)) all.insert(all.end(), batch.pixels.begin(), batch.pixels.end());
  return all;
}

std::vector<std::uint8_t> pixels(const std::vector<Item>& items, const LoaderOptions& options, int epochs = 2) {
  Loader loader(items, options);
  return pixels(loader, epochs);
}

std::set<std::filesystem::path> entries(const std::filesystem::path& folder) {
  std::set<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) found.insert(entry.path());
  return found;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::uintmax_t bytes_of(const std::set<std::filesystem::path>& paths) {
  std::uintmax_t bytes = 0;
  for (const auto& path : paths) bytes += std::filesystem::file_size(path);
  return bytes;
}

TEST_CASE("footage disk: batches are the same without a cache, when it is written, and when it is read") {
  const TemporaryFolder folder;
  const std::vector<Item> items = four_clips(folder);
  for (const auto views : {LoaderOptions::Views::random, LoaderOptions::Views::even})
    for (const std::size_t memory : {std::size_t{0}, std::size_t{20'000}, std::size_t{1} << 30})
      for (const int threads : {1, 3}) {
        LoaderOptions options = options_with({});
        options.views = views;
        options.threads = threads;
        const auto read = [&] {
          options.memory = std::make_shared<FootageMemory>(memory);
          return pixels(items, options);
        };
        const auto wanted = read();
        options.cache_dir = folder / fmt::format("cache{}{}{}", static_cast<int>(views), memory, threads);
        CHECK(read() == wanted);
        const auto written = entries(options.cache_dir);
        CHECK(written.size() == 4);
        CHECK(read() == wanted);
        CHECK(entries(options.cache_dir) == written);
      }
}

TEST_CASE("footage disk: what is there is not decoded again") {
  const TemporaryFolder folder;
  const Item item = test::telling_clip(folder, 3, 12);
  FootageDisk disk(folder / "cache", 1 << 20, 0);
  Footage other = {.frames = 12, .height = 24, .width = 32, .rgb = {}};
  other.rgb.assign(std::size_t{12} * 24 * 32 * 3, 99);
  disk.write(disk.key_of(item.path).value(), other);
  LoaderOptions options = options_with(folder / "cache");
  options.short_side = 0;
  options.batch = 1;
  const auto shown = pixels({item}, options, 1);
  CHECK(std::ranges::all_of(shown, [](std::uint8_t value) { return value == 99; }));
}

TEST_CASE("footage disk: the key is the content and the settings, not the name or the time") {
  const TemporaryFolder folder;
  const Item item = test::telling_clip(folder, 1, 9);
  std::filesystem::copy_file(item.path, folder / "copy.mp4");
  test::telling_clip(folder, 2, 9);
  const FootageDisk disk(folder / "cache", 0, 16), larger(folder / "cache", 0, 20);
  const auto key = disk.key_of(item.path);
  REQUIRE(key.has_value());
  CHECK(disk.key_of(folder / "copy.mp4") == key);
  CHECK(disk.key_of(folder / "2.mp4") != key);
  CHECK(larger.key_of(item.path) != key);
  CHECK_FALSE(disk.key_of(folder.path()).has_value());
  std::string text = text_of(item.path);
  const auto time = std::filesystem::last_write_time(item.path);
  text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
  folder.write("1.mp4", text);
  std::filesystem::last_write_time(item.path, time);
  CHECK(disk.key_of(item.path) != key);
}

TEST_CASE("footage disk: a damaged or foreign entry is decoded again and replaced") {
  const TemporaryFolder folder;
  const std::vector<Item> items = {test::telling_clip(folder, 0, 5, 8, 6),
                                   test::telling_clip(folder, 1, 6, 8, 6)};
  LoaderOptions options = options_with({});
  options.views = LoaderOptions::Views::even;  // which use every frame
  options.rate = 1;
  const auto wanted = pixels(items, options, 2);
  options.cache_dir = folder / "cache";
  CHECK(pixels(items, options, 2) == wanted);
  const auto written = entries(options.cache_dir);
  REQUIRE(written.size() == 2);
  const std::filesystem::path path = *written.begin();
  const std::string sound = text_of(path), other = text_of(*written.rbegin());
  const auto check_with = [&](const std::string& text) {
    folder.write("cache/" + path.filename().string(), text);
    CHECK(pixels(items, options, 2) == wanted);
    CHECK(text_of(path) == sound);
  };
  for (std::size_t at = 0; at < sound.size(); at += at < 90 ? 1 : 61) {
    CAPTURE(at);
    std::string text = sound;
    text[at] = static_cast<char>(text[at] ^ 4);
    check_with(text);
    check_with(sound.substr(0, at));
  }
  check_with(sound + "x");
  check_with(other);
  check_with("no entry");
}

TEST_CASE("footage disk: entries take no more than they may, and the first to come stay") {
  const TemporaryFolder folder;
  const std::vector<Item> items = four_clips(folder);
  LoaderOptions options = options_with({});
  const auto wanted = pixels(items, options);
  options.cache_dir = folder / "cache";
  for (const std::uint64_t limit : {0, 10'000, 20'000, 40'000, 60'000}) {
    options.cache_disk_bytes = limit;
    const auto before = std::filesystem::exists(options.cache_dir) ? entries(options.cache_dir)
                                                                   : std::set<std::filesystem::path>();
    CHECK(pixels(items, options) == wanted);
    const auto after = entries(options.cache_dir);
    CHECK(bytes_of(after) <= limit);
    CHECK(std::ranges::includes(after, before));
  }
  CHECK(entries(options.cache_dir).size() >= 2);
}

TEST_CASE("footage disk: several loaders share a folder at the same time") {
  const TemporaryFolder folder;
  const std::vector<Item> items = four_clips(folder);
  const auto wanted = pixels(items, options_with({}));
  LoaderOptions options = options_with(folder / "cache");
  Loader a(items, options), b(items, options), c(items, options);
  Batch batch;
  for (Loader* loader : {&a, &b, &c}) loader->open({0, 0});
  std::vector<std::vector<std::uint8_t>> got(3);
  for (int e = 0; e < 2; ++e)
    for (int i = 0; i < 3; ++i) {
      std::size_t n = 0;
      for (Loader* loader : {&a, &b, &c}) {
        const bool more = loader->next(batch);
        if (i < 2) got[n].insert(got[n].end(), batch.pixels.begin(), batch.pixels.end());
        CHECK(more == (i < 2));
        ++n;
      }
    }
  for (const auto& one : got) CHECK(one == wanted);
  for (const Loader* loader : {&a, &b, &c}) CHECK(loader->cache_trouble().empty());
  CHECK(entries(options.cache_dir).size() == 4);
}

TEST_CASE("footage disk: obfuscated frames are not stored") {
  const TemporaryFolder folder;
  LoaderOptions options = options_with(folder / "cache");
  options.obfuscation.kind = Obfuscation::Kind::blur;
  pixels(four_clips(folder), options);
  CHECK(entries(options.cache_dir).empty());
}

TEST_CASE("footage disk: when the disk is full or fails, training goes on and one line says so") {
  const TemporaryFolder folder;
  const std::vector<Item> items = four_clips(folder);
  const auto wanted = pixels(items, options_with({}));
  int failed = 0;
  for (const int error : {ENOSPC, EIO})
    for (const std::string call : {"write", "fsync", "linkat"})
      for (const int nth : {1, 2, 4}) {
        CAPTURE(call);
        CAPTURE(nth);
        LoaderOptions options = options_with(folder / fmt::format("{}{}{}", call, nth, error));
        options.threads = 1;  // calls are counted without a lock
        std::vector<std::uint8_t> got;
        std::string trouble;
        {
          Loader loader(items, options);  // the folder is good when the run begins
          const faults::Armed armed({.call = call, .nth = nth, .error = error, .lasting = true});
          got = pixels(loader, 2);
          loader.open({0, 0});  // the thread rests before the calls are sound again
          trouble = loader.cache_trouble();
        }
        CHECK(got == wanted);
        CHECK(trouble.starts_with("no more clips are cached: cannot write "));
        CHECK(trouble.find('\n') == std::string::npos);
        failed += !trouble.empty();
        // What is there is sound, and a later run goes on from it.
        Loader later(items, options);
        CHECK(pixels(later, 2) == wanted);
        CHECK(later.cache_trouble().empty());
        CHECK(entries(options.cache_dir).size() == 4);
      }
  CHECK(failed == 18);
}

TEST_CASE("footage disk: a folder that cannot be written is refused before anything is decoded") {
  const TemporaryFolder folder;
  const std::vector<Item> items = four_clips(folder);
  folder.write("file", "no folder");
  const std::string message =
      folder.error_of([&] { const Loader loader(items, options_with(folder / "file")); });
  CHECK(message.starts_with(
      "cache of decoded clips: cannot write DIR/file/probe: open its folder: Not a directory"));
  CHECK(message.ends_with("; name another folder, or none"));
}

}  // namespace
}  // namespace stp

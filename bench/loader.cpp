// Times the loader on real clips: every video below a folder to 16 x 112 x 112 by two threads, in clips a
// second.
//   bench_loader [FOLDER] [--epochs N] [--workers N] [--recipe] [--cache DIR] [--step SECONDS_PER_CLIP]
// FOLDER holds CLASS/VIDEO; without it jhmdb/videos below STPRIVACY_DATA (default ../shared/data) is read. Each
// round makes a new loader, which knows nothing of the files (first epoch), and goes on with it (later epochs).
// Clips are cut from the middle, as bench/loader_peer.py does it; --recipe: as vp_hmdb51.toml trains on them;
// --cache: with decoded clips on disk, in DIR. Prints one line a measurement, "name median clips/s".
// --step: instead, what a training step that takes so long a clip waits for its batches, one pass over 64
// clips.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bench/timing.h"
#include "data/loader.h"

namespace {

using namespace stp;
using bench::median, bench::now;

struct Arguments {
  std::filesystem::path folder;
  int epochs = 5, workers = 2;
  bool recipe = false;
  std::filesystem::path cache;
  double step = 0;
};

std::filesystem::path recordings() {
  const char* given = std::getenv("STPRIVACY_DATA");
  return std::filesystem::path(given != nullptr ? given : "../shared/data") / "jhmdb/videos";
}

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&] {
      check(i + 1 < argc, "bench_loader: {} wants a value", flag);
      return argv[++i];
    };
    if (flag == "--epochs") {
      a.epochs = std::atoi(value());
    } else if (flag == "--workers") {
      a.workers = std::atoi(value());
    } else if (flag == "--recipe") {
      a.recipe = true;
    } else if (flag == "--cache") {
      a.cache = value();
    } else if (flag == "--step") {
      a.step = std::atof(value());
    } else {
      check(!flag.starts_with("-"), "bench_loader: no flag {}; see the head of bench/loader.cpp", flag);
      a.folder = flag;
    }
  }
  if (a.folder.empty()) a.folder = recordings();
  check(a.epochs >= 1, "bench_loader: {} epochs, wanted 1 or more", a.epochs);
  return a;
}

std::vector<Item> items_of(const std::filesystem::path& folder) {
  check(std::filesystem::is_directory(folder), "bench_loader: no folder {}", folder.string());
  std::vector<Item> items;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) items.push_back({entry.path(), entry.path().filename().string(), 0, {}});
  std::ranges::sort(items, {}, &Item::path);
  return items;
}

LoaderOptions options_of(const Arguments& a) {
  LoaderOptions o;
  o.threads = a.workers;
  o.cache_dir = a.cache;
  o.drop_last = false;
  o.crop.kind = a.recipe ? CropSpec::Kind::resized : CropSpec::Kind::centre;
  if (!a.recipe) {
    o.augment.flip = 0;
    return o;
  }
  o.crop.area_low = 0.5;
  o.short_side = 128;
  o.augment.brightness = o.augment.contrast = o.augment.saturation = {0.2, 0.9, 1.1};
  o.augment.gamma = {0.2, 0.85, 1.15};
  o.augment.hue = {0.2, -0.05, 0.05};
  return o;
}

double seconds_of_epoch(Loader& loader) {
  Batch batch;
  const double start = now();
  while (loader.next(batch)) {
  }
  return now() - start;
}

void measure(const Arguments& a) {
  const std::vector<Item> items = items_of(a.folder);
  const auto clips = static_cast<double>(items.size());
  std::vector<double> first, later;
  for (int round = 0; round < a.epochs; ++round) {
    Loader loader(items, options_of(a));
    first.push_back(clips / seconds_of_epoch(loader));
    later.push_back(clips / seconds_of_epoch(loader));
  }
  std::printf("first_epoch %.1f clips/s\nlater_epoch %.1f clips/s\n", median(first), median(later));
}

// The step only sleeps: the decoders have both processors, as they have beside a GPU.
void measure_waiting(const Arguments& a) {
  constexpr std::size_t kClips = 64;
  std::vector<Item> items = items_of(a.folder);
  items.resize(std::min(items.size(), kClips));
  Loader loader(items, options_of(a));
  Batch batch;
  check(loader.next(batch), "bench_loader: no clips");  // nothing can be ahead of the first
  const double first = loader.waited(), start = now();
  do std::this_thread::sleep_for(std::chrono::duration<double>(a.step * batch.B));
  while (loader.next(batch));
  std::printf("first_batch %.3f s waited\nlater_batches %.6f s waited of %.1f\n", first,
              loader.waited() - first, now() - start);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments = parse(argc, argv);
    arguments.step > 0 ? measure_waiting(arguments) : measure(arguments);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

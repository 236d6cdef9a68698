// Times the loader on real clips: every video below a folder to 16 x 112 x 112 by two threads, in clips a second.
//   bench_loader [FOLDER] [--epochs N] [--workers N] [--recipe]
// FOLDER holds CLASS/VIDEO; without it jhmdb/videos below STPRIVACY_DATA (default ../shared/data) is read. Each
// round makes a new loader, which knows nothing of the files (first epoch), and goes on with it (later epochs).
// Clips are cut from the middle, as bench/loader_peer.py does it; --recipe: as vp_hmdb51.toml trains on them.
// Prints one line a measurement, "name median clips/s".
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/timing.h"
#include "data/loader.h"

namespace {

using namespace stp;
using bench::now;

struct Arguments {
  std::filesystem::path folder;
  int epochs = 5, workers = 2;
  bool recipe = false;
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
      return std::atoi(argv[++i]);
    };
    if (flag == "--epochs") {
      a.epochs = value();
    } else if (flag == "--workers") {
      a.workers = value();
    } else if (flag == "--recipe") {
      a.recipe = true;
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

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
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

}  // namespace

int main(int argc, char** argv) {
  try {
    measure(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

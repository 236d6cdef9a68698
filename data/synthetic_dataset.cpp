// VP-Synth on disk: videos, split lists, label table and the manifest that says whether all of it is there.
//
// Every file appears under its name only when it is complete (DurableFile, VideoWriter), so what exists is
// right and an interrupted synthesis goes on with what is missing. The manifest is the first file and,
// rewritten, the last.
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/synthetic.h"
#include "data/synthetic_clip.h"
#include "data/video.h"
#include "engine/check.h"
#include "engine/durable.h"

namespace stp {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Changes whenever the same options give other pixels or labels than before, so that no folder mixes the two.
constexpr int kRecipe = 1;
constexpr const char* kManifest = "synthetic.json";
constexpr std::uint64_t kManifestLimit = 1 << 16;  // bytes

// What the folder is to hold.
Json describe(const SyntheticOptions& o) {
  Json options{{"seed", o.seed},
               {"clips", o.clips},
               {"width", o.width},
               {"height", o.height},
               {"frames", o.frames},
               {"frame_rate", o.frame_rate},
               {"difficulty", o.difficulty},
               {"prevalence", o.prevalence},
               {"correlation", o.correlation},
               {"test_every", o.test_every},
               {"lossless", o.lossless},
               {"quality", o.quality}};
  Json table;
  const AttributeTable shares = synthetic_attribute_table(o);
  for (int c = 0; c < kSyntheticActions; ++c)
    for (int a = 0; a < kSyntheticAttributes; ++a)
      table[synthetic_action_name(c)][kSyntheticAttributeNames[a]] = shares[c][a];
  return {
      {"data_set", "VP-Synth"}, {"recipe", kRecipe}, {"options", options}, {"attribute_given_action", table}};
}

void write_manifest(const fs::path& folder, Json description, bool complete) {
  description["complete"] = complete;
  write_file(folder / kManifest, description.dump(2) + "\n");
}

// Names the first option in which the folder's manifest differs from what is wanted.
[[noreturn]] void refuse_other(const fs::path& path, const Json& found, const Json& wanted) {
  const Json none = Json::object();
  const Json& options = found.is_object() && found.contains("options") ? found["options"] : none;
  for (const auto& [key, value] : wanted["options"].items())
    if (options.is_object() && options.contains(key) && options[key] != value)
      refuse("{} holds a data set with {} = {}, wanted {}; name another folder, or the same options to go on",
             shown(path), key, options[key].dump(), value.dump());
  refuse("{} was not written by this program's generator; name another folder", shown(path));
}

// True if the folder's manifest says that it holds all of `wanted`; false if none of it or a part. Refuses a
// folder that holds anything else.
bool is_complete(const fs::path& folder, const Json& wanted) {
  const fs::path path = folder / kManifest;
  if (!fs::exists(path)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      check(entry.path().filename() == ".lock", "{} is not empty and holds no {}; name a new folder",
            shown(folder), kManifest);
    return false;
  }
  Json found = Json::parse(read_text(path, kManifestLimit), nullptr, false);
  if (!found.is_object() || !found.contains("complete") || !found["complete"].is_boolean())
    refuse_other(path, found, wanted);
  const bool complete = found["complete"];
  found.erase("complete");
  if (found != wanted) refuse_other(path, found, wanted);
  return complete;
}

fs::path video_path(const fs::path& folder, const SyntheticLabel& label) {
  return folder / "videos" / synthetic_action_name(label.action) / label.name;
}

bool lacks_videos(const fs::path& folder, const SyntheticOptions& options) {
  for (std::int64_t i = 0; i < options.clips; ++i)
    if (!fs::exists(video_path(folder, synthetic_label(options, i)))) return true;
  return false;
}

void write_video(const fs::path& path, const SyntheticOptions& options, const SyntheticLabel& label) {
  synthetic::Clip clip(options, label);
  VideoSpec spec;
  spec.width = options.width;
  spec.height = options.height;
  spec.time_base = {1, options.frame_rate};
  spec.frame_rate = {options.frame_rate, 1};
  spec.lossless = options.lossless;
  spec.quality = options.quality;
  VideoWriter writer(path, spec);
  std::vector<std::uint8_t> rgb;
  for (int t = 0; t < options.frames; ++t) {
    clip.frame(t, rgb);
    writer.write(rgb, t);
  }
  writer.finish();
}

// Calls work(i) for 0 <= i < count from `threads` threads; the first error stops them all and is thrown.
template <class Work>
void for_each(std::int64_t count, int threads, Work&& work) {
  std::atomic<std::int64_t> next = 0;
  std::mutex failing;
  std::exception_ptr error;
  const auto run = [&] {
    try {
      for (std::int64_t i; (i = next++) < count;) work(i);
    } catch (...) {
      next = count;
      const std::lock_guard lock(failing);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(run);
    run();
  }
  if (error) std::rethrow_exception(error);
}

void write_videos(const fs::path& folder, const SyntheticOptions& options, int threads,
                  const SynthesisProgress& progress) {
  std::mutex telling;  // guards done and progress
  std::int64_t done = 0;
  for_each(options.clips, threads, [&](std::int64_t i) {
    const SyntheticLabel label = synthetic_label(options, i);
    const fs::path path = video_path(folder, label);
    if (!fs::exists(path)) write_video(path, options, label);
    const std::lock_guard lock(telling);
    ++done;
    if (progress) progress(done, options.clips);
  });
}

// The lists of one action, in the format of the HMDB51 splits, and its lines of the label table.
std::string write_lists(const fs::path& folder, const SyntheticOptions& options, int action) {
  const char* name = synthetic_action_name(action);
  std::array<std::string, kSyntheticSplits> lists;
  std::string lines;
  for (std::int64_t i = action; i < options.clips; i += kSyntheticActions) {
    const SyntheticLabel label = synthetic_label(options, i);
    for (int s = 0; s < kSyntheticSplits; ++s)
      lists[s] += fmt::format("{} {} \n", label.name, static_cast<int>(label.splits[s]));
    lines += fmt::format("{}/{}", name, label.name);
    for (const bool value : label.attributes) lines += value ? ",1" : ",0";
    lines += '\n';
  }
  for (int s = 0; s < kSyntheticSplits; ++s)
    write_file(folder / "splits" / fmt::format("{}_test_split{}.txt", name, s + 1), lists[s]);
  return lines;
}

void write_labels(const fs::path& folder, const SyntheticOptions& options) {
  std::string table = "video";
  for (const char* attribute : kSyntheticAttributeNames) table += fmt::format(",{}", attribute);
  table += '\n';
  for (int action = 0; action < kSyntheticActions; ++action) table += write_lists(folder, options, action);
  write_file(folder / "labels.csv", table);
}

}  // namespace

void synthesize(const fs::path& folder, const SyntheticOptions& options, int threads,
                const SynthesisProgress& progress) {
  check_synthetic_options(options);
  check(threads >= 1 && threads <= 256, "synthesize: threads = {}, wanted 1 to 256", threads);
  try {
    fs::create_directories(folder);
    const Json wanted = describe(options);
    is_complete(folder, wanted);  // refuses before anything is written
    const FolderLock lock(folder);
    if (is_complete(folder, wanted) && !lacks_videos(folder, options)) return;
    write_manifest(folder, wanted, false);
    fs::create_directories(folder / "splits");
    for (int action = 0; action < kSyntheticActions; ++action)
      fs::create_directories(folder / "videos" / synthetic_action_name(action));
    write_videos(folder, options, threads, progress);
    write_labels(folder, options);
    write_manifest(folder, wanted, true);
  } catch (const fs::filesystem_error& error) {
    fail("synthesize: cannot write {}: {}; name a folder that can be written", shown(folder),
         error.code().message());
  }
}

}  // namespace stp

// stprivacy inspect FILE: what is in a weight file, a checkpoint, a run, a video or a folder of frames. Decides
// by content, believes nothing, changes nothing.
#include <cmath>

#include "data/frames.h"
#include "engine/checkpoint.h"
#include "engine/file.h"
#include "engine/text.h"
#include "tools/commands/commands.h"
#include "tools/experiment/reevaluate.h"
#include "tools/experiment/run.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

// A safetensors file begins with the length of its header, eight bytes, and the header with a brace.
bool is_safetensors(const fs::path& path) {
  const InputFile file(path);
  if (file.size() < 9) return false;
  std::array<std::byte, 9> first{};
  file.read(0, first);
  return first[8] == std::byte{'{'};
}

std::string shape_text(const StoredTensor& tensor) {
  return fmt::format("({})", fmt::join(tensor.shape, ", "));
}

// Long texts, a whole recipe, are told by their length.
std::string short_text(const std::string& text) {
  constexpr std::size_t kLongest = 80;
  const bool line = text.size() <= kLongest && text.find('\n') == std::string::npos;
  return line ? printable(text) : fmt::format("{} bytes", text.size());
}

void tell_weights(const fs::path& path, Console& console) {
  const SafetensorsFile file(path);
  std::uint64_t elements = 0, longest = 0;
  for (const StoredTensor& tensor : file.tensors()) {
    elements += tensor.elements();
    longest = std::max<std::uint64_t>(longest, tensor.name.size());
  }
  console.result(
      fmt::format("{}: safetensors, {} tensors, {} values", shown(path), file.tensors().size(), elements));
  if (file.metadata().contains("manifest")) {
    const Checkpoint whole(path);  // throws if a digest does not agree
    console.result("every byte agrees with its digest");
  }
  for (const auto& [key, text] : file.metadata())
    if (!key.starts_with("digest.")) console.result(fmt::format("  {} = {}", printable(key), short_text(text)));
  for (const StoredTensor& tensor : file.tensors())
    console.result(fmt::format("  {:<{}}  {:<5} {}", printable(tensor.name), longest, name(tensor.type),
                               shape_text(tensor)));
}

void tell_run(const fs::path& folder, Console& console) {
  const Recipe recipe = recipe_of_run(folder);
  console.result(fmt::format("{}: a run of recipe {}, seed {}", shown(folder), recipe.name, recipe.seed));
  const fs::path latest = folder / "checkpoints/latest.safetensors";
  std::error_code ignored;
  if (!fs::exists(latest, ignored)) return console.result("no checkpoint yet");
  const Checkpoint checkpoint(latest);
  const auto names = stage_names(recipe);
  const std::int64_t stage = checkpoint.counter("stage"), stages = static_cast<std::int64_t>(names.size());
  check(stage >= 0 && stage <= stages, "{}: it counts {} stages done, the recipe has {}; it is of another run",
        shown(latest), stage, stages);
  console.result(stage < stages ? fmt::format("saved at {}, step {}", names[static_cast<std::size_t>(stage)],
                                              checkpoint.counter("step"))
                                : "finished");
  if (!fs::exists(folder / "results.json", ignored)) return;
  const Judged judged = results_of_run(folder);
  console.result(results_table(judged.results, judged.labels));
}

// What is not recognised could have been meant as something else.
std::unique_ptr<FrameSource> open_as_video(const fs::path& path, const char* nor) {
  try {
    return open_frames(path);
  } catch (const Error& error) {
    throw Error(error.fault(), fmt::format("{}; {}", error.what(), nor));
  }
}

void tell_video(const fs::path& path, const char* nor, Console& console) {
  const std::unique_ptr<FrameSource> source = open_as_video(path, nor);
  const VideoInfo& info = source->info();
  Frame frame;
  std::int64_t frames = 0, first = 0, last = 0;
  while (source->next(frame)) {
    if (frames++ == 0) first = frame.time;
    last = frame.time;
  }
  const double seconds = static_cast<double>(last - first) * info.time_base.value();
  console.result(fmt::format("{}: {}, {} {}", shown(path), info.container, info.codec, info.pixel_format));
  console.result(fmt::format("  {} x {} as shown, pixel aspect {}:{}, rotated by {} degrees{}", info.width,
                             info.height, info.pixel_aspect.num, info.pixel_aspect.den, info.rotation,
                             info.mirrored ? ", mirrored" : ""));
  console.result(fmt::format("  {} frames decode ({} declared), {:.3f} s from first to last, {} damaged",
                             frames, info.declared_frames, seconds, source->damaged()));
  if (frames > 1 && seconds > 0)
    console.result(fmt::format("  {:.3f} frames a second by their times, {:.3f} by the container's word",
                               static_cast<double>(frames - 1) / seconds,
                               info.frame_rate.num > 0 ? info.frame_rate.value() : std::nan("")));
  for (const std::string& other : info.others) console.result("  besides: " + printable(other));
  if (source->damaged() > 0) console.warning(fmt::format("{}: {}", shown(path), source->damage()));
}

void run(const fs::path& path, Console& console) {
  std::error_code ignored;
  check(fs::exists(path, ignored), "{}: no such file or folder; check the name", shown(path));
  if (fs::is_directory(path, ignored)) {
    if (fs::exists(path / "config.toml", ignored)) return tell_run(path, console);
    return tell_video(path, "nor is it a run, which has a config.toml", console);
  }
  if (is_safetensors(path)) return tell_weights(path, console);
  tell_video(path, "nor does it begin as a safetensors file", console);
}

}  // namespace

void add_inspect(CLI::App& app, Program& program) {
  auto path = std::make_shared<std::string>();
  CLI::App* c = add_command(app, program, "inspect",
                            "what is in a weight file, a checkpoint, a run, a video or a folder of frames",
                            [path](Console& console) { run(*path, console); });
  c->add_option("file", *path, "file or folder")->required();
}

}  // namespace stp

// What the commands that only look tell.
#include "data/synthetic.h"
#include "engine/safetensors.h"
#include "tests/program.h"

namespace stp {
namespace {

using test::Ended;
using test::run_program;

TemporaryFolder& clips() {
  static TemporaryFolder folder;
  static const bool made = [] {
    SyntheticOptions options;
    options.seed = 1;
    options.clips = 48;
    options.width = options.height = 32;
    options.frames = 12;
    synthesize(folder / "runs/data/tiny", options);
    return true;
  }();
  static_cast<void>(made);
  return folder;
}

Ended run(const std::vector<std::string>& arguments) { return run_program(arguments, {}, clips().path()); }

const char* const kRecipe = STP_SOURCE_DIR "/tools/recipes/tiny.toml";

TEST_CASE("doctor: this machine can do what the tests do") {
  const Ended ended = run({"doctor"});
  CHECK(ended.code == 0);
  for (const char* part : {"oneDNN", "libavcodec", "agree with a plain sum", "h264"})
    CHECK(contains(ended.results, part));
}

TEST_CASE("data check: names what cannot be read, and only that") {
  const Ended good = run({"data", "check", kRecipe});
  CHECK(good.code == 0);
  CHECK(contains(good.results, "test: 10 clips, 120 frames; 0 bad, 0 damaged"));
  const auto clip = clips() / "runs/data/tiny/videos/kick/kick_000004.mp4";
  const std::string bytes = content(clip);
  put(clip, bytes.substr(0, bytes.size() / 2));
  const Ended bad = run({"data", "check", kRecipe});
  put(clip, bytes);
  CHECK(bad.code == 1);
  CHECK(contains(bad.results, "bad: runs/data/tiny/videos/kick/kick_000004.mp4: "));
  CHECK(contains(bad.results, " 1 bad"));
}

TEST_CASE("inspect: tells a video by what decodes") {
  const Ended ended = run({"inspect", "runs/data/tiny/videos/kick/kick_000004.mp4"});
  CHECK(ended.code == 0);
  for (const char* part : {"h264", "32 x 32", "12 frames decode", "12.000 frames a second"})
    CHECK(contains(ended.results, part));
}

TEST_CASE("import: an image model's weights, inflated, are a start by their own names") {
  {
    std::vector<float> kernel(24 * 3 * 8 * 8);
    for (std::size_t i = 0; i < kernel.size(); ++i) kernel[i] = static_cast<float>(i % 101) / 64;
    SafetensorsWriter file(clips() / "image.safetensors",
                           {StoredTensor{.name = "patch_embed.proj.weight", .shape = {24, 3, 8, 8}},
                            StoredTensor{.name = "norm.weight", .shape = {24}}});
    file.append(std::span<const float>(kernel));
    file.append(std::span<const float>(std::vector<float>(24, 2.0F)));
    file.commit();
  }
  const Ended ended = run({"import", "image.safetensors", "--recipe", kRecipe, "-o", "start.safetensors"});
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  CHECK(contains(ended.results, "inflated: 1\n    patch_embed.proj.weight: (24, 3, 8, 8) over 2 frames"));
  const SafetensorsFile image(clips() / "image.safetensors"), start(clips() / "start.safetensors");
  const std::vector<float> flat = image.floats("patch_embed.proj.weight"),
                           deep = start.floats("patch_embed.proj.weight");
  REQUIRE(deep.size() == 2 * flat.size());
  for (std::size_t i = 0; i < deep.size(); ++i)
    CHECK(deep[i] == flat[i / 128 * 64 + i % 64] / 2);  // halves of a still clip's two frames
  // The image's last norm is the last norm of both networks, each by its own name.
  for (const char* norm : {"norm_recon.weight", "fc_norm.weight"})
    CHECK(start.floats(norm) == std::vector<float>(24, 2.0F));
  const Ended again = run({"import", "start.safetensors", "--recipe", kRecipe});
  CHECK(contains(again.results, "  patch_embed.proj.weight\n"));
  CHECK(contains(again.results, "inflated: 0"));
  CHECK_FALSE(contains(again.results, "inflated: 1"));

  const Ended central = run({"import", "image.safetensors", "--recipe", kRecipe, "-o", "central.safetensors",
                             "--set", "weights.inflation=central"});
  REQUIRE(central.code == 0);
  const std::vector<float> middle =
      SafetensorsFile(clips() / "central.safetensors").floats("patch_embed.proj.weight");
  for (std::size_t i = 0; i < middle.size(); ++i)
    CHECK(middle[i] == (i / 64 % 2 == 1 ? flat[i / 128 * 64 + i % 64] : 0));
}

TEST_CASE("report: refuses in one line and leaves the report that was there") {
  const auto report = clips() / "report.html";
  put(report, "an older one");
  std::filesystem::create_directories(clips() / "empty");
  std::filesystem::create_directories(clips() / "damaged");
  put(clips() / "damaged/config.toml", "seed = 1\n");
  put(clips() / "damaged/results.json", "{\"methods\": [");
  const auto refused = [&](const std::string& run_folder, const std::string& why) {
    const Ended ended = run({"report", run_folder, "-o", "report.html"});
    CHECK(ended.code == 2);
    CHECK(ended.messages == "error: " + why + "\n");
    CHECK(content(report) == "an older one");
  };
  refused("nowhere", "nowhere: no such folder; name the folder of a run");
  refused("empty", "empty: neither a run (config.toml) nor a table of runs (results.json)");
  refused("damaged", "damaged/results.json: not JSON; restore the file");
  const Ended nowhere = run({"report", "damaged", "-o", "none/report.html"});
  CHECK(nowhere.code != 0);
  CHECK_FALSE(std::filesystem::exists(clips() / "none"));
}

}  // namespace
}  // namespace stp

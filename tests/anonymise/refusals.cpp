// What is refused, and that nothing is there afterwards.
#include <sys/stat.h>

#include <cmath>

#include "tests/anonymise/samples.h"
#include "tools/experiment/networks.h"

namespace stp {
namespace {

namespace fs = std::filesystem;
using test::Bench;
using test::count_to;
using test::Models;
using test::video_spec;
using test::write_moving;
using Names = std::set<std::string>;

std::string plan_error(const std::vector<fs::path>& inputs, const fs::path& output,
                       const AnonymiseOptions& options = {}) {
  return error_of([&] { plan_anonymisation(inputs, output, Models::get().file(), options); });
}

// Untrained, the bounded head paints everything near middle gray: of this that is a good copy.
void write_gray(const fs::path& path) {
  VideoWriter writer(path, video_spec());
  for (int i = 0; i < 9; ++i) writer.write(test::Pixels(48 * 32 * 3, 128), i);
  writer.finish();
}

TEST_CASE("plan: where everything goes") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "in/deep");
  for (const char* name : {"a.avi.mkv", "in/b.mov", "in/deep/c.mp4"}) {
    VideoSpec spec = video_spec();
    spec.time_base = {1, 1000};
    write_moving(folder / name, spec, count_to(2));
  }
  put(folder / "in/notes.txt", "no video");
  const auto plan = [&](const std::vector<fs::path>& inputs, const fs::path& output) {
    return plan_anonymisation(inputs, output, Models::get().file(), {});
  };
  CHECK(plan({folder / "in/b.mov"}, folder / "x.mkv").jobs.front().output == folder / "x.mkv");
  CHECK(plan({folder / "in/b.mov"}, folder.path()).jobs.front().output == folder / "b.mp4");
  CHECK(plan({folder / "in/b.mov"}, folder / "new/").jobs.front().output == folder / "new/b.mp4");
  const auto tree = plan({folder / "in"}, folder / "out");
  REQUIRE(tree.jobs.size() == 2);
  CHECK(tree.jobs[0].output == folder / "out/b.mp4");
  CHECK(tree.jobs[1].output == folder / "out/deep/c.mp4");
  CHECK(tree.left_aside == std::vector<fs::path>{folder / "in/notes.txt"});
  const auto both = plan({folder / "in/", folder / "a.avi.mkv"}, folder / "out");
  REQUIRE(both.jobs.size() == 3);
  CHECK(both.jobs[0].output == folder / "out/in/b.mp4");
  CHECK(both.jobs[2].output == folder / "out/a.avi.mp4");
  CHECK(folder.names() == Names{"a.avi.mkv", "in"});
}

TEST_CASE("plan: an input is never written over, under whatever name") {
  const TemporaryFolder folder;
  const fs::path video = folder / "a.mp4", other = folder / "b.mp4";
  write_moving(video, video_spec(), count_to(2));
  write_moving(other, video_spec(), count_to(2));
  fs::create_hard_link(video, folder / "hard.mp4");
  fs::create_symlink(video, folder / "soft.mp4");
  fs::create_symlink(folder / "nowhere", folder / "dangling.mp4");
  fs::create_directory(folder / "out");
  fs::create_symlink(video, folder / "in.mp4");
  AnonymiseOptions force;
  force.force = force.preview = true;
  for (const AnonymiseOptions& options : {AnonymiseOptions(), force}) {
    for (const char* name : {"a.mp4", "./a.mp4", "out/../a.mp4", "hard.mp4", "soft.mp4"})
      CHECK(contains(plan_error({video}, folder / name, options), "never written over"));
    CHECK(contains(plan_error({folder / "in.mp4"}, video, options), "never written over"));
    CHECK(contains(plan_error({video}, folder.path(), options), "never written over"));
    CHECK(contains(plan_error({video, other}, folder.path(), options), "never written over"));
    CHECK(contains(plan_error({video}, Models::get().file(), options), "never written over"));
    CHECK(contains(plan_error({video}, folder / "dangling.mp4", options), "no regular file"));
    CHECK(contains(plan_error({folder.path()}, folder / "out", options), "lies in the input"));
    CHECK(contains(plan_error({folder.path()}, folder.path(), options), "lies in the input"));
  }
  fs::create_hard_link(video, folder / "c.mp4.json");
  CHECK(contains(plan_error({video}, folder / "c.mp4", force), "never written over"));
  fs::create_hard_link(video, folder / "d.ORIGINAL-VISIBLE.mp4");
  CHECK(contains(plan_error({video}, folder / "d.mp4", force), "never written over"));
}

TEST_CASE("plan: several inputs do not meet in one file") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "in");
  for (const char* name : {"in/a.mp4", "in/a.mov", "a.mp4", "b.mp4"})
    write_moving(folder / name, video_spec(), count_to(2));
  CHECK(
      contains(plan_error({folder / "a.mp4", folder / "b.mp4"}, folder / "x.mp4"), "do not go into one file"));
  CHECK(contains(plan_error({folder / "in"}, folder / "x.mp4"), "do not go into one file"));
  CHECK(contains(plan_error({folder / "in"}, folder / "out"), "both"));
  CHECK(contains(plan_error({folder / "a.mp4", folder / "in/a.mp4"}, folder / "out"), "both"));
  CHECK(contains(plan_error({folder / "a.mp4", folder / "a.mp4"}, folder / "out"), "both"));
  fs::rename(folder / "b.mp4", folder / "a.ORIGINAL-VISIBLE.mkv");
  CHECK(contains(plan_error({folder / "a.mp4", folder / "a.ORIGINAL-VISIBLE.mkv"}, folder / "out"), "both"));
  CHECK(folder.names() == Names{"a.ORIGINAL-VISIBLE.mkv", "a.mp4", "in"});
}

TEST_CASE("plan: what is there already stays unless it is forced away") {
  const TemporaryFolder folder;
  write_moving(folder / "a.mp4", video_spec(), count_to(2));
  AnonymiseOptions force;
  force.force = true;
  for (const char* name : {"x.mp4", "x.mp4.json"}) {
    put(folder / name, "old");
    CHECK(contains(plan_error({folder / "a.mp4"}, folder / "x.mp4"), "add --force") == false);
    CHECK(contains(plan_error({folder / "a.mp4"}, folder / "x.mp4"), "--force"));
    CHECK(plan_error({folder / "a.mp4"}, folder / "x.mp4", force).empty());
    fs::remove(folder / name);
  }
  put(folder / "x.ORIGINAL-VISIBLE.mp4", "old");
  CHECK(contains(plan_error({folder / "a.mp4"}, folder / "x.mp4", force), "preview of an earlier run"));
  force.preview = true;
  CHECK(plan_error({folder / "a.mp4"}, folder / "x.mp4", force).empty());
  fs::create_directory(folder / "y.mp4.json");
  CHECK(contains(plan_error({folder / "a.mp4"}, folder / "y.mp4", force), "no regular file"));
}

TEST_CASE("plan: inputs that are not there or no videos") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "in");
  put(folder / "text.mp4", "this is no video");
  put(folder / "in/readme.txt", "nor this");
  REQUIRE(mkfifo((folder / "pipe.mp4").c_str(), 0600) == 0);
  CHECK(contains(plan_error({folder / "absent.mp4"}, folder / "x.mp4"), "no such file"));
  CHECK(contains(plan_error({folder / "pipe.mp4"}, folder / "x.mp4"), "neither a file nor a folder"));
  CHECK(contains(plan_error({folder / "in"}, folder / "out"), "no video"));
  CHECK(contains(plan_error({folder / "text.mp4"}, folder / "x.mp4"), "text.mp4"));
  CHECK(contains(plan_error({folder / "text.mp4"}, folder / "gone/x.mp4"), "its folder is not there"));
  CHECK(contains(plan_error({folder / "text.mp4"}, folder / "in/readme.txt/"), "is no folder"));
  fs::copy(folder / "text.mp4", folder / "in/z.mp4");
  write_moving(folder / "in/a.mp4", video_spec(), count_to(2));
  CHECK(contains(plan_error({folder / "in"}, folder / "out"), "z.mp4"));  // before a.mp4 is begun
  CHECK_FALSE(fs::exists(folder / "out"));
}

TEST_CASE("anonymise: models that cannot do what is asked") {
  const auto error = [](const std::string& parts, AnonymiseMode mode, std::optional<double> alpha) {
    AnonymiseOptions options;
    options.mode = mode;
    options.alpha = alpha;
    const LoadedModel model = Models::get().load(parts);
    return error_of([&] { check_model(model, options); });
  };
  constexpr auto kLearned = AnonymiseMode::learned, kMask = AnonymiseMode::mask;
  CHECK(error("both", kLearned, {}).empty());
  CHECK(error("both", kMask, 0.5).empty());
  CHECK(error("sparsification", kMask, {}).empty());
  CHECK(error("anonymisation", kLearned, {}).empty());
  CHECK(contains(error("sparsification", kLearned, {}), "redraws nothing"));
  CHECK(contains(error("anonymisation", kMask, {}), "nothing would be dropped"));
  CHECK(contains(error("both", kMask, 1.0), "nothing would be dropped"));
  CHECK(contains(error("anonymisation", kLearned, 0.5), "drops nothing"));
  for (const double alpha : {0.0, -1.0, 1.5, 0.1, std::nan("")})
    CHECK_FALSE(error("both", kLearned, alpha).empty());

  const TemporaryFolder folder;  // the same weights, but nothing says that they were trained
  const LoadedModel model = Models::get().load();
  CheckpointBuilder builder;
  builder.text("recipe", resolved(model.recipe));
  builder.parameters("", model.anonymiser->parameters());
  save_checkpoint(folder / "raw.safetensors", builder.content());
  CHECK(contains(error_of([&] { load_model(folder / "raw.safetensors", Backend(Device::cpu)); }),
                 "not trained against recognisers"));
}

TEST_CASE("anonymise: a model that passes pixels through is found out") {
  Bench bench;
  write_gray(bench.job.input);
  AnonymiseOptions options;
  options.preview = true;
  CHECK(contains(bench.error_of(options), "redraws nothing"));
  CHECK(bench.folder.names() == Names{"in.mp4"});
  options.mode = AnonymiseMode::mask;
  CHECK(bench.error_of(options).empty());
}

TEST_CASE("anonymise: of a damaged video nothing is written") {
  Bench bench;
  write_moving(bench.job.input, video_spec(64, 64), count_to(40));
  const std::string bytes = content(bench.job.input);
  int damaged = 0;
  for (std::size_t cut = bytes.size() / 3; cut < bytes.size(); cut += bytes.size() / 12) {
    std::string broken = bytes;
    for (std::size_t i = cut; i < std::min(cut + 40, bytes.size()); ++i) broken[i] = '\x5a';
    put(bench.job.input, broken);
    std::int64_t found = 0;
    const std::string unreadable = error_of([&] { found = test::decode(bench.job.input).damaged; });
    if (unreadable.empty() && found == 0) continue;
    CHECK_FALSE(bench.error_of({}).empty());
    CHECK(bench.folder.names() == Names{"in.mp4"});
    ++damaged;
  }
  CHECK(damaged >= 3);
}

TEST_CASE("anonymise: an old pair survives a failure, and a file that appears meanwhile is not replaced") {
  Bench bench;
  write_moving(bench.job.input, video_spec(), count_to(9));
  bench.run({});
  const std::string video = content(bench.job.output), sidecar = content(bench.job.sidecar());
  CHECK(contains(bench.error_of({}), "appeared meanwhile"));
  AnonymiseOptions force;
  force.force = true;
  bench.job.input = bench.folder / "gray.mp4";
  write_gray(bench.job.input);
  CHECK(contains(bench.error_of(force), "redraws nothing"));
  bench.job.input = bench.folder / "in.mp4";
  std::filesystem::remove(bench.folder / "gray.mp4");
  CHECK(content(bench.job.output) == video);
  CHECK(content(bench.job.sidecar()) == sidecar);
  force.alpha = 0.25;
  bench.run(force);
  CHECK(content(bench.job.output) != video);
  CHECK(bench.sidecar()["alpha"] == 0.25);
  CHECK(bench.folder.names() == Names{"in.mp4", "out.mp4", "out.mp4.json"});
}

}  // namespace
}  // namespace stp

// Slow proofs on the program: killed at random instants, and a long video in bounded memory.
#include <thread>

#include "engine/progress.h"
#include "engine/rng.h"
#include "tests/anonymise/samples.h"

namespace stp {
namespace {

namespace fs = std::filesystem;
using test::count_to;
using test::Ended;
using test::Models;
using test::run_program;
using test::video_spec;
using test::write_moving;

std::vector<std::string> command(const TemporaryFolder& folder) {
  return {"anonymize", (folder / "in.mp4").string(), "-o", (folder / "out.mp4").string(),
          "--model",   Models::get().file().string()};
}

TEST_CASE("stprivacy anonymize: killed at 50 random instants it leaves a complete, verified pair or no video") {
  TemporaryFolder whole;
  write_moving(whole / "in.mp4", video_spec(), count_to(600));
  REQUIRE(run_program(command(whole)).code == 0);
  auto again = command(whole);
  again.emplace_back("--force");
  const double start = steady_seconds();
  REQUIRE(run_program(again).code == 0);
  const double seconds = steady_seconds() - start;
  const std::string video = content(whole / "out.mp4"), sidecar = content(whole / "out.mp4.json");
  Random random(11, stream_id("kills"));
  std::map<std::string, int> seen;
  for (int run = 0; run < 50; ++run) {
    CAPTURE(run);
    const TemporaryFolder folder;
    fs::copy(whole / "in.mp4", folder / "in.mp4");
    const Ended ended = run_program(command(folder), [&](pid_t child) {
      std::this_thread::sleep_for(std::chrono::duration<double>(1.1 * seconds * random.uniform()));
      kill(child, SIGKILL);
    });
    CHECK((ended.code == 0 || ended.code == 128 + SIGKILL));
    const bool there = fs::exists(folder / "out.mp4"), beside = fs::exists(folder / "out.mp4.json");
    if (there) {
      CHECK(content(folder / "out.mp4") == video);
      CHECK(content(folder / "out.mp4.json") == sidecar);
    }
    ++seen[there ? "complete" : (beside ? "sidecar alone" : "nothing")];
  }
  for (const auto& [what, times] : seen) MESSAGE(what, ": ", times);
  CHECK(seen["nothing"] > 5);
}

TEST_CASE("stprivacy anonymize: twenty minutes of video in less than 600 MB") {
  constexpr int kFrames = 20 * 60 * 30;
  const TemporaryFolder folder;
  {
    VideoWriter writer(folder / "in.mp4", video_spec(320, 240));
    std::vector<test::Pixels> loop;
    for (int i = 0; i < 60; ++i) loop.push_back(test::moving_frame(i, 320, 240));
    for (int i = 0; i < kFrames; ++i) writer.write(loop[std::size_t(i) % loop.size()], i);
    writer.finish();
  }
  auto arguments = command(folder);
  arguments.insert(arguments.end(), {"--size", "source", "--mode", "mask", "--preview"});
  const Ended ended = run_program(arguments);
  INFO(ended.messages);
  REQUIRE(ended.code == 0);
  MESSAGE("peak memory: ", ended.peak_mb, " MB");
  CHECK(ended.peak_mb < 600);
  CHECK(ended.peak_mb > 0);
  VideoReader reader(folder / "out.mp4");
  int frames = 0;
  while (reader.skip()) ++frames;
  CHECK(frames == kFrames);
}

}  // namespace
}  // namespace stp

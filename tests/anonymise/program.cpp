// The command as a user runs it.
#include <thread>

#include "tests/anonymise/samples.h"

namespace stp {
namespace {

namespace fs = std::filesystem;
using test::count_to;
using test::Ended;
using test::Models;
using test::run_program;
using test::running;
using test::video_spec;
using test::write_moving;

TEST_CASE("stprivacy anonymize: a tree is mirrored; exit codes say what happened") {
  const TemporaryFolder folder;
  const std::string model = Models::get().file().string(), in = (folder / "in").string(),
                    out = (folder / "out").string();
  fs::create_directories(folder / "in/deep");
  write_moving(folder / "in/a.mp4", video_spec(), count_to(9));
  write_moving(folder / "in/deep/b.mov", video_spec(), count_to(3));
  CHECK(run_program({"anonymize", in, "-o", out, "--model", model}).code == 0);
  CHECK(test::decode(folder / "out/a.mp4").times == count_to(9));
  CHECK(test::decode(folder / "out/deep/b.mp4").times == count_to(3));
  CHECK(fs::exists(folder / "out/deep/b.mp4.json"));

  const Ended again = run_program({"anonymize", in, "-o", out, "--model", model});
  CHECK(again.code == 2);
  CHECK(contains(again.messages, "--force"));
  CHECK(run_program({"anonymize", in, "-o", out, "--model", model, "--force"}).code == 0);
  const Ended mask = run_program(
      {"anonymize", in + "/a.mp4", "-o", out + "/m.mp4", "--model", model, "--mode", "mask", "--keep", "0.25"});
  CHECK(mask.code == 0);
  CHECK(contains(mask.messages, "people remain visible"));
  CHECK(test::decode(folder / "out/m.mp4").info.width == 48);  // a mask is for the source's own pixels
  CHECK(run_program({"anonymize", in, "-o", out, "--model", in}).code == 2);
  CHECK(run_program({"anonymize", in + "/a.mp4", "-o", out + "/x.avi", "--model", model}).code == 2);
  CHECK_FALSE(fs::exists(folder / "out/x.avi"));
}

TEST_CASE("stprivacy anonymize: one bad video of several leaves the others, and is told") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "in");
  write_moving(folder / "in/good.mp4", video_spec(), count_to(9));
  const std::string bytes = content(folder / "in/good.mp4");
  put(folder / "in/bad.mp4", bytes);
  {  // its index promises more than there is: found only at the end
    write_moving(folder / "long.mp4", video_spec(64, 64), count_to(30));
    std::string broken = content(folder / "long.mp4");
    for (std::size_t i = broken.size() / 2; i < broken.size() / 2 + 60; ++i) broken[i] = '\x5a';
    put(folder / "in/bad.mp4", broken);
  }
  const Ended ended = run_program({"anonymize", (folder / "in").string(), "-o", (folder / "out").string(),
                                   "--model", Models::get().file().string()});
  CHECK(ended.code == 1);
  CHECK(contains(ended.messages, "bad.mp4: damaged"));
  CHECK(contains(ended.messages, "1 of 2 videos were not anonymised"));
  CHECK(fs::exists(folder / "out/good.mp4"));
  CHECK_FALSE(fs::exists(folder / "out/bad.mp4"));
  CHECK_FALSE(fs::exists(folder / "out/bad.mp4.json"));
}

// Waits until the program has opened its output in `folder`, which has no name yet.
void wait_until_at_work(pid_t child, const fs::path& folder) {
  for (int tries = 0; tries < 2000; ++tries) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", child), error)) {
      const std::string target = fs::read_symlink(entry.path(), error).string();
      if (target.starts_with(folder.string()) && !target.ends_with("in.mp4")) return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST_CASE("stprivacy anonymize: a signal stops it, with its own exit code and nothing left") {
  const TemporaryFolder folder;
  write_moving(folder / "in.mp4", video_spec(), count_to(3000));
  for (const int signal : {SIGINT, SIGTERM}) {
    const Ended ended = run_program({"anonymize", (folder / "in.mp4").string(), "-o",
                                     (folder / "out.mp4").string(), "--model", Models::get().file().string()},
                                    [&](pid_t child) {
                                      wait_until_at_work(child, folder.path());
                                      kill(child, signal);
                                    });
    CHECK(ended.code == 128 + signal);
    CHECK(contains(ended.messages, "was not written"));
    CHECK(folder.names() == std::set<std::string>{"in.mp4"});
  }
}

TEST_CASE("stprivacy anonymize: of an input that changes meanwhile nothing is written") {
  const TemporaryFolder folder;
  write_moving(folder / "in.mp4", video_spec(), count_to(3000));
  const Ended ended = run_program({"anonymize", (folder / "in.mp4").string(), "-o",
                                   (folder / "out.mp4").string(), "--model", Models::get().file().string()},
                                  [&](pid_t child) {
                                    wait_until_at_work(child, folder.path());
                                    while (running(child)) {  // boxes that readers pass over
                                      std::ofstream(folder / "in.mp4", std::ios::binary | std::ios::app)
                                          .write(
                                              "\0\0\0\x08"
                                              "free",
                                              8);
                                      std::this_thread::sleep_for(std::chrono::milliseconds(10));
                                    }
                                  });
  CHECK(ended.code == 1);
  CHECK(contains(ended.messages, "changed while it was read"));
  CHECK(folder.names() == std::set<std::string>{"in.mp4"});
}

}  // namespace
}  // namespace stp

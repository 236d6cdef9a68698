// A video writer under failing disks and kills: its name shows nothing, the old file or the whole new one.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cerrno>

#include "engine/durable.h"
#include "tests/data/video_samples.h"
#include "tests/engine/faults.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using faults::Action;
using faults::Armed;

// Noise, so that the file is several times the muxer's buffer and writes happen from the first frame on.
test::Pixels noise(int number) {
  test::Pixels rgb;
  std::uint32_t state = 17 + static_cast<std::uint32_t>(number);
  for (int i = 0; i < 96 * 64 * 3; ++i) {
    state = state * 1664525 + 1013904223;
    rgb.push_back(static_cast<std::uint8_t>(state >> 24));
  }
  return rgb;
}

void write_noise(const std::filesystem::path& path) {
  VideoSpec spec;
  spec.width = 96;
  spec.height = 64;
  spec.lossless = true;
  VideoWriter writer(path, spec);
  for (int n = 0; n < 12; ++n) writer.write(noise(n), n);
  writer.finish();
}

bool whole(const std::filesystem::path& path) { return test::decode(path).frames.size() == 12; }

// Calls that decide whether bytes reach the disk; reads and closes of the decoder's own files are left alone.
constexpr std::array kCalls{"write", "pwrite", "fsync", "renameat", "linkat", "open", "openat"};

TEST_CASE("video writer: a full disk or another error at any call leaves the old file and one clear message") {
  const TemporaryFolder folder;
  const auto path = folder / "a.mp4";
  int failed = 0;
  for (const int error : {ENOSPC, EIO})
    for (const std::string call : kCalls)
      for (int nth = 1;; ++nth) {
        CAPTURE(call);
        CAPTURE(nth);
        put(path, "old");
        std::string message;
        std::size_t reached = 0;
        {
          const Armed armed({.call = call, .nth = nth, .error = error, .lasting = true});
          message = error_of([&] { write_noise(path); });
          for (const std::string& made : armed.calls()) reached += made == call ? 1 : 0;
        }
        if (reached < static_cast<std::size_t>(nth)) break;
        REQUIRE(nth < 1000);
        ++failed;
        const bool last_word = call == "fsync" && nth == 2;  // the folder's, after the new name
        CHECK(contains(message, error == ENOSPC ? "No space left on device" : "Input/output error"));
        CHECK(contains(message, "a.mp4"));
        CHECK(message.find('\n') == std::string::npos);
        CHECK((last_word ? whole(path) : content(path) == "old"));
        CHECK(folder.names() == std::set<std::string>{"a.mp4"});
      }
  CHECK(failed >= 20);
}

TEST_CASE("video writer: short writes are continued") {
  const TemporaryFolder folder;
  for (const std::string call : {"write", "pwrite"}) {
    const Armed armed({.call = call, .nth = 1, .action = Action::short_count});
    write_noise(folder / "a.mp4");
  }
  CHECK(whole(folder / "a.mp4"));
}

TEST_CASE("video writer: killed at any call, the name shows the old file or the whole new one") {
  const TemporaryFolder folder;
  const auto path = folder / "a.mp4";
  int kills = 0;
  for (const bool nameless : {true, false})
    for (int nth = 1;; ++nth) {
      CAPTURE(nth);
      put(path, "old");
      const bool killed = faults::run_until_killed(nth, [&] {
        if (nameless) {
          write_noise(path);
        } else {
          const faults::NoNamelessFiles unsupported;
          write_noise(path);
        }
      });
      if (!killed) break;
      ++kills;
      CHECK((content(path) == "old" || whole(path)));
      // Beside it at most what can be recognised as unfinished.
      for (const std::string& name : folder.names()) {
        if (name == "a.mp4") continue;
        CHECK(name.ends_with(".part"));
        std::filesystem::remove(folder / name);
      }
    }
  CHECK(kills >= 30);
}

TEST_CASE("video writer: a limit on file sizes is an error, not a death") {
  const TemporaryFolder folder;
  CHECK(faults::run_apart([&] {
          ignore_file_size_signal();
          const rlimit bytes{100'000, 100'000};
          setrlimit(RLIMIT_FSIZE, &bytes);
          const std::string message = error_of([&] { write_noise(folder / "a.mp4"); });
          return contains(message, "File too large") && folder.names().empty();
        }) == 0);
}

TEST_CASE("video reader: a disk that fails while reading is an error, not an end") {
  const TemporaryFolder folder;
  write_noise(folder / "a.mp4");
  int failed = 0;
  for (int nth = 1;; ++nth) {
    CAPTURE(nth);
    REQUIRE(nth < 1000);
    const Armed armed({.call = "pread", .nth = nth, .error = EIO, .lasting = true});
    const std::string message = error_of([&] { test::decode(folder / "a.mp4"); });
    if (message.empty()) break;
    ++failed;
    CHECK(contains(message, "Input/output error"));
  }
  CHECK(failed >= 5);
}

}  // namespace
}  // namespace stp

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "engine/durable.h"
#include "tests/engine/faults.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using faults::Action;
using faults::Armed;

TEST_CASE("append file: lines are added, kept and counted") {
  const TemporaryFolder folder;
  for (const char* line : {"one", "", "three"}) {
    AppendFile file(folder / "log");
    CHECK(file.dropped() == 0);
    file.append_line(line);
    file.sync();
    CHECK(file.size() == content(folder / "log").size());
  }
  CHECK(content(folder / "log") == "one\n\nthree\n");
  AppendFile file(folder / "log");
  CHECK(contains(error_of([&] { file.append_line("a\nb"); }), "must not hold a line end"));
}

TEST_CASE("append file: a torn last line is dropped, wherever it was torn") {
  const std::string whole = "first\nsecond\n";
  for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
    const TemporaryFolder folder;
    put(folder / "log", whole.substr(0, bytes));
    const std::size_t kept = bytes == whole.size() ? bytes : bytes >= 6 ? 6 : 0;
    AppendFile file(folder / "log");
    CHECK(file.size() == kept);
    CHECK(file.dropped() == bytes - kept);
    CHECK(content(folder / "log") == whole.substr(0, kept));
    file.append_line("next");
    CHECK(content(folder / "log") == whole.substr(0, kept) + "next\n");
  }
  // Lines longer than the block that is searched at once, around its edges.
  for (const std::size_t torn : {65535, 65536, 65537, 200000}) {
    const TemporaryFolder folder;
    put(folder / "log", "first\n" + std::string(torn, '\0'));
    CHECK(AppendFile(folder / "log").dropped() == torn);
    CHECK(content(folder / "log") == "first\n");
  }
}

TEST_CASE("append file: an error leaves the lines before it, and the next line follows them") {
  const TemporaryFolder folder;
  AppendFile file(folder / "log");
  file.append_line("one");
  {
    // The first byte arrives, then the disk is full.
    const Armed armed({.call = "write", .nth = 1, .action = Action::short_count});
    file.append_line("two");
  }
  for (const int error : {ENOSPC, EDQUOT, EIO, EFBIG}) {
    const Armed armed({.call = "write", .error = error});
    CHECK(contains(error_of([&] { file.append_line("lost"); }), "log: write: "));
  }
  file.append_line("three");
  CHECK(content(folder / "log") == "one\ntwo\nthree\n");
}

TEST_CASE("append file: after an error that cannot be undone nothing more is written") {
  const TemporaryFolder folder;
  AppendFile unwritten(folder / "a"), unflushed(folder / "b");
  unwritten.append_line("one");
  {
    const Armed armed({.nth = 1, .error = EIO, .lasting = true});
    CHECK(contains(error_of([&] { unwritten.append_line("lost"); }), "a: write: Input/output error"));
    CHECK(contains(error_of([&] { unflushed.sync(); }), "b: fsync: Input/output error"));
  }
  for (AppendFile* file : {&unwritten, &unflushed}) {
    CHECK(contains(error_of([&] { file->append_line("more"); }), "an earlier error left it unfinished"));
    CHECK(contains(error_of([&] { file->sync(); }), "an earlier error left it unfinished"));
  }
  CHECK(content(folder / "a") == "one\n");
}

TEST_CASE("append file: really full, by the file size limit") {
  const TemporaryFolder folder;
  const int code = faults::run_apart([&] {
    ignore_file_size_signal();
    AppendFile file(folder / "log");
    file.append_line("one");
    const rlimit limit{10, 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    return contains(error_of([&] { file.append_line("a longer line"); }), "File too large");
  });
  CHECK(code == 0);
  CHECK(content(folder / "log") == "one\n");
}

TEST_CASE("append file: cut back to the end of a line") {
  const TemporaryFolder folder;
  put(folder / "log", "one\ntwo\n");
  AppendFile file(folder / "log");
  CHECK(contains(error_of([&] { file.truncate(6); }), "has no line end at byte 6"));
  CHECK(contains(error_of([&] { file.truncate(9); }), "has 8 bytes, fewer than the 9 to keep"));
  file.truncate(4);
  file.append_line("other");
  CHECK(content(folder / "log") == "one\nother\n");
  file.truncate(0);
  CHECK(file.size() == 0);
}

TEST_CASE("append file: links, folders and devices are refused") {
  const TemporaryFolder folder;
  put(folder / "real", "kept\n");
  std::filesystem::create_symlink(folder / "real", folder / "link");
  CHECK(contains(error_of([&] { const AppendFile file(folder / "link"); }),
                 "a symbolic link is not followed here"));
  CHECK(contains(error_of([&] { const AppendFile file(folder.path()); }), "open: Is a directory"));
  CHECK(contains(error_of([&] { const AppendFile file("/dev/full"); }), "it is no regular file"));
  CHECK(content(folder / "real") == "kept\n");
}

TEST_CASE("append file: killed at any moment, whole lines are there in order") {
  for (int round = 0; round < 20; ++round) {
    const TemporaryFolder folder;
    const pid_t child = fork();
    if (child == 0) {
      AppendFile file(folder / "log");
      for (int i = 0;; ++i) file.append_line("line " + std::to_string(i));
    }
    usleep(static_cast<useconds_t>(500 + 400 * round));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const AppendFile file(folder / "log");
    std::string wanted;
    for (int i = 0; wanted.size() < file.size(); ++i) wanted += "line " + std::to_string(i) + "\n";
    CHECK(content(folder / "log") == wanted);
  }
}

}  // namespace
}  // namespace stp

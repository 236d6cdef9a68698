#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <map>
#include <thread>

#include "engine/durable.h"
#include "tests/engine/faults.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using faults::Action;
using faults::Armed;
using faults::Plan;

void replace_in_pieces(const std::filesystem::path& path) {
  DurableFile file(path);
  file.append("new ");
  file.append("content");
  file.commit();
}

TEST_CASE("durable file: created, replaced, with its mode and no leftovers") {
  const TemporaryFolder folder;
  const auto path = folder / "a.txt";
  write_file(path, "old");
  CHECK(content(path) == "old");
  replace_in_pieces(path);
  CHECK(content(path) == "new content");
  write_file(folder / "private", "x", 0600);
  struct stat status {};
  REQUIRE(stat((folder / "private").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(folder.names() == std::set<std::string>{"a.txt", "private"});
}

TEST_CASE("durable file: nothing appears before commit or without it") {
  const TemporaryFolder folder;
  {
    DurableFile file(folder / "a");
    file.append("half");
    CHECK(file.size() == 4);
    CHECK(folder.names().empty());
  }
  CHECK(folder.names().empty());
}

TEST_CASE("durable file: commit keeps the old content under another name") {
  const TemporaryFolder folder;
  for (const char* text : {"1", "2", "3"}) {
    DurableFile file(folder / "latest");
    file.append(text);
    file.commit("previous");
  }
  CHECK(content(folder / "latest") == "3");
  CHECK(content(folder / "previous") == "2");
  CHECK(folder.names() == std::set<std::string>{"latest", "previous"});
}

TEST_CASE("durable file: targets that cannot be files are refused and left alone") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "sub");
  put(folder / "real", "kept");
  std::filesystem::create_symlink(folder / "real", folder / "link");
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  for (const char* name : {"sub", "link", "pipe"})
    CHECK(
        contains(error_of([&] { write_file(folder / name, "x"); }), "is no regular file; choose another name"));
  CHECK(contains(error_of([&] { write_file(folder / "absent" / "x", "x"); }),
                 "No such file or directory (check the"));
  CHECK(
      contains(error_of([&] { write_file(folder / "real" / "x", "x"); }), "open its folder: Not a directory"));
  CHECK(contains(error_of([&] { write_file(folder.path() / "", "x"); }), "it names a folder; add a file name"));
  const std::string long_name(300, 'n');
  CHECK(contains(error_of([&] { write_file(folder / long_name, "x"); }), "File name too long"));
  CHECK(content(folder / "real") == "kept");
  CHECK(folder.names() == std::set<std::string>{"link", "pipe", "real", "sub"});
}

TEST_CASE("durable file: a hostile name is shown harmless") {
  const std::string message = error_of([] { write_file("/nowhere/\x1b[2J\n.txt", "x"); });
  CHECK(contains(message, "/nowhere/\\x1b[2J\\x0a.txt"));
}

// Every call that a save makes, spoilt once or from there on: the old file stays, nothing else is left behind,
// the message names path and cause; after the rename the new file is there, whole.
void fail_every_call(bool lasting, int least_failures) {
  int failures = 0;
  bool reached = true;
  for (int nth = 1; reached; ++nth) {
    const TemporaryFolder folder;
    const auto path = folder / "a.txt";
    put(path, "old");
    std::string message;
    {
      const Armed armed({.nth = nth, .error = EIO, .lasting = lasting});
      message = error_of([&] { replace_in_pieces(path); });
      reached = static_cast<int>(armed.calls().size()) >= nth;
    }
    CAPTURE(nth);
    CAPTURE(message);
    const std::string now = content(path);
    CHECK(folder.names() == std::set<std::string>{"a.txt"});
    if (message.empty()) {
      CHECK(now == "new content");
      continue;
    }
    ++failures;
    CHECK(contains(message, "cannot write " + path.string() + ": "));
    CHECK(contains(message, "Input/output error (the device failed"));
    CHECK(now == (contains(message, "fsync of its folder") ? "new content" : "old"));
  }
  CHECK(failures >= least_failures);
}

TEST_CASE("durable file: any call that fails leaves the old file") {
  // The folder's open, 2 writes, fsync, link, close, rename, the folder's fsync; a nameless open that fails is
  // made up for.
  for (const bool lasting : {false, true}) fail_every_call(lasting, lasting ? 9 : 8);
  const faults::NoNamelessFiles without;
  for (const bool lasting : {false, true}) fail_every_call(lasting, 8);
}

void rotate(const std::filesystem::path& folder) {
  DurableFile file(folder / "latest");
  file.append("3");
  file.commit("previous");
}

TEST_CASE("durable file: rotation undoes itself if the new file cannot be linked") {
  const TemporaryFolder folder;
  put(folder / "latest", "2");
  put(folder / "previous", "1");
  std::string message;
  {
    const Armed armed({.call = "linkat", .error = EIO});
    message = error_of([&] { rotate(folder.path()); });
  }
  CHECK(contains(message, "latest: link: Input/output error"));
  CHECK(content(folder / "latest") == "2");
  CHECK(folder.names() == std::set<std::string>{"latest"});
}

TEST_CASE("durable file: rotation undoes itself where files need a name from the start") {
  const faults::NoNamelessFiles without;
  const TemporaryFolder folder;
  put(folder / "latest", "2");
  put(folder / "previous", "1");
  std::string message;
  {
    const Armed armed({.call = "renameat", .nth = 2, .error = EIO});
    message = error_of([&] { rotate(folder.path()); });
  }
  CHECK(contains(message, "latest: rename: Input/output error"));
  CHECK(content(folder / "latest") == "2");
  CHECK(folder.names() == std::set<std::string>{"latest"});
}

TEST_CASE("durable file: a close that fails takes a new file back") {
  const TemporaryFolder folder;
  const Armed armed({.call = "close", .error = EIO});
  CHECK(contains(error_of([&] { replace_in_pieces(folder / "a"); }), "a: close: Input/output error"));
  CHECK(folder.names().empty());
}

TEST_CASE("durable file: killed after any call of a rotation, no other name is left") {
  bool killed = true;
  int complete = 0;
  for (int nth = 1; killed; ++nth) {
    CAPTURE(nth);
    const TemporaryFolder folder;
    put(folder / "latest", "2");
    put(folder / "previous", "1");
    killed = faults::run_until_killed(nth, [&] { rotate(folder.path()); });
    const auto names = folder.names();
    for (const std::string& name : names) CHECK((name == "latest" || name == "previous"));
    CHECK((names.contains("latest") || content(folder / "previous") == "2"));
    complete += content(folder / "latest") == "3";
  }
  CHECK(complete >= 2);
}

TEST_CASE("folder lock: unfinished files of killed holders are removed, and nothing else") {
  const TemporaryFolder folder;
  for (const char* name : {"a.txt.123.part", "a.part", "a.12x.part", ".7.part", "9.part", "a.txt.123", "a"})
    put(folder / name, "x");
  const FolderLock lock(folder.path());
  CHECK(folder.names() ==
        std::set<std::string>{".lock", "a.part", "a.12x.part", ".7.part", "9.part", "a.txt.123", "a"});
}

TEST_CASE("durable file: a failed flush is not repeated, a failed write not published") {
  const TemporaryFolder folder;
  DurableFile unflushed(folder / "a"), unwritten(folder / "b");
  unflushed.append("x");
  {
    const Armed armed({.call = "fsync", .error = EIO});
    CHECK(contains(error_of([&] { unflushed.commit(); }), "a: fsync: Input/output error"));
    CHECK(contains(error_of([&] { unflushed.commit(); }), "it was closed by commit or by an error"));
    CHECK(std::count(armed.calls().begin(), armed.calls().end(), "fsync") == 1);
  }
  {
    const Armed armed({.call = "write", .error = ENOSPC});
    CHECK(contains(error_of([&] { unwritten.append("x"); }), "No space left on device (free some space"));
  }
  CHECK(contains(error_of([&] { unwritten.commit(); }), "it was closed by commit or by an error"));
  CHECK(folder.names().empty());
}

TEST_CASE("durable file: short and interrupted writes are completed") {
  const TemporaryFolder folder;
  for (const Plan& plan : {Plan{.call = "write", .action = Action::short_count, .lasting = true},
                           Plan{.call = "write", .error = EINTR}}) {
    const Armed armed(plan);
    replace_in_pieces(folder / "a");
    CHECK(content(folder / "a") == "new content");
    CHECK(armed.calls().size() > 8);
  }
}

// Spoils each call in turn by `spoil(nth, action)`, which says whether it got that far; counts what is found
// after.
template <class Spoil>
std::map<std::string, int> outcomes(Spoil spoil) {
  std::map<std::string, int> seen;
  bool spoilt = true;
  for (int nth = 1; spoilt; ++nth) {
    const TemporaryFolder folder;
    put(folder / "a", "old");
    spoilt = spoil(nth, [&] { replace_in_pieces(folder / "a"); });
    ++seen[content(folder / "a")];
  }
  return seen;
}

TEST_CASE("durable file: killed after any call, old or new is there") {
  const auto check_outcomes = [] {
    const auto seen =
        outcomes([](int nth, const auto& action) { return faults::run_until_killed(nth, action); });
    CHECK(seen.size() == 2);
    CHECK(seen.at("old") >= 6);
    CHECK(seen.at("new content") >= 2);
  };
  check_outcomes();
  const faults::NoNamelessFiles without;
  check_outcomes();
}

TEST_CASE("durable file: after a loss of power at any call, old or new is there") {
  const auto check_outcomes = [](std::uint64_t seed) {
    const auto seen =
        outcomes([&](int nth, const auto& action) { return faults::run_until_power_loss(nth, seed, action); });
    CAPTURE(seed);
    CHECK(seen.size() == 2);
    CHECK(seen.at("old") >= 6);
    CHECK(seen.at("new content") >= 1);
  };
  for (std::uint64_t seed = 0; seed < 8; ++seed) check_outcomes(seed);
  const faults::NoNamelessFiles without;
  for (std::uint64_t seed = 0; seed < 8; ++seed) check_outcomes(seed);
}

TEST_CASE("durable file: what was committed outlives a loss of power") {
  int calls = 0;
  {
    const TemporaryFolder folder;
    put(folder / "a", "old");
    const Armed armed({.nth = 1000});
    replace_in_pieces(folder / "a");
    calls = static_cast<int>(armed.calls().size());
  }
  for (std::uint64_t seed = 0; seed < 25; ++seed) {
    const TemporaryFolder folder;
    put(folder / "a", "old");
    const bool lost = faults::run_until_power_loss(calls + 1, seed, [&] {
      replace_in_pieces(folder / "a");
      const InputFile next_call(folder / "a");
    });
    CHECK(lost);
    CHECK(content(folder / "a") == "new content");
  }
}

TEST_CASE("durable file: a size limit is an error, not the end of the process") {
  const TemporaryFolder folder;
  put(folder / "a", "old");
  const int code = faults::run_apart([&] {
    ignore_file_size_signal();
    const rlimit limit{64 * 1024, 64 * 1024};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = error_of([&] { write_file(folder / "a", std::string(1 << 20, 'x')); });
    return contains(message, "a: write: File too large (raise the file size limit");
  });
  CHECK(code == 0);
  CHECK(content(folder / "a") == "old");
  CHECK(folder.names() == std::set<std::string>{"a"});
}

TEST_CASE("durable file: a folder that may not be written") {
  const TemporaryFolder folder;
  put(folder / "a", "old");
  REQUIRE(chmod(folder.path().c_str(), 0555) == 0);
  const int code = faults::run_apart([&] {
    constexpr uid_t kNobody = 65534;
    if (geteuid() == 0 && setuid(kNobody) != 0) return false;
    const std::string message = error_of([&] { write_file(folder / "a", "new"); });
    return contains(message, "Permission denied (check the permissions, or choose another folder)");
  });
  REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
  CHECK(code == 0);
  CHECK(content(folder / "a") == "old");
}

TEST_CASE("write_all: a full device, and a slow pipe with signals arriving") {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  REQUIRE(full >= 0);
  const std::string text = "x";
  CHECK(contains(error_of([&] { write_all(full, std::as_bytes(std::span(text)), "results"); }),
                 "cannot write results: write: No space left on device"));
  close(full);

  std::array<int, 2> pair{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) {};  // without SA_RESTART, so that a blocked write is interrupted
  sigaction(SIGALRM, &action, &before);
  const itimerval often{{0, 500}, {0, 500}}, never{};
  setitimer(ITIMER_REAL, &often, nullptr);
  std::string received;
  std::thread reader([&] {
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
    std::array<char, 4099> block{};
    for (ssize_t got = 0; (got = read(pair[1], block.data(), block.size())) > 0;) {
      received.append(block.data(), static_cast<std::size_t>(got));
      if (received.size() % 16 == 0) usleep(2000);
    }
  });
  std::string sent(2 << 20, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 31 % 251);
  write_all(pair[0], std::as_bytes(std::span(sent)), "pipe");
  close(pair[0]);
  reader.join();
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  close(pair[1]);
  CHECK(received == sent);
}

TEST_CASE("folder lock: one holder at a time, also across processes") {
  const TemporaryFolder folder;
  {
    const FolderLock held(folder.path());
    CHECK(contains(error_of([&] { const FolderLock second(folder.path()); }),
                   "is in use by another run: wait for it"));
    CHECK(faults::run_apart([&] {
            return contains(error_of([&] { const FolderLock second(folder.path()); }), "in use by another run");
          }) == 0);
  }
  CHECK(error_of([&] { const FolderLock again(folder.path()); }).empty());
}

}  // namespace
}  // namespace stp

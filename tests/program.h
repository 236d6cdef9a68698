// The program as a user runs it: a process of its own, what it says and how it ends.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/temporary.h"

namespace stp::test {

// What became of running the program.
struct Ended {
  int code = 0;          // 128 + signal if it was killed
  std::string messages;  // standard error
  std::string results;   // standard output
  long peak_mb = 0;      // resident
};

// Runs the program in the folder `where` (empty: here); `meanwhile` gets its process id.
inline Ended run_program(const std::vector<std::string>& arguments,
                         const std::function<void(pid_t)>& meanwhile = {},
                         const std::filesystem::path& where = {}) {
  const TemporaryFolder folder;
  const std::string messages = (folder / "messages").string(), results = (folder / "results").string();
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // Not through stdio: the child would write out what the parent still buffers.
    if (dup2(creat(results.c_str(), 0600), STDOUT_FILENO) < 0) _exit(3);
    if (dup2(creat(messages.c_str(), 0600), STDERR_FILENO) < 0) _exit(3);
    if (!where.empty() && chdir(where.c_str()) != 0) _exit(3);
    std::vector<std::string> all = {STP_PROGRAM};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> words;
    for (std::string& word : all) words.push_back(word.data());
    words.push_back(nullptr);
    execv(STP_PROGRAM, words.data());
    _exit(3);
  }
  if (meanwhile) meanwhile(child);
  int status = 0;
  rusage usage{};
  REQUIRE(wait4(child, &status, 0, &usage) == child);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), content(messages), content(results),
          usage.ru_maxrss / 1024};
}

// Whether the process is still at work; it stays to be waited for.
inline bool running(pid_t child) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == 0;
}

}  // namespace stp::test

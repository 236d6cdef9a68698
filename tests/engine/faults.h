// System calls that fail on purpose. faults.cpp defines write, fsync, renameat and the others that
// engine/file.cpp and engine/durable.cpp use; the program's own definitions take precedence over the C
// library's. Unarmed they only forward.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace stp::faults {

enum class Action {
  error,       // the call fails with Plan::error
  short_count  // write, pwrite and pread move one byte only
};

// Which call is spoilt: the `nth` (from 1) of those named `call`, or of all watched calls if it is empty; with
// `lasting` that one and all after it.
struct Plan {
  std::string call = {};
  int nth = 1;
  Action action = Action::error;
  int error = 0;
  bool lasting = false;
};

// Spoils calls of this process while it lives.
class Armed {
 public:
  explicit Armed(const Plan& plan);
  ~Armed();
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;

  // The watched calls made since, by name.
  const std::vector<std::string>& calls() const;
};

// While it lives, in this process and its children: a file system without nameless files (O_TMPFILE).
class NoNamelessFiles {
 public:
  NoNamelessFiles();
  ~NoNamelessFiles();
  NoNamelessFiles(const NoNamelessFiles&) = delete;
  NoNamelessFiles& operator=(const NoNamelessFiles&) = delete;
};

// Runs `action` in a child process that loses power at its nth watched call, and says whether it got that far.
// What was not flushed is lost at random, by `seed`: of a file the bytes since its last fsync (cut, zeroed,
// garbled or kept), of the folder the last few names given since its last fsync (they are taken back in reverse
// order).
bool run_until_power_loss(int nth, std::uint64_t seed, const std::function<void()>& action);

// Runs `action` in a child process that is killed after its nth watched call; says whether it got that far.
bool run_until_killed(int nth, const std::function<void()>& action);

// Runs `action` in a child process and returns its exit code: 0 if it returns true.
int run_apart(const std::function<bool()>& action);

}  // namespace stp::faults

#include "tests/engine/faults.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <map>
#include <optional>

#include "engine/rng.h"

namespace stp::faults {
namespace {

// A file written to, and how much of it is safe.
struct Written {
  int copy = -1;  // a descriptor of our own: the file may be closed and renamed when the power goes
  off_t safe = 0;
};

// A name given or taken in a folder, which can be taken back.
struct Naming {
  int folder = -1;
  std::string from, to;  // from empty: a link was made
  std::string replaced;  // what `to` held before, under this name; empty: nothing
};

struct State {
  std::optional<Plan> plan;
  std::vector<std::string> calls;
  int count = 0;       // of the calls that the plan counts
  int power_at = 0;    // power goes before this call; 0: never
  int kill_after = 0;  // killed after this call; 0: never
  std::uint64_t seed = 0;
  std::map<int, Written> files;
  std::vector<Naming> namings;
  bool inside = false;  // our own calls are not watched
};
State state;
bool no_nameless_files = false;

long raw(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  return syscall(number, a, b, c, d, e);
}
long address(const void* pointer) { return reinterpret_cast<long>(pointer); }

bool recording() { return state.power_at > 0; }

void damage(const Written& file, Random& random) {
  struct stat status {};
  fstat(file.copy, &status);
  const off_t lost = status.st_size - file.safe;
  if (lost <= 0) return;
  const std::uint64_t fate = random.below(4);
  if (fate == 0) return;
  if (fate == 1) {
    raw(SYS_ftruncate, file.copy,
        file.safe + static_cast<off_t>(random.below(static_cast<std::uint64_t>(lost) + 1)));
    return;
  }
  const int filler = fate == 2 ? 0 : static_cast<int>(random.below(256));
  const std::string garbage(static_cast<std::size_t>(lost), static_cast<char>(filler));
  raw(SYS_pwrite64, file.copy, address(garbage.data()), lost, file.safe);
}

void take_back(const Naming& naming) {
  const long folder = naming.folder;
  if (naming.from.empty()) {
    raw(SYS_unlinkat, folder, address(naming.to.c_str()), 0);
    return;
  }
  raw(SYS_renameat, folder, address(naming.to.c_str()), folder, address(naming.from.c_str()));
  if (!naming.replaced.empty())
    raw(SYS_renameat, folder, address(naming.replaced.c_str()), folder, address(naming.to.c_str()));
}

[[noreturn]] void lose_power() {
  state.inside = true;
  Random random(state.seed, stream_id("power loss"));
  for (const auto& [number, file] : state.files) damage(file, random);
  const std::uint64_t lost_names = random.below(state.namings.size() + 1);
  for (std::uint64_t i = 0; i < lost_names; ++i) {
    take_back(state.namings.back());
    state.namings.pop_back();
  }
  for (const Naming& naming : state.namings)
    if (!naming.replaced.empty()) raw(SYS_unlinkat, naming.folder, address(naming.replaced.c_str()), 0);
  _exit(9);
}

// Called before each watched call: what shall happen to it.
enum class Fate { proceed, fail, one_byte };
Fate fate_of(const char* call) {
  if (state.inside || (!state.plan && !recording() && state.kill_after == 0)) return Fate::proceed;
  state.calls.emplace_back(call);
  if (recording() && static_cast<int>(state.calls.size()) == state.power_at) lose_power();
  if (!state.plan || (!state.plan->call.empty() && state.plan->call != call)) return Fate::proceed;
  ++state.count;
  const bool hit = state.plan->lasting ? state.count >= state.plan->nth : state.count == state.plan->nth;
  if (!hit) return Fate::proceed;
  errno = state.plan->error;
  return state.plan->action == Action::error ? Fate::fail : Fate::one_byte;
}

// Called after each watched call that was made.
template <class Result>
Result done(Result result) {
  if (state.kill_after > 0 && static_cast<int>(state.calls.size()) == state.kill_after) raise(SIGKILL);
  return result;
}

void track(int file, int flags) {
  if (!recording() || file < 0 || (flags & O_ACCMODE) == O_RDONLY) return;
  struct stat status {};
  fstat(file, &status);
  state.files[file] = {fcntl(file, F_DUPFD_CLOEXEC, 500), status.st_size};
}

// Keeps what a rename is about to replace.
std::string keep_replaced(int folder, const char* name) {
  const std::string kept = "replaced-" + std::to_string(state.namings.size());
  const bool there = raw(SYS_linkat, folder, address(name), folder, address(kept.c_str()), 0) == 0;
  return there ? kept : std::string();
}

bool run_child(const std::function<void()>& prepare, const std::function<void()>& action) {
  const pid_t child = fork();
  if (child == 0) {
    prepare();
    action();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace

Armed::Armed(const Plan& plan) {
  state = {};
  state.plan = plan;
}
Armed::~Armed() { state = {}; }
const std::vector<std::string>& Armed::calls() const { return state.calls; }

NoNamelessFiles::NoNamelessFiles() { no_nameless_files = true; }
NoNamelessFiles::~NoNamelessFiles() { no_nameless_files = false; }

bool run_until_power_loss(int nth, std::uint64_t seed, const std::function<void()>& action) {
  return run_child(
      [&] {
        state.power_at = nth;
        state.seed = seed;
      },
      action);
}

bool run_until_killed(int nth, const std::function<void()>& action) {
  return run_child([&] { state.kill_after = nth; }, action);
}

int run_apart(const std::function<bool()>& action) {
  const pid_t child = fork();
  if (child == 0) _exit(action() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace stp::faults

using namespace stp::faults;

extern "C" {

ssize_t write(int file, const void* bytes, size_t count) {
  const Fate fate = fate_of("write");
  if (fate == Fate::fail) return -1;
  return done(raw(SYS_write, file, address(bytes), static_cast<long>(fate == Fate::one_byte ? 1 : count)));
}

ssize_t pread(int file, void* bytes, size_t count, off_t offset) {
  const Fate fate = fate_of("pread");
  if (fate == Fate::fail) return -1;
  return done(
      raw(SYS_pread64, file, address(bytes), static_cast<long>(fate == Fate::one_byte ? 1 : count), offset));
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  const Fate fate = fate_of("pwrite");
  if (fate == Fate::fail) return -1;
  return done(
      raw(SYS_pwrite64, file, address(bytes), static_cast<long>(fate == Fate::one_byte ? 1 : count), offset));
}

int fsync(int file) {
  if (fate_of("fsync") == Fate::fail) return -1;
  const int result = static_cast<int>(raw(SYS_fsync, file));
  struct stat status {};
  if (recording() && result == 0 && fstat(file, &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      for (const Naming& naming : state.namings)
        if (!naming.replaced.empty()) raw(SYS_unlinkat, naming.folder, address(naming.replaced.c_str()), 0);
      state.namings.clear();
    } else if (state.files.contains(file)) {
      state.files[file].safe = status.st_size;
    }
  }
  return done(result);
}

int ftruncate(int file, off_t size) noexcept {
  if (fate_of("ftruncate") == Fate::fail) return -1;
  return done(static_cast<int>(raw(SYS_ftruncate, file, size)));
}

int close(int file) {
  const Fate fate = fate_of("close");
  state.files.erase(file);
  const int result = static_cast<int>(raw(SYS_close, file));
  return fate == Fate::fail ? (errno = state.plan->error, -1) : done(result);
}

int openat(int folder, const char* name, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const unsigned mode = va_arg(list, unsigned);
  va_end(list);
  if (no_nameless_files && (flags & O_TMPFILE) == O_TMPFILE) return errno = EOPNOTSUPP, -1;
  if (fate_of("openat") == Fate::fail) return -1;
  const int file = static_cast<int>(raw(SYS_openat, folder, address(name), flags, mode));
  track(file, flags);
  return done(file);
}

int open(const char* name, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const unsigned mode = va_arg(list, unsigned);
  va_end(list);
  if (fate_of("open") == Fate::fail) return -1;
  const int file = static_cast<int>(raw(SYS_openat, AT_FDCWD, address(name), flags, mode));
  track(file, flags);
  return done(file);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  if (fate_of("linkat") == Fate::fail) return -1;
  const int result =
      static_cast<int>(raw(SYS_linkat, from_folder, address(from), to_folder, address(to), flags));
  if (recording() && result == 0) state.namings.push_back({to_folder, "", to, ""});
  return done(result);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  if (fate_of("renameat") == Fate::fail) return -1;
  const std::string replaced = recording() ? keep_replaced(to_folder, to) : std::string();
  const int result = static_cast<int>(raw(SYS_renameat, from_folder, address(from), to_folder, address(to)));
  if (recording() && result == 0) state.namings.push_back({to_folder, from, to, replaced});
  return done(result);
}

}  // extern "C"

#include "engine/durable.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "engine/check.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr std::uint64_t kTailBlock = 64 * 1024;

// Errors of the caller's choice of path, as against those of the device.
bool caused_by_path(int error) {
  return error == ENOENT || error == ENOTDIR || error == EISDIR || error == ENAMETOOLONG || error == ELOOP;
}

[[noreturn]] void cannot_write(std::string_view path, std::string_view stage, int error) {
  const std::string text = fmt::format("cannot write {}: {}: {}", path, stage, system_message(error));
  throw Error(caused_by_path(error) ? Fault::usage : Fault::failure, text);
}

std::string process_path(int descriptor) { return fmt::format("/proc/self/fd/{}", descriptor); }

// A nameless file in the folder that can be given a name later; not open where that is not supported.
Descriptor open_nameless(int folder, mode_t mode) {
  Descriptor file(openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
  const bool can_be_named = file.open() && access(process_path(file.get()).c_str(), F_OK) == 0;
  return can_be_named ? std::move(file) : Descriptor();
}

void flush_folder(int folder, std::string_view path) {
  // Some network file systems cannot flush a folder and say EINVAL; there is nothing better to do there.
  if (fsync(folder) != 0 && errno != EINVAL) cannot_write(path, "fsync of its folder", errno);
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// Where the last complete line of a file ends, searched from the end in blocks; 0 if there is none.
std::uint64_t end_of_last_line(int file, std::uint64_t size, std::string_view path) {
  std::vector<char> block(std::min(size, kTailBlock));
  std::uint64_t end = size;
  while (end > 0) {
    const std::uint64_t length = std::min(end, kTailBlock);
    read_at(file, end - length, std::as_writable_bytes(std::span(block).first(length)), path);
    const std::size_t found = std::string_view(block.data(), length).rfind('\n');
    if (found != std::string_view::npos) return end - length + found + 1;
    end -= length;
  }
  return 0;
}

// Whether a name is NAME.PID.part, as DurableFile makes them.
bool is_part(std::string_view name) {
  constexpr std::string_view kEnd = ".part";
  if (!name.ends_with(kEnd)) return false;
  name.remove_suffix(kEnd.size());
  const std::size_t digits = name.find_last_not_of("0123456789");
  return digits != std::string_view::npos && digits > 0 && name[digits] == '.' && digits + 1 < name.size();
}

// What killed processes left; the caller holds the folder, so that none of it is being written.
void remove_parts(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::vector<std::filesystem::path> parts;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (is_part(entry.path().filename().string())) parts.push_back(entry.path());
  for (const std::filesystem::path& part : parts) std::filesystem::remove(part, ignored);
}

}  // namespace

void ignore_file_size_signal() { std::signal(SIGXFSZ, SIG_IGN); }

void write_all(int descriptor, std::span<const std::byte> bytes, std::string_view target) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(descriptor, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) cannot_write(target, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
  }
}

DurableFile::DurableFile(const std::filesystem::path& path, mode_t mode)
    : path_(path), name_(path.filename().string()), part_(fmt::format("{}.{}.part", name_, getpid())) {
  check(!name_.empty() && name_ != "." && name_ != "..", "cannot write {}: it names a folder; add a file name",
        shown(path));
  folder_ = Descriptor(open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_.open()) give_up("open its folder", errno);

  // Renaming over a device, a pipe or a link would silently replace it.
  struct stat status {};
  const bool exists = fstatat(folder_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  check(!exists || S_ISREG(status.st_mode),
        "cannot write {}: it exists and is no regular file; choose another name", shown(path));

  file_ = open_nameless(folder_.get(), mode);
  if (file_.open()) return;
  unlinkat(folder_.get(), part_.c_str(), 0);  // of a dead process that had our number
  constexpr int kCreate = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  file_ = Descriptor(openat(folder_.get(), part_.c_str(), kCreate, mode));
  if (!file_.open()) give_up("create", errno);
  part_exists_ = true;
}

DurableFile::~DurableFile() {
  if (part_exists_ && folder_.open()) unlinkat(folder_.get(), part_.c_str(), 0);
}

void DurableFile::give_up(std::string_view stage, int error) const { cannot_write(shown(path_), stage, error); }

void DurableFile::append(std::span<const std::byte> bytes) {
  check(file_.open(), "cannot write {}: it was closed by commit or by an error", shown(path_));
  try {
    write_all(file_.get(), bytes, shown(path_));
  } catch (...) {
    file_ = Descriptor();  // a later commit must not publish a file with a hole
    throw;
  }
  size_ += bytes.size();
}

void DurableFile::overwrite(std::uint64_t offset, std::span<const std::byte> bytes) {
  check(file_.open(), "cannot write {}: it was closed by commit or by an error", shown(path_));
  check(offset <= size_ && bytes.size() <= size_ - offset,
        "cannot write {}: bytes {} to {} of {} are not there yet", shown(path_), offset, offset + bytes.size(),
        size_);
  while (!bytes.empty()) {
    const ssize_t wrote = pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int error = errno;
      file_ = Descriptor();  // as in append
      give_up("write", error);
    }
    offset += static_cast<std::uint64_t>(wrote);
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
  }
}

void DurableFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  check(file_.open(), "cannot read {} back: it was closed by commit or by an error", shown(path_));
  read_at(file_.get(), offset, bytes, shown(path_));
}

bool DurableFile::link_as(const std::string& name) {
  const std::string source = process_path(file_.get());
  if (linkat(AT_FDCWD, source.c_str(), folder_.get(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EEXIST) return false;
  give_up("link", errno);
}

void DurableFile::commit(const std::string& keep_old_as) {
  check(file_.open(), "cannot write {}: it was closed by commit or by an error", shown(path_));
  // Whatever happens now, it is not written or flushed again.
  if (fsync(file_.get()) != 0) {
    const int error = errno;
    file_ = Descriptor();
    give_up("fsync", error);
  }
  const bool kept = !keep_old_as.empty() && keep_old(keep_old_as);
  try {
    publish();
  } catch (...) {
    file_ = Descriptor();
    if (kept) renameat(folder_.get(), keep_old_as.c_str(), folder_.get(), name_.c_str());
    throw;
  }
  flush_folder(folder_.get(), shown(path_));
}

bool DurableFile::keep_old(const std::string& name) {
  if (renameat(folder_.get(), name_.c_str(), folder_.get(), name.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  const int error = errno;
  file_ = Descriptor();
  give_up("rename the old file", error);
}

// Gives the flushed file its name: at once where that name is free, else by way of the passing one.
void DurableFile::publish() {
  const bool published = part_exists_ ? false : link_as(name_);
  if (!published && !part_exists_) {
    unlinkat(folder_.get(), part_.c_str(), 0);  // of a dead process that had our number
    part_exists_ = link_as(part_);
  }
  // Network file systems report a full quota here. After EINTR the descriptor is closed all the same.
  if (close(file_.release()) != 0 && errno != EINTR) {
    const int error = errno;
    if (published) unlinkat(folder_.get(), name_.c_str(), 0);
    give_up("close", error);
  }
  if (published) return;
  if (renameat(folder_.get(), part_.c_str(), folder_.get(), name_.c_str()) != 0) give_up("rename", errno);
  part_exists_ = false;
}

void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  DurableFile file(path, mode);
  file.append(text);
  file.commit();
}

AppendFile::AppendFile(const std::filesystem::path& path, mode_t mode) : path_(path) {
  constexpr int kAppend = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  file_ = Descriptor(open(path.c_str(), kAppend, mode));
  if (!file_.open()) cannot_write(shown(path), "open", errno);
  struct stat status {};
  if (fstat(file_.get(), &status) != 0) cannot_write(shown(path), "stat", errno);
  check(S_ISREG(status.st_mode), "cannot write {}: it is no regular file; choose another name", shown(path));

  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  size_ = end_of_last_line(file_.get(), bytes, shown(path));
  dropped_ = bytes - size_;
  if (dropped_ > 0) cut(size_);
  const Descriptor folder(open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open()) cannot_write(shown(path), "open its folder", errno);
  flush_folder(folder.get(), shown(path));
}

void AppendFile::cut(std::uint64_t bytes) {
  if (ftruncate(file_.get(), static_cast<off_t>(bytes)) == 0) return;
  broken_ = true;
  cannot_write(shown(path_), "truncate", errno);
}

void AppendFile::append_line(std::string_view line) {
  check(line.find('\n') == std::string_view::npos, "{}: a log line must not hold a line end", shown(path_));
  if (broken_) fail("cannot write {}: an earlier error left it unfinished", shown(path_));
  std::string whole(line);
  whole += '\n';
  try {
    write_all(file_.get(), std::as_bytes(std::span(whole)), shown(path_));
  } catch (...) {
    broken_ = ftruncate(file_.get(), static_cast<off_t>(size_)) != 0;
    throw;
  }
  size_ += whole.size();
}

void AppendFile::truncate(std::uint64_t bytes) {
  check(bytes <= size_, "{} has {} bytes, fewer than the {} to keep", shown(path_), size_, bytes);
  if (bytes > 0) {
    char last = 0;
    read_at(file_.get(), bytes - 1, std::as_writable_bytes(std::span(&last, 1)), shown(path_));
    check(last == '\n', "{} has no line end at byte {}: it is another file", shown(path_), bytes);
  }
  cut(bytes);
  size_ = bytes;
}

void AppendFile::sync() {
  if (broken_) fail("cannot write {}: an earlier error left it unfinished", shown(path_));
  if (fsync(file_.get()) == 0) return;
  broken_ = true;
  cannot_write(shown(path_), "fsync", errno);
}

FolderLock::FolderLock(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ".lock";
  file_ = Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file_.open()) cannot_write(shown(path), "open", errno);
  if (flock(file_.get(), LOCK_EX | LOCK_NB) == 0) {
    remove_parts(folder);
    return;
  }
  check(errno != EWOULDBLOCK, "{} is in use by another run: wait for it, or name another folder",
        shown(folder));
  cannot_write(shown(path), "lock", errno);
}

}  // namespace stp

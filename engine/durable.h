// Files that survive: whatever happens while one is written (error, kill, loss of power), its name shows the
// old content or the new one, complete. And a log to which lines are appended, whose torn last line is dropped
// when it is reopened.
//
// A new file has no name while it is written (O_TMPFILE), so that a killed process leaves nothing behind; only
// when it is complete and flushed to the device is it linked as NAME or, where NAME exists, as NAME.PID.part
// that is renamed over it. File systems without nameless files get NAME.PID.part from the start. What a kill
// leaves of these, the next holder of the folder's lock removes. A failed flush is final: the kernel may have
// dropped the pages and would report success the second time, so the file is given up, never flushed again.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/file.h"

namespace stp {

// A write beyond the file size limit then fails with an error (EFBIG) instead of killing the process: for main.
void ignore_file_size_signal();

// Writes all bytes, going on after short writes and signals; throws Error naming `target` and the system's
// cause.
void write_all(int descriptor, std::span<const std::byte> bytes, std::string_view target);

// One new file, written piece by piece, that appears under its name at commit and not before. All members throw
// Error naming path, stage and cause; after an error, or without commit, the old file is what it was.
class DurableFile {
 public:
  // The folder must exist; an existing target must be a regular file.
  explicit DurableFile(const std::filesystem::path& path, mode_t mode = 0644);
  ~DurableFile();
  DurableFile(DurableFile&&) noexcept = default;
  DurableFile& operator=(DurableFile&&) = delete;

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }
  // Replaces bytes written before, all within size(): a head that is known only at the end.
  void overwrite(std::uint64_t offset, std::span<const std::byte> bytes);
  // Reads back what was written, before it has a name: as read_at.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;
  std::uint64_t size() const { return size_; }

  // Flush, give it its name, close, flush the folder. With `keep_old_as` (a name in the same folder) an
  // existing target is first renamed to it: at every instant one of the two names shows a complete file.
  void commit(const std::string& keep_old_as = {});

 private:
  bool link_as(const std::string& name);  // false if that name exists
  bool keep_old(const std::string& name);
  void publish();
  [[noreturn]] void give_up(std::string_view stage, int error) const;

  std::filesystem::path path_;
  std::string name_, part_;  // within the folder
  Descriptor folder_, file_;
  std::uint64_t size_ = 0;
  bool part_exists_ = false;
};

// The whole file at once.
void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);

// A file of lines that only grows. Each line goes to the system in one piece when it is appended, so that a
// killed process loses nothing; sync() is what survives a loss of power.
class AppendFile {
 public:
  // Opens or creates. Bytes after the last line end, which a crash tore off, are dropped.
  explicit AppendFile(const std::filesystem::path& path, mode_t mode = 0644);

  std::uint64_t size() const { return size_; }
  std::uint64_t dropped() const { return dropped_; }  // bytes of the torn line found when it was opened

  // Adds the line and its end; the line itself must hold none. After an error the file ends with the line
  // before.
  void append_line(std::string_view line);
  // Cuts the file back to its first `bytes`, which must end with a line.
  void truncate(std::uint64_t bytes);
  void sync();

 private:
  void cut(std::uint64_t bytes);

  std::filesystem::path path_;
  Descriptor file_;
  std::uint64_t size_ = 0, dropped_ = 0;
  bool broken_ = false;  // an error left it in a state we cannot vouch for
};

// Holds a folder for one process: a second run on the same folder is refused. Released when it goes, by any
// death. Removes unfinished files (NAME.PID.part) that killed holders left in the folder itself.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);

 private:
  Descriptor file_;
};

}  // namespace stp

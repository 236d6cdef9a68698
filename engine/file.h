// Reading files that nobody vouches for: regular files only, by pread, never mapped (a file that is cut while
// mapped kills the process, and its content may change after it was checked).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace stp {

// An open file descriptor, closed when it goes.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;

  int get() const { return number_; }
  bool open() const { return number_ >= 0; }
  int release();  // the caller closes it

 private:
  int number_ = -1;
};

// A path as it may be printed.
std::string shown(const std::filesystem::path& path);

// The system's words for an error number, with the cure where one is known: "No space left on device (free some
// ...)".
std::string system_message(int error);

// Fills `bytes` from `offset` on; throws Error (failure) naming `source` if the file ends before, or the device
// fails.
void read_at(int descriptor, std::uint64_t offset, std::span<std::byte> bytes, std::string_view source);

// A regular file open for reading. Throws Error (usage) if it cannot be opened or is no regular file (folder,
// pipe, device), naming path and cause.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }  // bytes when it was opened

  void read(std::uint64_t offset, std::span<std::byte> bytes) const;  // as read_at

 private:
  std::filesystem::path path_;
  Descriptor file_;
  std::uint64_t size_ = 0;
};

// A whole text file of at most `limit` bytes; a larger one is refused before anything is read.
std::string read_text(const std::filesystem::path& path, std::uint64_t limit);

}  // namespace stp

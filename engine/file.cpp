#include "engine/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/check.h"
#include "engine/text.h"

namespace stp {
namespace {

std::string_view cure(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return "check the path";
    case EACCES:
    case EPERM:
    case EROFS:
      return "check the permissions, or choose another folder";
    case ENOSPC:
    case EDQUOT:
      return "free some space, or choose another folder";
    case EFBIG:
      return "raise the file size limit, see ulimit -f";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files, see ulimit -n";
    case ELOOP:
      return "a symbolic link is not followed here: name the file itself";
    case EIO:
      return "the device failed: check it, then use another one";
    default:
      return {};
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (open()) close(number_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    if (open()) close(number_);
    number_ = other.release();
  }
  return *this;
}

int Descriptor::release() { return std::exchange(number_, -1); }

std::string shown(const std::filesystem::path& path) { return printable(path.string()); }

std::string system_message(int error) {
  const std::string words = std::generic_category().message(error);
  const std::string_view help = cure(error);
  return help.empty() ? words : fmt::format("{} ({})", words, help);
}

void read_at(int descriptor, std::uint64_t offset, std::span<std::byte> bytes, std::string_view source) {
  while (!bytes.empty()) {
    const ssize_t got = pread(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read {} at byte {}: {}", source, offset, system_message(errno));
    if (got == 0) fail("{} ends at byte {}: it was cut while it was being read", source, offset);
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: opening a pipe nobody writes to would otherwise wait for ever.
  file_ = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  check(file_.open(), "cannot read {}: {}", shown(path), system_message(errno));
  struct stat status {};
  check(fstat(file_.get(), &status) == 0, "cannot read {}: {}", shown(path), system_message(errno));
  check(S_ISREG(status.st_mode), "cannot read {}: it is no regular file", shown(path));
  size_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  read_at(file_.get(), offset, bytes, shown(path_));
}

std::string read_text(const std::filesystem::path& path, std::uint64_t limit) {
  const InputFile file(path);
  check(file.size() <= limit, "{} has {} bytes, more than the {} allowed here: is it the right file?",
        shown(path), file.size(), limit);
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace stp

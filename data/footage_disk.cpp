#include "data/footage_disk.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>
#include <utility>

#include "data/libav.h"
#include "engine/check.h"
#include "engine/digest.h"
#include "engine/durable.h"

namespace stp {
namespace {

constexpr std::string_view kMagic = "STPFRAME", kSuffix = ".frames";
constexpr std::uint32_t kVersion = 1;

struct Head {
  std::array<char, 8> magic{};
  std::uint32_t version = 0, frames = 0, height = 0, width = 0;
  std::uint64_t key = 0;
};
static_assert(sizeof(Head) == 32);

std::uint64_t head_bytes(std::uint64_t frames) { return sizeof(Head) + (frames + 1) * sizeof(std::uint64_t); }

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

// The digest that ends the head.
std::uint64_t digest_of(const Head& head, const std::vector<std::uint64_t>& digests) {
  Digest all;
  all.add(bytes_of(head));
  all.add(std::as_bytes(std::span(digests)));
  return all.value();
}

void write_entry(const std::filesystem::path& path, std::uint64_t key, const Footage& footage) {
  Head head;
  std::ranges::copy(kMagic, head.magic.begin());
  head.version = kVersion;
  head.frames = static_cast<std::uint32_t>(footage.frames);
  head.height = static_cast<std::uint32_t>(footage.height);
  head.width = static_cast<std::uint32_t>(footage.width);
  head.key = key;
  std::vector<std::uint64_t> digests;
  digests.reserve(static_cast<std::size_t>(footage.frames));
  for (int n = 0; n < footage.frames; ++n) digests.push_back(digest(std::as_bytes(footage.picture(n).rgb)));
  DurableFile file(path);
  file.append(bytes_of(head));
  file.append(std::as_bytes(std::span(digests)));
  file.append(bytes_of(digest_of(head, digests)));
  file.append(std::as_bytes(std::span(footage.rgb)));
  file.commit();
}

}  // namespace

StoredFootage::StoredFootage(const std::filesystem::path& path, std::uint64_t key) : file_(path) {
  check(read_head(key), "{}: no sound entry of this key", shown(path));
}

std::size_t StoredFootage::frame_bytes() const {
  return std::size_t{3} * static_cast<std::size_t>(height_) * static_cast<std::size_t>(width_);
}

bool StoredFootage::read_head(std::uint64_t key) {
  Head head;
  if (file_.size() < sizeof head) return false;
  file_.read(0, std::as_writable_bytes(std::span(&head, 1)));
  constexpr std::uint32_t kMost = 1 << 24;  // of frames, rows or columns
  const bool ours =
      std::string_view(head.magic.data(), head.magic.size()) == kMagic && head.version == kVersion;
  const bool sized = head.frames - 1 < kMost && head.height - 1 < kMost && head.width - 1 < kMost;
  if (!ours || !sized || head.key != key || file_.size() < head_bytes(head.frames)) return false;
  const std::uint64_t rest = file_.size() - head_bytes(head.frames), row = std::uint64_t{3} * head.width;
  if (rest % row != 0 || rest / row != std::uint64_t{head.frames} * head.height) return false;
  digests_.resize(head.frames + 1);
  file_.read(sizeof head, std::as_writable_bytes(std::span(digests_)));
  const std::uint64_t whole = digests_.back();
  digests_.pop_back();
  frames_ = static_cast<int>(head.frames);
  height_ = static_cast<int>(head.height);
  width_ = static_cast<int>(head.width);
  return whole == digest_of(head, digests_);
}

std::optional<Picture> StoredFootage::picture(int number, std::vector<std::uint8_t>& rgb) const {
  check(number >= 0 && number < frames_, "footage: no frame {}, there are {}", number, frames_);
  const auto n = static_cast<std::size_t>(number);
  rgb.resize(frame_bytes());
  try {
    file_.read(head_bytes(digests_.size()) + n * rgb.size(), std::as_writable_bytes(std::span(rgb)));
  } catch (const Error&) {
    return std::nullopt;  // cut meanwhile, or the device fails
  }
  if (digest(std::as_bytes(std::span(rgb))) != digests_[n]) return std::nullopt;
  return Picture{height_, width_, rgb};
}

FootageDisk::FootageDisk(std::filesystem::path folder, std::uint64_t limit_bytes, int short_side)
    : folder_(std::move(folder)),
      limit_bytes_(limit_bytes),
      settings_(fmt::format("frames {} short side {} libraries {} {} {}", kVersion, short_side,
                            avcodec_version(), avformat_version(), swscale_version())) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  try {
    const DurableFile probe(folder_ / "probe");  // never committed
  } catch (const Error& cause) {
    refuse("cache of decoded clips: {}; name another folder, or none", cause.what());
  }
  measure();
}

std::filesystem::path FootageDisk::path_of(std::uint64_t key) const {
  return folder_ / (hexadecimal(key) + std::string(kSuffix));
}

std::optional<std::uint64_t> FootageDisk::key_of(const std::filesystem::path& video) const {
  std::error_code ignored;
  if (std::filesystem::is_directory(video, ignored)) return std::nullopt;
  const InputFile file(video);
  Digest content;
  content.add(fmt::format("{} {} ", settings_, file.size()));
  std::vector<std::byte> block(std::min<std::uint64_t>(file.size(), 1 << 20));
  for (std::uint64_t at = 0; at < file.size(); at += block.size()) {
    const auto part = std::span(block).first(std::min<std::uint64_t>(block.size(), file.size() - at));
    file.read(at, part);
    content.add(part);
  }
  return content.value();
}

std::shared_ptr<const StoredFootage> FootageDisk::find(std::uint64_t key) const {
  std::error_code ignored;
  const std::filesystem::path path = path_of(key);
  if (!std::filesystem::exists(path, ignored)) return nullptr;
  try {
    return std::make_shared<const StoredFootage>(path, key);
  } catch (const Error&) {
    return nullptr;  // not sound, gone meanwhile, or not readable: it is decoded
  }
}

// Counts all entries in the folder, whoever wrote them, and those being written.
void FootageDisk::measure() {
  since_measured_ = used_ = 0;
  for (const auto& [key, bytes] : writing_) used_ += bytes;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder_, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    std::error_code gone;
    const std::uintmax_t size = entry->path().extension() == kSuffix ? entry->file_size(gone) : 0;
    if (!gone) used_ += size;
  }
}

bool FootageDisk::takes(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return trouble_.empty() && used_ <= limit_bytes_ && bytes <= limit_bytes_ - used_;
}

// Reserves the room of an entry. False if there is none, or another thread is writing it.
bool FootageDisk::begin(std::uint64_t key, std::uint64_t bytes) {
  constexpr std::uint64_t kMeasures = 64;  // while the folder fills: what others write shows so often
  const std::lock_guard lock(mutex_);
  if (since_measured_ > limit_bytes_ / kMeasures) measure();
  if (!trouble_.empty() || used_ > limit_bytes_ || bytes > limit_bytes_ - used_) return false;
  if (!writing_.emplace(key, bytes).second) return false;
  used_ += bytes;
  since_measured_ += bytes;
  return true;
}

void FootageDisk::end(std::uint64_t key, std::uint64_t bytes, const std::string& trouble) {
  const std::lock_guard lock(mutex_);
  writing_.erase(key);
  if (trouble.empty()) return;
  used_ -= std::min(used_, bytes);
  if (trouble_.empty()) trouble_ = "no more clips are cached: " + trouble;
}

void FootageDisk::write(std::uint64_t key, const Footage& footage) {
  const std::uint64_t bytes = head_bytes(static_cast<std::uint64_t>(footage.frames)) + footage.rgb.size();
  if (!begin(key, bytes)) return;
  std::string cause;
  try {
    write_entry(path_of(key), key, footage);
  } catch (const std::exception& error) {
    cause = error.what();
  }
  end(key, bytes, cause);
}

std::string FootageDisk::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

}  // namespace stp

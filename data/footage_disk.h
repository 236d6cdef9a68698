// Decoded frames on disk: what a run has decoded the next one need not, nor the next epoch where memory is too
// small. One file an entry, FOLDER/KEY.frames; several processes may share the folder.
//
// The key is a digest of everything that the pixels depend on: the whole content of the video (size and time of
// change would take another file for it, a sample would take a damaged one; reading a file is a hundredth of
// decoding it), the scaling, the versions of the decoding libraries, and the format of the entry:
//   "STPFRAME"  version  frames  height  width (u32)  key (u64)  digest of each frame (u64)  digest of all
//   before frames      (frames, height, width, 3)
// A frame counts only if it has its digest: what is cut, flipped or of another key is no entry, and is decoded
// and written again. An entry appears under its name when it is complete (engine/durable.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/footage.h"
#include "engine/file.h"

namespace stp {

// A complete entry, open for reading.
class StoredFootage {
 public:
  // Throws Error if the file is no sound entry of that key.
  StoredFootage(const std::filesystem::path& path, std::uint64_t key);

  int frames() const { return frames_; }
  std::size_t bytes() const { return frame_bytes() * static_cast<std::size_t>(frames_); }
  // Frame `number` into `rgb`, which the picture then shows; nothing if it is not what was written.
  std::optional<Picture> picture(int number, std::vector<std::uint8_t>& rgb) const;

 private:
  bool read_head(std::uint64_t key);
  std::size_t frame_bytes() const;

  InputFile file_;
  int frames_ = 0, height_ = 0, width_ = 0;
  std::vector<std::uint64_t> digests_;
};

class FootageDisk {
 public:
  // Makes the folder if it is not there. Throws Error (usage) if nothing can be written to it.
  FootageDisk(std::filesystem::path folder, std::uint64_t limit_bytes, int short_side);

  // Of a video or strip; nothing for a folder of pictures, which is read as it is.
  std::optional<std::uint64_t> key_of(const std::filesystem::path& video) const;
  // Null if there is none, or none that is sound.
  std::shared_ptr<const StoredFootage> find(std::uint64_t key) const;
  // Whether an entry of so many bytes would be written.
  bool takes(std::uint64_t bytes) const;
  // Writes an entry if it still fits. An error ends the writing, not the run: see trouble(). Entries are never
  // removed: the first to come stay.
  void write(std::uint64_t key, const Footage& footage);
  // Why nothing more is written, in one line; empty if all is well.
  std::string trouble() const;

 private:
  std::filesystem::path path_of(std::uint64_t key) const;
  bool begin(std::uint64_t key, std::uint64_t bytes);
  void end(std::uint64_t key, std::uint64_t bytes, const std::string& trouble);
  void measure();

  std::filesystem::path folder_;
  std::uint64_t limit_bytes_;
  std::string settings_;
  mutable std::mutex mutex_;  // guards what follows
  std::uint64_t used_ = 0, since_measured_ = 0;
  std::map<std::uint64_t, std::uint64_t> writing_;  // by key: bytes
  std::string trouble_;
};

}  // namespace stp

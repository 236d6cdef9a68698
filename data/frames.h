// One way to read frames, whatever they are stored in: a video file, a folder of pictures, or one picture with
// the frames side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "data/video.h"

namespace stp {

// Frames in order, all of one size. What VideoReader says of its functions holds for these.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  FrameSource() = default;
  FrameSource(const FrameSource&) = delete;
  FrameSource& operator=(const FrameSource&) = delete;

  virtual const VideoInfo& info() const = 0;
  virtual bool next(Frame& frame) = 0;
  virtual bool skip() = 0;
  virtual bool hold() = 0;
  virtual void show(std::size_t number, Frame& frame) = 0;
  virtual std::size_t held_bytes() const = 0;
  virtual void drop_held() = 0;
  virtual std::int64_t damaged() const = 0;
  virtual const std::string& damage() const = 0;
};

struct FrameOptions {
  VideoLimits limits = {};
  Rational frame_rate{25, 1};  // of folders and strips, which state none
  bool still = false;          // a picture is one frame, whatever its sides: container "picture"
};

// Opens by content, not by name:
//   a folder    its .jpg, .jpeg and .png files in natural order ("frame 9" before "frame 10"); anything else in
//   it is
//               left aside. Container "folder".
//   a picture   a strip: square frames side by side, its width a multiple of its height. Container "strip".
//   otherwise   a video (VideoReader).
// Folders and strips have times 0, 1, 2, ... in units of one frame. Throws Error (usage): see VideoReader and
// read_image; no pictures in the folder; a picture of another size than those before; a picture that is no
// strip.
std::unique_ptr<FrameSource> open_frames(const std::filesystem::path& path, const FrameOptions& options = {});

}  // namespace stp

// The picture that is written for each frame, in either mode and at either size.
#pragma once

#include <memory>

#include "data/resize.h"
#include "data/video.h"
#include "tools/anonymise/chunk.h"
#include "tools/anonymise/picture.h"
#include "tools/anonymise/request.h"

namespace stp {

// A frame as the network saw it and what became of it, all at the model's size.
struct FrameView {
  std::int64_t time = 0;
  std::span<const std::uint8_t> before, after;  // (Y, X, 3); after: empty if the model redraws nothing
  std::span<const std::uint8_t> keep;           // (rows, columns)
};

class Painter {
 public:
  // A mask at the source's size needs the source's pixels when the decision is known, which is a chunk later:
  // the file is then read a second time, so that no large picture waits in memory.
  Painter(const ChunkAnonymiser& anonymiser, const AnonymiseOptions& options, const AnonymiseJob& job,
          const VideoInfo& source);

  // Of the video to write, and of its preview; pictures keep the shape in which they are shown.
  VideoSpec spec() const;
  VideoSpec preview_spec() const;

  // To be called for every frame of the video, in order. Valid until the next call. Throws Error (failure) if
  // the second reading finds another video.
  std::span<const std::uint8_t> paint(const FrameView& frame);
  // The frame before, the decision, and after, side by side.
  std::vector<std::uint8_t> preview(const FrameView& frame) const;
  // After the last frame: throws Error (failure) if the second reading found damage, or more frames.
  void finish();

 private:
  std::vector<std::uint8_t> masked(const FrameView& frame) const;
  void read_again(std::int64_t time);

  const ChunkAnonymiser& model_;
  AnonymiseOptions options_;
  VideoInfo source_;
  std::string name_;
  Blackener blacken_, blacken_source_;
  std::unique_ptr<Resizer> enlarge_;
  std::unique_ptr<VideoReader> again_;
  Frame frame_;
  std::vector<std::uint8_t> picture_;
};

// The pixel aspect with which pictures of width x height look as wide as the source's.
Rational aspect_at(const VideoInfo& source, int width, int height);

}  // namespace stp

// H.264 through x264, one frame in, at most one packet out later, in the same order. For the data room's own
// files.
#pragma once

#include <cstdint>
#include <span>

#include "data/libav.h"
#include "data/video.h"

namespace stp {

// Encodes fresh pictures only: what goes into x264 is made here from the caller's RGB and carries nothing else.
// Times are not its business: it counts frames, and whoever takes packet i knows the time of frame i.
class VideoEncoder {
 public:
  explicit VideoEncoder(const VideoSpec& spec);

  // rgb: (height, width, 3).
  void encode(std::span<const std::uint8_t> rgb);
  // After this no more frames; receive() gives the rest.
  void drain();
  // The packet of the next frame, without x264's remarks on itself; false if there is none yet, or no more.
  bool receive(AVPacket& packet);
  // What a container must state about the stream.
  const AVCodecParameters& parameters() const { return *cleaner_->par_out; }

 private:
  void open(const VideoSpec& spec);
  void open_cleaner();
  void open_scaler(const VideoSpec& spec);
  void check_code(int code, const char* stage) const;

  LibavLog log_;
  Libav<AVCodecContext> encoder_;
  Libav<AVBSFContext> cleaner_;
  Libav<SwsContext> scaler_;      // null when lossless: x264 takes RGB
  Libav<AVFrame> rgb_, picture_;  // picture_ null when lossless
  std::int64_t frames_ = 0;
};

}  // namespace stp

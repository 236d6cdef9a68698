// Video files in and out, through FFmpeg's libraries. A video is untrusted input: sizes, counts and timestamps are
// bounded before memory is spent, and anything doubtful is an error that names the file, the stage and the cause.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace stp {

struct Rational {
  std::int64_t num = 0, den = 1;
  double value() const { return static_cast<double>(num) / static_cast<double>(den); }
};

// One picture as it is shown: rotation applied, square pixels not assumed, 8-bit sRGB as stored in the file.
struct Frame {
  int width = 0, height = 0;
  std::int64_t time = 0;          // presentation time in units of VideoInfo::time_base
  std::vector<std::uint8_t> rgb;  // (height, width, 3)
};

struct VideoInfo {
  std::string container, codec;
  int width = 0, height = 0;          // as shown, after rotation
  int rotation = 0;                   // 0, 90, 180, 270: what was applied, degrees clockwise
  Rational time_base;                 // seconds per unit of Frame::time
  Rational frame_rate;                // average rate by the container's word; 0/1 if it has none
  std::int64_t declared_frames = 0;   // the container's word, not to be trusted; 0 if it has none
};

// Budgets of one video; the defaults admit hours of ordinary footage and stop decompression bombs.
struct VideoLimits {
  std::int64_t frame_pixels = 8192LL * 8192;      // width x height of one frame
  std::int64_t total_pixels = 4'000'000'000'000;  // summed over all decoded frames
  std::int64_t frames = 10'000'000;
};

// Reads frames in order of presentation, with bounded memory.
// Throws Error (usage: cannot be opened, no video stream; failure: damaged while decoding).
class VideoReader {
 public:
  explicit VideoReader(const std::filesystem::path& path, const VideoLimits& limits = {});
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;
  VideoReader& operator=(VideoReader&&) noexcept;

  const VideoInfo& info() const;
  // The next frame into `frame` (its buffer is reused); false at the end.
  bool next(Frame& frame);
  // Frames so far that the decoder marked as damaged or could not decode. Training tolerates them, the anonymiser not.
  std::int64_t damaged() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct VideoSpec {
  int width = 0, height = 0;
  Rational time_base{1, 30};    // unit of the times given to write()
  Rational frame_rate{30, 1};   // nominal, a hint for players
  bool lossless = false;        // the decoded file equals the frames given, bit for bit, as RGB
  int quality = 18;             // constant rate factor of x264 when not lossless, 0 (best) to 51
};

// Writes one H.264 stream and nothing else: no audio, no metadata, no side data. The file appears under its name
// only after finish(); until then, and on any failure, there is nothing there but a temporary file beside it that
// the destructor removes.
class VideoWriter {
 public:
  VideoWriter(const std::filesystem::path& path, const VideoSpec& spec);
  ~VideoWriter();
  VideoWriter(VideoWriter&&) noexcept;
  VideoWriter& operator=(VideoWriter&&) noexcept;

  // rgb: (height, width, 3); times strictly increase.
  void write(std::span<const std::uint8_t> rgb, std::int64_t time);
  // Flushes, closes, reopens and verifies the frame count and times, fsyncs and renames into place.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stp

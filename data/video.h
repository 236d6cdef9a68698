// Video files in and out, through FFmpeg's libraries. A video is untrusted input: sizes, counts and timestamps
// are bounded before memory is spent, and anything doubtful is an error that names the file, the stage and the
// cause.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace stp {

struct VideoBytes;

struct Rational {
  std::int64_t num = 0, den = 1;
  double value() const { return static_cast<double>(num) / static_cast<double>(den); }
  bool operator==(const Rational&) const = default;
};

// One picture as it is shown: rotation applied, square pixels not assumed, 8-bit sRGB as stored in the file,
// transparency ignored, interlaced fields woven.
struct Frame {
  int width = 0, height = 0;
  std::int64_t time = 0;          // presentation time in units of VideoInfo::time_base
  std::vector<std::uint8_t> rgb;  // (height, width, 3)
};

struct VideoInfo {
  std::string container, codec, pixel_format;
  int width = 0, height = 0;         // as shown, after rotation
  int rotation = 0;                  // 0, 90, 180, 270: what was applied, degrees clockwise
  bool mirrored = false;             // whether left and right were exchanged before that rotation
  Rational pixel_aspect{1, 1};       // width to height of one pixel as shown
  Rational time_base{1, 1};          // seconds per unit of Frame::time
  Rational frame_rate{0, 1};         // average rate by the container's word; 0/1 if it has none
  std::int64_t declared_frames = 0;  // the container's word, not to be trusted; 0 if it has none
  std::vector<std::string>
      others;  // what else the file holds and nobody reads: "audio aac", "subtitle mov_text"
};

// Budgets of one video; the defaults admit hours of ordinary footage and stop decompression bombs.
struct VideoLimits {
  std::int64_t frame_pixels = 8192LL * 4320;      // width x height of one frame
  std::int64_t total_pixels = 4'000'000'000'000;  // summed over all decoded frames
  std::int64_t frames = 10'000'000;
};

// Reads frames in order of presentation, with bounded memory, one thread, and from this one file only: no
// network, no playlists, no references to other files. If there are several video streams the one marked as
// default counts, then the largest, then the first; cover art is no video.
//
// Times begin at 0 or later and strictly increase. What the file says is kept where it can be; repaired (see
// repaired_times) are: a first time below 0, after which all times are shifted so that it is 0; a missing time,
// put one nominal frame after the last; a time not after the last, put one unit after it; and a jump back by a
// second or more, after which all times are shifted so that the frame comes one nominal frame after the last.
//
// Throws Error. Usage: not a video, no frame decodes, over a limit, or size, pixel format or rotation change
// midway. Failure: the file cannot be read.
class VideoReader {
 public:
  // Decodes the first frame already, so that info() tells what the frames are, not what the header claims.
  explicit VideoReader(const std::filesystem::path& path, const VideoLimits& limits = {});
  // The same for bytes that are not, or not yet, a file with a name (video_input.h).
  explicit VideoReader(VideoBytes bytes, const VideoLimits& limits = {});
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;
  VideoReader& operator=(VideoReader&&) noexcept;

  const VideoInfo& info() const;
  // The next frame into `frame` (its buffer is reused); false at the end.
  bool next(Frame& frame);
  // Leaves one frame out: as next(), but its pixels are not converted, which is most of the work of a small
  // frame.
  bool skip();
  // Takes one frame as the decoder left it (1.5 bytes a pixel in most files): as skip(), but show() can bring
  // its pixels later. Numbered 0, 1, ... in the order they were taken.
  bool hold();
  // Frame `number` of those held.
  void show(std::size_t number, Frame& frame);
  std::size_t held_bytes() const;
  void drop_held();
  // Counts what was found wrong so far: frames that the decoder marked as damaged, packets it could not decode,
  // a file that ends too early. 0 means that nothing was found; where a format has neither checksums nor a
  // known end (a raw stream cut between two frames) nothing can be. Training tolerates damage, the anonymiser
  // does not.
  std::int64_t damaged() const;
  // The decoder's own words on the first damage; empty while damaged() is 0.
  const std::string& damage() const;
  // Frames so far whose time had to be repaired.
  std::int64_t repaired_times() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct VideoSpec {
  int width = 0, height = 0;
  Rational time_base{1, 30};    // unit of the times given to write()
  Rational frame_rate{30, 1};   // nominal, a hint for players; also how long the last frame is shown
  Rational pixel_aspect{1, 1};  // width to height of one pixel
  bool lossless = false;        // the decoded file equals the frames given, bit for bit, as RGB
  int quality = 18;             // constant rate factor of x264 when not lossless, 0 (best) to 51
};

// Writes one H.264 stream and nothing else: no audio, no metadata, no side data, no trace of the encoder's name
// or the hour. The same frames give the same bytes. The file appears under its name only after finish(); until
// then, and on any failure, there is nothing but a temporary file beside it, NAME.part, that the destructor
// removes (a killed program leaves it; the next one to write NAME replaces it). Files are readable for their
// owner only.
//
// Containers, by extension: .mp4 and .mov keep any time base 1/n and n/m exactly (in units of 1/m); .mkv counts
// in milliseconds and takes only time bases that are whole milliseconds. Even sizes become yuv420p, which every
// player shows; sizes with an odd number become yuv444p, because yuv420p cannot state them; lossless becomes
// planar RGB. The latter two need a software player. There are no B-frames, so the order in the file is the
// order shown.
//
// Throws Error. Usage: a specification or time that cannot be written. Failure: disk full, folder not writable,
// verification failed.
class VideoWriter {
 public:
  VideoWriter(const std::filesystem::path& path, const VideoSpec& spec);
  ~VideoWriter();
  VideoWriter(VideoWriter&&) noexcept;
  VideoWriter& operator=(VideoWriter&&) noexcept;

  // rgb: (height, width, 3); times are not negative and strictly increase.
  void write(std::span<const std::uint8_t> rgb, std::int64_t time);
  // Flushes, fsyncs, reopens and verifies size, frame count and times (and every pixel when lossless), then
  // renames into place. A video without frames is refused. `verified` is called before the rename, for what has
  // to be there first; if it throws, the file never appears.
  void finish(const std::function<void()>& verified = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stp

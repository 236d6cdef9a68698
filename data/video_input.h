// The demultiplexer's half of reading a video: one local file, opened once, never a name that libav could
// interpret. For the data room's own files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "data/libav.h"
#include "data/picture.h"
#include "data/video.h"

namespace stp {

// Where a video's bytes come from. `read` fills the whole span or throws.
struct VideoBytes {
  std::string name;  // as printed
  std::uint64_t size = 0;
  std::function<void(std::uint64_t offset, std::span<std::byte> bytes)> read;
};

VideoBytes video_file(const std::filesystem::path& path);

// The bound for a decoder, which counts in whole coding blocks, so that it admits every frame within the limit.
std::int64_t decoder_pixels(const VideoLimits& limits);

// An open video and its chosen video stream.
class VideoInput {
 public:
  // Throws Error (usage) with the cause if these are not the bytes of a video that is read here.
  VideoInput(VideoBytes bytes, const VideoLimits& limits);
  ~VideoInput();
  VideoInput(const VideoInput&) = delete;
  VideoInput& operator=(const VideoInput&) = delete;

  const std::string& name() const { return bytes_.name; }
  const AVStream& stream() const { return *stream_; }
  LibavLog& log() { return log_; }
  // Container, codec, rates, pixel aspect and other streams; not yet what only a decoded frame tells.
  VideoInfo info() const;
  // What the container says; false if it says nothing. Throws Error (usage) for a matrix that is no right
  // angle.
  bool orientation(Orientation& orientation) const;

  enum class Packet { read, end, broken };
  // The next packet of the video stream. `broken`: the file stops making sense here, the log says how.
  // Throws what the bytes' own read throws.
  Packet read(AVPacket& packet);

 private:
  static int read_bytes(void* self, std::uint8_t* buffer, int count);
  static std::int64_t seek(void* self, std::int64_t offset, int whence);
  const AVInputFormat* recognise();
  void open_container(const AVInputFormat* container, const VideoLimits& limits);
  void probe_streams(const VideoLimits& limits);
  void choose_stream();
  void check_read() const;
  void check_size(const AVStream& stream, const VideoLimits& limits) const;

  struct CloseInput {
    void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
  };

  VideoBytes bytes_;
  LibavLog log_;
  std::exception_ptr read_error_;  // libav's C code cannot carry it
  std::uint64_t position_ = 0;
  Libav<AVIOContext> io_;
  std::unique_ptr<AVFormatContext, CloseInput> format_;
  AVStream* stream_ = nullptr;  // belongs to format_
};

}  // namespace stp

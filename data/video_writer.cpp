#include <algorithm>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>

#include "data/libav.h"
#include "data/video.h"
#include "data/video_encoder.h"
#include "data/video_input.h"
#include "engine/check.h"
#include "engine/digest.h"
#include "engine/durable.h"

namespace stp {
namespace {

constexpr std::int64_t kInt = std::numeric_limits<int>::max();
// Units between two frames that MP4 can state; readers take one more for an error.
constexpr std::int64_t kGap = kInt - 1;
// x264's own limit is 16384 a side.
constexpr int kSide = 16384;

struct Container {
  const char* muxer;
  Rational unit;            // of the times in the file
  std::int64_t factor = 1;  // units per unit of VideoSpec::time_base
};

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

Container container_of(const std::filesystem::path& path, const std::string& name, const VideoSpec& spec) {
  check(spec.time_base.num > 0 && spec.time_base.den > 0, "{}: the time base {}/{} is not positive", name,
        spec.time_base.num, spec.time_base.den);
  const std::int64_t common = std::gcd(spec.time_base.num, spec.time_base.den);
  const std::int64_t num = spec.time_base.num / common, den = spec.time_base.den / common;
  const std::string extension = lower(path.extension().string());
  if (extension == ".mp4" || extension == ".mov") {
    check(num <= kInt && den <= kInt,
          "{}: the time base {}/{} does not fit; numerator and denominator go up to {}", name, num, den, kInt);
    return {extension == ".mp4" ? "mp4" : "mov", {1, den}, num};
  }
  if (extension == ".mkv") {
    check(num <= kInt && (num * 1000) % den == 0,
          "{}: Matroska counts in milliseconds, the time base {}/{} does not fit; write .mp4 instead", name,
          num, den);
    return {"matroska", {1, 1000}, num * 1000 / den};
  }
  refuse("{}: videos are written as .mp4, .mov or .mkv, not as '{}'; choose one of these", name,
         shown(extension));
}

void check_spec(const std::string& name, const VideoSpec& spec) {
  check(spec.width > 0 && spec.height > 0 && spec.width <= kSide && spec.height <= kSide,
        "{}: cannot write frames of {}x{}; each side goes from 1 to {}", name, spec.width, spec.height, kSide);
  check(spec.quality >= 0 && spec.quality <= 51, "{}: quality {} is not within 0 (best) to 51", name,
        spec.quality);
  check(spec.frame_rate.num >= 0 && spec.frame_rate.den > 0, "{}: the frame rate {}/{} is not positive", name,
        spec.frame_rate.num, spec.frame_rate.den);
  check(spec.pixel_aspect.num > 0 && spec.pixel_aspect.den > 0, "{}: the pixel aspect {}:{} is not positive",
        name, spec.pixel_aspect.num, spec.pixel_aspect.den);
}

// A file that a muxer writes, going back to fill in its head.
class MuxerFile {
 public:
  explicit MuxerFile(const std::filesystem::path& path)
      : file_(path, 0600),
        io_(avio_alloc_context(static_cast<unsigned char*>(av_malloc(kLibavIoBytes)), kLibavIoBytes, 1, this,
                               nullptr, write, seek)) {
    libav_allocated(io_.get());
  }
  MuxerFile(const MuxerFile&) = delete;
  MuxerFile& operator=(const MuxerFile&) = delete;

  AVIOContext* io() { return io_.get(); }
  DurableFile& file() { return file_; }
  void check_written() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static int write(void* self, std::uint8_t* buffer, int count) {
    auto& out = *static_cast<MuxerFile*>(self);
    const auto bytes = std::as_bytes(std::span(buffer, static_cast<std::size_t>(count)));
    try {
      const std::size_t inside = std::min<std::uint64_t>(out.file_.size() - out.position_, bytes.size());
      if (inside > 0) out.file_.overwrite(out.position_, bytes.first(inside));
      if (inside < bytes.size()) out.file_.append(bytes.subspan(inside));
    } catch (...) {
      if (!out.error_) out.error_ = std::current_exception();
      return AVERROR(EIO);
    }
    out.position_ += bytes.size();
    return count;
  }

  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& out = *static_cast<MuxerFile*>(self);
    const auto size = static_cast<std::int64_t>(out.file_.size());
    if ((whence & ~AVSEEK_FORCE) == AVSEEK_SIZE) return size;
    if ((whence & ~AVSEEK_FORCE) != SEEK_SET || offset < 0 || offset > size) return AVERROR(EINVAL);
    out.position_ = static_cast<std::uint64_t>(offset);
    return offset;
  }

  DurableFile file_;
  std::uint64_t position_ = 0;
  std::exception_ptr error_;  // libav's C code cannot carry it
  Libav<AVIOContext> io_;
};

struct FreeMuxer {
  void operator()(AVFormatContext* muxer) const { avformat_free_context(muxer); }
};

}  // namespace

struct VideoWriter::Impl {
  Impl(const std::filesystem::path& path, const VideoSpec& video_spec)
      : name(shown(path)),
        spec((check_spec(name, video_spec), video_spec)),
        container(container_of(path, name, spec)),
        file(path),
        encoder(spec) {
    open_muxer();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open_muxer();
  void check_code(int code, const char* stage);
  std::int64_t units_of(std::int64_t time) const;
  std::int64_t nominal_step() const;
  void take_packets();
  void write_packets(bool all);
  void verify();

  std::string name;
  VideoSpec spec;
  Container container;
  MuxerFile file;
  VideoEncoder encoder;
  LibavLog log;
  std::unique_ptr<AVFormatContext, FreeMuxer> muxer;
  AVStream* stream = nullptr;
  std::vector<std::int64_t> times;      // of all frames, in the container's unit
  std::vector<std::uint64_t> digests;   // of all frames, when lossless
  std::deque<Libav<AVPacket>> packets;  // of the next frames, waiting for the time after them
  std::size_t written = 0;              // packets
  bool finished = false;
};

void VideoWriter::Impl::check_code(int code, const char* stage) {
  file.check_written();
  if (code < 0) fail("{}: cannot be written ({}): {}", name, stage, libav_message(code, log));
}

void VideoWriter::Impl::open_muxer() {
  AVFormatContext* made = nullptr;
  const int code = avformat_alloc_output_context2(&made, nullptr, container.muxer, nullptr);
  muxer.reset(made);
  if (code < 0) fail("{}: this machine's FFmpeg cannot write {}", name, container.muxer);
  muxer->opaque = &log;
  muxer->pb = file.io();
  muxer->flags |=
      AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;  // bit exact: no names, no hour, no random numbers
  muxer->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
  stream = avformat_new_stream(muxer.get(), nullptr);
  libav_allocated(stream);
  check_code(avcodec_parameters_copy(stream->codecpar, &encoder.parameters()), "header");
  stream->codecpar->codec_tag = 0;
  stream->sample_aspect_ratio = stream->codecpar->sample_aspect_ratio;
  stream->time_base = {static_cast<int>(container.unit.num), static_cast<int>(container.unit.den)};
  if (spec.frame_rate.num > 0 && spec.frame_rate.num <= kInt && spec.frame_rate.den <= kInt)
    stream->avg_frame_rate = {static_cast<int>(spec.frame_rate.num), static_cast<int>(spec.frame_rate.den)};
  LibavOptions options;
  if (std::string_view(container.muxer) != "matroska") {
    // Both clocks of the file run in the caller's unit, else a first time other than 0 would be rounded.
    options.set("video_track_timescale", container.unit.den);
    options.set("movie_timescale", container.unit.den);
    options.set("empty_hdlr_name", "1");
  }
  check_code(avformat_write_header(muxer.get(), options.address()), "header");
  if (!options.left().empty())
    fail("{}: this machine's FFmpeg does not know its option {}", name, options.left());
  if (stream->time_base.num != container.unit.num || stream->time_base.den != container.unit.den)
    fail("{}: the container counts in {}/{} s, not in {}/{} s", name, stream->time_base.num,
         stream->time_base.den, container.unit.num, container.unit.den);
}

// The time of the next frame in the container's unit.
std::int64_t VideoWriter::Impl::units_of(std::int64_t time) const {
  const std::size_t frame = times.size();
  check(time >= 0, "{}: frame {} has the negative time {}; shift all times", name, frame, time);
  check(time <= std::numeric_limits<std::int64_t>::max() / 4 / container.factor,
        "{}: frame {} has time {}, which is out of range", name, frame, time);
  const std::int64_t units = time * container.factor;
  if (times.empty()) return units;
  check(units > times.back(), "{}: frame {} has time {}, which is not after the one before", name, frame, time);
  check(units - times.back() <= kGap,
        "{}: frame {} comes {} units of 1/{} s after the one before, the limit is {}; use a coarser "
        "time base",
        name, frame, units - times.back(), container.unit.den, kGap);
  return units;
}

std::int64_t VideoWriter::Impl::nominal_step() const {
  if (spec.frame_rate.num == 0) return times.size() < 2 ? 1 : times.back() - times[times.size() - 2];
  const double step = 1.0 / (spec.frame_rate.value() * container.unit.value());
  return static_cast<std::int64_t>(std::clamp(step + 0.5, 1.0, static_cast<double>(kGap)));
}

void VideoWriter::Impl::take_packets() {
  for (;;) {
    Libav<AVPacket> packet(av_packet_alloc());
    libav_allocated(packet.get());
    if (!encoder.receive(*packet)) return;
    packets.push_back(std::move(packet));
  }
}

void VideoWriter::Impl::write_packets(bool all) {
  while (!packets.empty() && (all || written + 1 < times.size())) {
    AVPacket& packet = *packets.front();
    packet.stream_index = stream->index;
    packet.pts = packet.dts = times.at(written);
    packet.duration =
        (written + 1 < times.size() ? times[written + 1] : times[written] + nominal_step()) - times[written];
    packet.pos = -1;
    check_code(av_write_frame(muxer.get(), &packet), "frame");
    packets.pop_front();
    ++written;
  }
}

// What is in the file now must be what was asked for, or it does not get its name.
void VideoWriter::Impl::verify() {
  VideoLimits limits;
  limits.frame_pixels = std::int64_t{spec.width} * spec.height;
  limits.frames = static_cast<std::int64_t>(times.size());
  limits.total_pixels = limits.frame_pixels * limits.frames;
  const DurableFile& bytes = file.file();
  VideoReader reader(
      VideoBytes{name, bytes.size(),
                 [&bytes](std::uint64_t offset, std::span<std::byte> to) { bytes.read(offset, to); }},
      limits);
  const VideoInfo& info = reader.info();
  if (info.width != spec.width || info.height != spec.height || info.time_base != container.unit ||
      !info.others.empty())
    fail("{}: verification failed: it reads as {}x{}, time base {}/{}, {} other streams", name, info.width,
         info.height, info.time_base.num, info.time_base.den, info.others.size());
  Frame frame;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const bool there = reader.next(frame);
    if (!there) fail("{}: verification failed: {} frames read back, {} written", name, i, times.size());
    if (frame.time != times[i])
      fail("{}: verification failed: frame {} reads back at {}, written at {}", name, i, frame.time, times[i]);
    if (spec.lossless && digest(std::as_bytes(std::span(frame.rgb))) != digests[i])
      fail("{}: verification failed: frame {} reads back with other pixels", name, i);
  }
  if (reader.next(frame) || reader.damaged() > 0 || reader.repaired_times() > 0)
    fail("{}: verification failed: {} damaged frames, {} repaired times, or more than {} frames", name,
         reader.damaged(), reader.repaired_times(), times.size());
}

VideoWriter::VideoWriter(const std::filesystem::path& path, const VideoSpec& spec)
    : impl_(std::make_unique<Impl>(path, spec)) {}
VideoWriter::~VideoWriter() = default;
VideoWriter::VideoWriter(VideoWriter&&) noexcept = default;
VideoWriter& VideoWriter::operator=(VideoWriter&&) noexcept = default;

void VideoWriter::write(std::span<const std::uint8_t> rgb, std::int64_t time) {
  check(impl_ != nullptr, "video writer: it is finished or has failed; make a new one");
  std::unique_ptr<Impl> my = std::move(impl_);  // gone, with the file, if anything below fails
  const std::size_t wanted = std::size_t(my->spec.width) * std::size_t(my->spec.height) * 3;
  check(rgb.size() == wanted, "{}: the frame has {} bytes, wanted {}", my->name, rgb.size(), wanted);
  my->times.push_back(my->units_of(time));
  if (my->spec.lossless) my->digests.push_back(digest(std::as_bytes(rgb)));
  my->encoder.encode(rgb);
  my->take_packets();
  my->write_packets(false);
  impl_ = std::move(my);
}

void VideoWriter::finish(const std::function<void()>& verified) {
  check(impl_ != nullptr, "video writer: it is finished or has failed; make a new one");
  const std::unique_ptr<Impl> my = std::move(impl_);
  check(!my->times.empty(), "{}: no frame was written; a video needs at least one", my->name);
  my->encoder.drain();
  my->take_packets();
  my->write_packets(true);
  if (my->written != my->times.size())
    fail("{}: {} of {} frames came out of the encoder", my->name, my->written, my->times.size());
  my->check_code(av_write_trailer(my->muxer.get()), "trailer");
  avio_flush(my->file.io());
  my->check_code(my->file.io()->error, "trailer");
  my->verify();
  if (verified) verified();
  my->file.file().commit();
}

}  // namespace stp

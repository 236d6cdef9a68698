#include "data/video_input.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

// Containers that footage comes in. Playlists, scripts, image sequences and everything else that names further
// files or addresses is not among them, nor are formats without a signature.
constexpr std::string_view kContainers =
    "mov,matroska,avi,gif,apng,flv,mpegts,mpeg,mpegvideo,ogg,asf,nut,ivf,obu,av1,h264,hevc,m4v,h263,vc1,dirac,"
    "yuv4mpegpipe,dv,mxf,rm,wtv";

bool listed(std::string_view names) {
  const std::string own(names.substr(0, names.find(',')));
  return av_match_list(own.c_str(), kContainers.data(), ',') != 0;
}

// Every further file a container asks for: there are none.
int open_nothing(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }

Rational rational(AVRational r) {
  if (r.num <= 0 || r.den <= 0) return {0, 1};
  return {r.num, r.den};
}

std::string describe(const AVStream& stream) {
  const char* type = av_get_media_type_string(stream.codecpar->codec_type);
  std::string text = type == nullptr ? "unknown" : type;
  if ((stream.disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) text = "picture";
  return text + " " + avcodec_get_name(stream.codecpar->codec_id);
}

bool is_video(const AVStream& stream) {
  constexpr int kStill = AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS;
  return stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO && (stream.disposition & kStill) == 0;
}

std::uint64_t big_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::uint64_t>(byte);
  return value;
}

// Whether the boxes of an ISO file (MP4, MOV), which follow each other from the first byte on, go on after the
// last.
bool boxes_cut_short(const VideoBytes& file) {
  std::uint64_t at = 0;
  while (at < file.size) {
    std::array<std::byte, 16> head{};
    const std::uint64_t left = file.size - at;
    if (left < 8) return true;
    file.read(at, std::span(head).first(std::min<std::uint64_t>(left, head.size())));
    std::uint64_t size = big_endian(std::span(head).first<4>());
    if (size == 0) return false;  // up to the end
    if (size == 1) size = big_endian(std::span(head).last<8>());
    if (size < 8 || size > left) return true;
    at += size;
  }
  return false;
}

// A GIF ends with its trailer; what comes after may be zeros.
bool gif_cut_short(const VideoBytes& file) {
  std::byte last{};
  for (std::uint64_t at = file.size; at > 0 && last == std::byte{0}; --at)
    file.read(at - 1, std::span(&last, 1));
  return last != std::byte{0x3b};
}

bool cut_short(const VideoBytes& file, std::string_view container) {
  if (container.starts_with("mov,")) return boxes_cut_short(file);
  return container == "gif" && gif_cut_short(file);
}

}  // namespace

std::int64_t decoder_pixels(const VideoLimits& limits) {
  constexpr std::int64_t kMargin = std::int64_t{1} << 24;  // 128 pixels at each side of the largest frames
  return std::min(limits.frame_pixels, std::numeric_limits<std::int64_t>::max() - kMargin) + kMargin;
}

VideoBytes video_file(const std::filesystem::path& path) {
  auto file = std::make_shared<InputFile>(path);
  check(file->size() > 0, "{}: the file is empty; fetch or copy it again", shown(path));
  return {shown(path), file->size(),
          [file](std::uint64_t offset, std::span<std::byte> bytes) { file->read(offset, bytes); }};
}

VideoInput::VideoInput(VideoBytes bytes, const VideoLimits& limits) : bytes_(std::move(bytes)) {
  prepare_libav();
  io_.reset(avio_alloc_context(static_cast<unsigned char*>(av_malloc(kLibavIoBytes)), kLibavIoBytes, 0, this,
                               read_bytes, nullptr, seek));
  libav_allocated(io_.get());
  open_container(recognise(), limits);
  probe_streams(limits);
  choose_stream();
  check_size(*stream_, limits);
}

VideoInput::~VideoInput() = default;

int VideoInput::read_bytes(void* self, std::uint8_t* buffer, int count) {
  auto& input = *static_cast<VideoInput*>(self);
  const std::uint64_t left = input.bytes_.size - input.position_;
  const std::size_t wanted = std::min<std::uint64_t>(left, static_cast<std::uint64_t>(count));
  if (wanted == 0) return AVERROR_EOF;
  try {
    input.bytes_.read(input.position_, std::as_writable_bytes(std::span(buffer, wanted)));
  } catch (...) {
    input.read_error_ = std::current_exception();
    return AVERROR(EIO);
  }
  input.position_ += wanted;
  return static_cast<int>(wanted);
}

std::int64_t VideoInput::seek(void* self, std::int64_t offset, int whence) {
  auto& input = *static_cast<VideoInput*>(self);
  const auto size = static_cast<std::int64_t>(input.bytes_.size);
  if ((whence & ~AVSEEK_FORCE) == AVSEEK_SIZE) return size;
  if ((whence & ~AVSEEK_FORCE) != SEEK_SET) return AVERROR(EINVAL);  // avio turns the others into this one
  // Past the end there is nothing: a demultiplexer sent there by a header must hear of it.
  if (offset < 0 || offset > size) return AVERROR(EINVAL);
  input.position_ = static_cast<std::uint64_t>(offset);
  return offset;
}

void VideoInput::check_read() const {
  if (read_error_) std::rethrow_exception(read_error_);
}

const AVInputFormat* VideoInput::recognise() {
  const AVInputFormat* container = nullptr;
  const int code = av_probe_input_buffer2(io_.get(), &container, "", nullptr, 0, 0);
  check_read();
  if (code < 0 || container == nullptr)
    refuse("{}: not a video file that FFmpeg recognises; convert it to .mp4", name());
  if (!listed(container->name))
    refuse("{}: looks like {} ({}), which is not read as a video; give a video file, e.g. .mp4", name(),
           container->name, container->long_name == nullptr ? "no description" : container->long_name);
  return container;
}

void VideoInput::open_container(const AVInputFormat* container, const VideoLimits& limits) {
  AVFormatContext* format = avformat_alloc_context();
  libav_allocated(format);
  format->pb = io_.get();
  format->flags |= AVFMT_FLAG_CUSTOM_IO;
  format->io_open = open_nothing;
  format->opaque = &log_;
  LibavOptions options;
  options.set("protocol_whitelist", "none");
  options.set("format_whitelist", kContainers.data());
  const int code = avformat_open_input(&format, "", container, options.address());  // frees format if it fails
  check_read();
  if (code < 0)
    refuse("{}: cannot be opened as {}: {}; the file is damaged or incomplete, fetch it again", name(),
           container->name, libav_message(code, log_));
  format_.reset(format);
  for (unsigned i = 0; i < format_->nb_streams; ++i) check_size(*format_->streams[i], limits);
}

void VideoInput::probe_streams(const VideoLimits& limits) {
  // Probing may decode; the decoders it opens are bound like ours.
  std::vector<AVDictionary*> bounds(format_->nb_streams, nullptr);
  for (AVDictionary*& bound : bounds) av_dict_set_int(&bound, "max_pixels", decoder_pixels(limits), 0);
  const int code = avformat_find_stream_info(format_.get(), bounds.data());
  for (AVDictionary*& bound : bounds) av_dict_free(&bound);
  check_read();
  if (code < 0) refuse("{}: its streams cannot be read: {}", name(), libav_message(code, log_));
}

void VideoInput::choose_stream() {
  // Default first, then the larger picture, then the lower index.
  std::tuple<bool, std::int64_t> best{false, -1};
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    AVStream& stream = *format_->streams[i];
    stream.discard = AVDISCARD_ALL;
    if (!is_video(stream)) continue;
    const std::tuple<bool, std::int64_t> rank{(stream.disposition & AV_DISPOSITION_DEFAULT) != 0,
                                              std::int64_t{stream.codecpar->width} * stream.codecpar->height};
    if (stream_ != nullptr && rank <= best) continue;
    best = rank;
    stream_ = &stream;
  }
  if (stream_ == nullptr) {
    std::string others;
    for (unsigned i = 0; i < std::min(format_->nb_streams, 8U); ++i)
      others += (i == 0 ? "" : ", ") + describe(*format_->streams[i]);
    refuse("{}: holds no video stream (it has: {}); give a file with pictures", name(),
           others.empty() ? "nothing" : others);
  }
  stream_->discard = AVDISCARD_DEFAULT;
  if (stream_->time_base.num <= 0 || stream_->time_base.den <= 0)
    refuse("{}: its time base {}/{} is not positive; convert the file", name(), stream_->time_base.num,
           stream_->time_base.den);
}

void VideoInput::check_size(const AVStream& stream, const VideoLimits& limits) const {
  const std::int64_t width = stream.codecpar->width, height = stream.codecpar->height;
  if (stream.codecpar->codec_type != AVMEDIA_TYPE_VIDEO || width <= 0 || height <= 0) return;
  if (width * height > limits.frame_pixels)
    refuse("{}: {}x{} pixels a frame, the limit is {} pixels; scale the video down", name(), width, height,
           limits.frame_pixels);
}

VideoInfo VideoInput::info() const {
  VideoInfo info;
  const std::string_view names = format_->iformat->name;
  info.container = names.substr(0, names.find(','));  // of "mov,mp4,m4a,..."
  info.codec = avcodec_get_name(stream_->codecpar->codec_id);
  info.time_base = rational(stream_->time_base);
  info.frame_rate = rational(stream_->avg_frame_rate.num > 0 ? stream_->avg_frame_rate : stream_->r_frame_rate);
  info.declared_frames = std::max<std::int64_t>(stream_->nb_frames, 0);
  const AVRational aspect = stream_->sample_aspect_ratio.num > 0 ? stream_->sample_aspect_ratio
                                                                 : stream_->codecpar->sample_aspect_ratio;
  if (aspect.num > 0 && aspect.den > 0) info.pixel_aspect = rational(aspect);
  for (unsigned i = 0; i < format_->nb_streams; ++i)
    if (format_->streams[i] != stream_) info.others.push_back(describe(*format_->streams[i]));
  if (format_->nb_chapters > 0) info.others.emplace_back("chapters");
  return info;
}

bool VideoInput::orientation(Orientation& orientation) const {
  std::size_t bytes = 0;
  const std::uint8_t* data = av_stream_get_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, &bytes);
  std::array<std::int32_t, 9> matrix{};
  if (data == nullptr || bytes < sizeof matrix) return false;
  std::memcpy(matrix.data(), data, sizeof matrix);
  if (!orientation_of(matrix, orientation))
    refuse("{}: its display matrix turns the picture by no right angle; convert the file", name());
  return true;
}

VideoInput::Packet VideoInput::read(AVPacket& packet) {
  const std::int64_t errors = log_.container_errors;
  for (;;) {
    av_packet_unref(&packet);
    const int code = av_read_frame(format_.get(), &packet);
    check_read();
    if (code == AVERROR(EAGAIN)) continue;
    // Some demultiplexers report the end where they met an error, perhaps while probing already, and some do
    // not know where the end should be.
    if (code == AVERROR_EOF && log_.container_errors == 0 && !cut_short(bytes_, format_->iformat->name))
      return Packet::end;
    if (code < 0) return Packet::broken;
    if (packet.stream_index != stream_->index) continue;
    if (log_.container_errors > errors) packet.flags |= AV_PKT_FLAG_CORRUPT;
    return Packet::read;
  }
}

}  // namespace stp

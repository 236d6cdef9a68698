#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "data/picture.h"
#include "data/video.h"
#include "data/video_clock.h"
#include "data/video_input.h"
#include "engine/check.h"

namespace stp {
namespace {

// Decoders may fail again and again while they are emptied at the end; after this many failures in a row they
// are done.
constexpr int kFailuresInARow = 64;

std::string shape(int width, int height, int format) {
  const char* name = av_get_pix_fmt_name(static_cast<AVPixelFormat>(format));
  return fmt::format("{}x{} {}", width, height, name == nullptr ? "of no known format" : name);
}

}  // namespace

struct VideoReader::Impl {
  Impl(VideoBytes bytes, const VideoLimits& video_limits)
      : limits(video_limits),
        input(std::move(bytes), video_limits),
        info(input.info()),
        clock(info.time_base, info.frame_rate),
        converter(input.name()) {
    open_decoder();
    if (!decode()) refuse_empty();
    accept_first();
    ready = true;
  }

  void open_decoder();
  [[noreturn]] void refuse_empty() const;
  void accept_first();
  void check_same();
  bool decode();
  void feed();
  void note_damage(std::string_view what);
  bool advance();
  std::int64_t time();
  void convert(const AVFrame& from, std::int64_t at, Frame& frame);

  struct Held {
    Libav<AVFrame> picture;
    std::int64_t time = 0;
  };

  VideoLimits limits;
  VideoInput input;
  VideoInfo info;
  VideoClock clock;
  Libav<AVCodecContext> decoder;
  Libav<AVPacket> packet{av_packet_alloc()};
  Libav<AVFrame> picture{av_frame_alloc()};
  PictureConverter converter;
  Orientation orientation;
  int first_width = 0, first_height = 0, first_format = -1;
  std::int64_t packets = 0, frames = 0, damaged = 0, errors_seen = 0;
  std::string damage;
  bool ready = false;       // picture holds a frame that nobody has taken yet
  bool draining = false;    // no more packets
  bool suspicious = false;  // the packets since the last frame were damaged
  int failures = 0;         // of the decoder, in a row
  std::vector<Held> held;
  std::size_t held_bytes = 0;
};

void VideoReader::Impl::open_decoder() {
  libav_allocated(packet.get());
  libav_allocated(picture.get());
  const AVCodec* codec = avcodec_find_decoder(input.stream().codecpar->codec_id);
  if (codec == nullptr)
    refuse("{}: no decoder for its codec {}; convert the file to H.264", input.name(), info.codec);
  decoder.reset(avcodec_alloc_context3(codec));
  libav_allocated(decoder.get());
  int code = avcodec_parameters_to_context(decoder.get(), input.stream().codecpar);
  decoder->opaque = &input.log();
  decoder->pkt_timebase = input.stream().time_base;
  decoder->thread_count = 1;
  decoder->max_pixels = decoder_pixels(limits);
  // Crop exactly, though rows then start at odd addresses.
  decoder->flags |= AV_CODEC_FLAG_UNALIGNED;
  if (code >= 0) code = avcodec_open2(decoder.get(), codec, nullptr);
  if (code < 0)
    refuse("{}: the {} decoder does not open: {}", input.name(), info.codec, libav_message(code, input.log()));
  errors_seen = input.log().decoder_errors;
}

void VideoReader::Impl::refuse_empty() const {
  std::string_view cause = damage;
  if (cause.empty()) cause = packets == 0 ? "the stream holds nothing" : "a key frame may be missing";
  refuse("{}: no frame decodes ({} stream, {} frames promised): {}; fetch the file again", input.name(),
         info.codec, info.declared_frames, cause);
}

// What only a frame can tell.
void VideoReader::Impl::accept_first() {
  first_width = picture->width;
  first_height = picture->height;
  first_format = picture->format;
  if (av_pix_fmt_desc_get(static_cast<AVPixelFormat>(first_format)) == nullptr)
    refuse("{}: its pixel format {} is unknown; convert the file", input.name(), first_format);
  if (std::int64_t{first_width} * first_height > limits.frame_pixels)
    refuse("{}: {}x{} pixels a frame, the limit is {} pixels; scale the video down", input.name(), first_width,
           first_height, limits.frame_pixels);
  const bool known = input.orientation(orientation);
  const AVFrameSideData* side = av_frame_get_side_data(picture.get(), AV_FRAME_DATA_DISPLAYMATRIX);
  std::array<std::int32_t, 9> matrix{};
  if (!known && side != nullptr && side->size >= sizeof matrix) {
    std::memcpy(matrix.data(), side->data, sizeof matrix);
    if (!orientation_of(matrix, orientation))
      refuse("{}: its display matrix turns the picture by no right angle; convert the file", input.name());
  }
  info.pixel_format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(first_format));
  info.rotation = orientation.rotation();
  info.mirrored = orientation.mirrored();
  info.width = orientation.transposed ? first_height : first_width;
  info.height = orientation.transposed ? first_width : first_height;
  if (orientation.transposed) std::swap(info.pixel_aspect.num, info.pixel_aspect.den);
}

void VideoReader::Impl::check_same() {
  if (picture->width == first_width && picture->height == first_height && picture->format == first_format)
    return;
  refuse("{}: frame {} is {}, the frames before are {}; convert the file to one size and format", input.name(),
         frames, shape(picture->width, picture->height, picture->format),
         shape(first_width, first_height, first_format));
}

// Counts one; `what` is said unless the library has said more.
void VideoReader::Impl::note_damage(std::string_view what) {
  std::string& words = input.log().text;
  ++damaged;
  if (damage.empty()) damage = fmt::format("after {} frames: {}", frames, words.empty() ? what : words);
  words.clear();
}

// One packet into the decoder, or the news that there are no more.
void VideoReader::Impl::feed() {
  const VideoInput::Packet got = input.read(*packet);
  if (got != VideoInput::Packet::read) {
    if (got == VideoInput::Packet::broken) note_damage("the file breaks off");
    draining = true;
    avcodec_send_packet(decoder.get(), nullptr);
    return;
  }
  ++packets;
  suspicious |= (packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
  const int code = avcodec_send_packet(decoder.get(), packet.get());
  av_packet_unref(packet.get());
  if (code < 0 && code != AVERROR_EOF) note_damage(libav_message(code, {}));
}

// The next decoded picture into `picture`; false at the end.
bool VideoReader::Impl::decode() {
  for (;;) {
    const int code = avcodec_receive_frame(decoder.get(), picture.get());
    if (code >= 0) break;
    if (code == AVERROR_EOF) return false;
    if (code != AVERROR(EAGAIN)) {
      note_damage(libav_message(code, {}));
      if (draining && ++failures > kFailuresInARow) return false;
      continue;
    }
    if (draining) return false;
    feed();
  }
  failures = 0;
  const bool marked = (picture->flags & AV_FRAME_FLAG_CORRUPT) != 0 || picture->decode_error_flags != 0;
  if (marked || suspicious || input.log().decoder_errors > errors_seen) note_damage("a frame is damaged");
  suspicious = false;
  errors_seen = input.log().decoder_errors;
  return true;
}

bool VideoReader::Impl::advance() {
  if (!ready && !decode()) return false;
  ready = false;
  check_same();
  ++frames;
  if (frames > limits.frames)
    refuse("{}: more than {} frames, which is the limit; cut the video", input.name(), limits.frames);
  if (frames * first_width * first_height > limits.total_pixels)
    refuse("{}: more than {} pixels after {} frames, which is the limit; cut the video or scale it down",
           input.name(), limits.total_pixels, frames);
  return true;
}

std::int64_t VideoReader::Impl::time() {
  const std::int64_t said = picture->best_effort_timestamp;
  const auto time = clock.next(said == AV_NOPTS_VALUE ? std::nullopt : std::optional(said));
  if (!time) refuse("{}: its times run out of range at frame {}; convert the file", input.name(), frames);
  return *time;
}

void VideoReader::Impl::convert(const AVFrame& from, std::int64_t at, Frame& frame) {
  frame.width = info.width;
  frame.height = info.height;
  frame.time = at;
  converter.convert(from, orientation, frame.rgb);
}

VideoReader::VideoReader(const std::filesystem::path& path, const VideoLimits& limits)
    : VideoReader(video_file(path), limits) {}
VideoReader::VideoReader(VideoBytes bytes, const VideoLimits& limits)
    : impl_(std::make_unique<Impl>(std::move(bytes), limits)) {}
VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader& VideoReader::operator=(VideoReader&&) noexcept = default;

const VideoInfo& VideoReader::info() const { return impl_->info; }

bool VideoReader::next(Frame& frame) {
  if (!impl_->advance()) return false;
  impl_->convert(*impl_->picture, impl_->time(), frame);
  return true;
}

bool VideoReader::skip() {
  if (!impl_->advance()) return false;
  impl_->time();
  return true;
}

bool VideoReader::hold() {
  if (!impl_->advance()) return false;
  Impl::Held held{Libav<AVFrame>(av_frame_alloc()), impl_->time()};
  libav_allocated(held.picture.get());
  av_frame_move_ref(held.picture.get(), impl_->picture.get());
  for (const AVBufferRef* buffer : held.picture->buf)
    if (buffer != nullptr) impl_->held_bytes += buffer->size;
  impl_->held.push_back(std::move(held));
  return true;
}

void VideoReader::show(std::size_t number, Frame& frame) {
  check(number < impl_->held.size(), "{}: frame {} is not held, {} are", impl_->input.name(), number,
        impl_->held.size());
  impl_->convert(*impl_->held[number].picture, impl_->held[number].time, frame);
}

std::size_t VideoReader::held_bytes() const { return impl_->held_bytes; }

void VideoReader::drop_held() {
  impl_->held.clear();
  impl_->held_bytes = 0;
}

std::int64_t VideoReader::damaged() const { return impl_->damaged; }
const std::string& VideoReader::damage() const { return impl_->damage; }
std::int64_t VideoReader::repaired_times() const { return impl_->clock.repaired(); }

}  // namespace stp

#include "data/video_encoder.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "engine/check.h"

namespace stp {
namespace {

// The H.264 unit that holds remarks: x264's own version and settings.
constexpr const char* kRemarkUnits = "6";

Libav<AVFrame> blank_frame(AVPixelFormat format, int width, int height) {
  Libav<AVFrame> frame(av_frame_alloc());
  libav_allocated(frame.get());
  frame->format = format;
  frame->width = width;
  frame->height = height;
  if (av_frame_get_buffer(frame.get(), 0) < 0) libav_allocated(nullptr);
  // The padding too: nothing that was in memory before may be near the picture.
  for (int plane = 0; plane < AV_NUM_DATA_POINTERS && frame->buf[plane] != nullptr; ++plane)
    std::memset(frame->buf[plane]->data, 0, static_cast<std::size_t>(frame->buf[plane]->size));
  return frame;
}

AVPixelFormat coded_format(const VideoSpec& spec) {
  if (spec.lossless) return AV_PIX_FMT_RGB24;
  return spec.width % 2 == 0 && spec.height % 2 == 0 ? AV_PIX_FMT_YUV420P : AV_PIX_FMT_YUV444P;
}

}  // namespace

VideoEncoder::VideoEncoder(const VideoSpec& spec) {
  prepare_libav();
  open(spec);
  open_cleaner();
  rgb_ = blank_frame(AV_PIX_FMT_RGB24, spec.width, spec.height);
  if (!spec.lossless) open_scaler(spec);
}

void VideoEncoder::check_code(int code, const char* stage) const {
  if (code < 0) fail("H.264 encoder: {}: {}", stage, libav_message(code, log_));
}

void VideoEncoder::open(const VideoSpec& spec) {
  const char* name = spec.lossless ? "libx264rgb" : "libx264";
  const AVCodec* codec = avcodec_find_encoder_by_name(name);
  if (codec == nullptr) fail("this machine's FFmpeg has no encoder {}; install FFmpeg with x264", name);
  encoder_.reset(avcodec_alloc_context3(codec));
  libav_allocated(encoder_.get());
  AVCodecContext& encoder = *encoder_;
  encoder.opaque = &log_;
  encoder.width = spec.width;
  encoder.height = spec.height;
  encoder.pix_fmt = coded_format(spec);
  // The rate is a hint for players and rate control; a coarse fraction will do.
  AVRational rate{25, 1};
  if (spec.frame_rate.num > 0)
    av_reduce(&rate.num, &rate.den, spec.frame_rate.num, spec.frame_rate.den, 1'000'000);
  if (rate.num <= 0 || rate.den <= 0) rate = {25, 1};
  encoder.framerate = rate;
  encoder.time_base = av_inv_q(rate);
  av_reduce(&encoder.sample_aspect_ratio.num, &encoder.sample_aspect_ratio.den, spec.pixel_aspect.num,
            spec.pixel_aspect.den, UINT16_MAX);
  encoder.color_primaries = AVCOL_PRI_BT709;
  encoder.color_trc = AVCOL_TRC_BT709;
  encoder.colorspace = spec.lossless ? AVCOL_SPC_RGB : AVCOL_SPC_BT709;
  encoder.color_range = spec.lossless ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  if (encoder.pix_fmt == AV_PIX_FMT_YUV420P) encoder.chroma_sample_location = AVCHROMA_LOC_CENTER;
  encoder.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  encoder.max_b_frames = 0;
  encoder.thread_count = 1;  // the same bytes everywhere, as is cpu-independent
  LibavOptions options;
  options.set("preset", "veryfast");
  options.set("a53cc", "0");
  options.set("x264-params", "cpu-independent=1");
  options.set(spec.lossless ? "qp" : "crf", std::int64_t{spec.lossless ? 0 : spec.quality});
  check_code(avcodec_open2(&encoder, codec, options.address()), "open");
  if (!options.left().empty())
    fail("H.264 encoder: this machine's FFmpeg does not know its option {}", options.left());
}

void VideoEncoder::open_cleaner() {
  const AVBitStreamFilter* filter = av_bsf_get_by_name("filter_units");
  if (filter == nullptr)
    fail("this machine's FFmpeg has no bit stream filter filter_units; install a complete FFmpeg");
  AVBSFContext* cleaner = nullptr;
  check_code(av_bsf_alloc(filter, &cleaner), "filter");
  cleaner_.reset(cleaner);
  check_code(av_opt_set(cleaner->priv_data, "remove_types", kRemarkUnits, 0), "filter");
  check_code(avcodec_parameters_from_context(cleaner->par_in, encoder_.get()), "filter");
  cleaner->time_base_in = encoder_->time_base;
  check_code(av_bsf_init(cleaner), "filter");
}

void VideoEncoder::open_scaler(const VideoSpec& spec) {
  const AVPixelFormat format = coded_format(spec);
  picture_ = blank_frame(format, spec.width, spec.height);
  scaler_.reset(sws_alloc_context());
  libav_allocated(scaler_.get());
  SwsContext* scaler = scaler_.get();
  av_opt_set_int(scaler, "srcw", spec.width, 0);
  av_opt_set_int(scaler, "srch", spec.height, 0);
  av_opt_set_int(scaler, "dstw", spec.width, 0);
  av_opt_set_int(scaler, "dsth", spec.height, 0);
  av_opt_set_int(scaler, "src_format", AV_PIX_FMT_RGB24, 0);
  av_opt_set_int(scaler, "dst_format", format, 0);
  av_opt_set_int(scaler, "src_range", 1, 0);
  av_opt_set_int(scaler, "dst_range", 0, 0);
  if (format == AV_PIX_FMT_YUV420P) {
    // A chroma sample is the mean of its own four pixels: a black tubelet stays black beside a coloured one.
    av_opt_set_int(scaler, "dst_h_chr_pos", 128, 0);
    av_opt_set_int(scaler, "dst_v_chr_pos", 128, 0);
  }
  av_opt_set(scaler, "sws_dither", "none", 0);
  av_opt_set_int(scaler, "sws_flags", SWS_AREA | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP | SWS_BITEXACT, 0);
  check_code(sws_init_context(scaler, nullptr, nullptr), "conversion from RGB");
  sws_setColorspaceDetails(scaler, sws_getCoefficients(SWS_CS_DEFAULT), 1, sws_getCoefficients(SWS_CS_ITU709),
                           0, 0, 1 << 16, 1 << 16);
}

void VideoEncoder::encode(std::span<const std::uint8_t> rgb) {
  const int width = encoder_->width, height = encoder_->height;
  check_code(av_frame_make_writable(rgb_.get()), "picture");
  for (int y = 0; y < height; ++y)
    std::copy_n(rgb.data() + std::ptrdiff_t{y} * width * 3, width * 3,
                rgb_->data[0] + std::ptrdiff_t{y} * rgb_->linesize[0]);
  AVFrame* picture = rgb_.get();
  if (scaler_) {
    picture = picture_.get();
    check_code(av_frame_make_writable(picture), "picture");
    if (sws_scale(scaler_.get(), rgb_->data, rgb_->linesize, 0, height, picture->data, picture->linesize) !=
        height)
      fail("H.264 encoder: conversion from RGB stopped early");
  }
  picture->pts = frames_++;
  check_code(avcodec_send_frame(encoder_.get(), picture), "encode");
}

void VideoEncoder::drain() { check_code(avcodec_send_frame(encoder_.get(), nullptr), "end"); }

bool VideoEncoder::receive(AVPacket& packet) {
  for (;;) {
    const int cleaned = av_bsf_receive_packet(cleaner_.get(), &packet);
    if (cleaned >= 0) return true;
    if (cleaned != AVERROR(EAGAIN)) check_code(cleaned, "filter");
    const int code = avcodec_receive_packet(encoder_.get(), &packet);
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return false;
    check_code(code, "encode");
    check_code(av_bsf_send_packet(cleaner_.get(), &packet), "filter");
  }
}

}  // namespace stp

#include "data/video_support.h"

#include <fmt/format.h>

#include <array>

#include "data/libav.h"

namespace stp {

namespace {

std::string version_text(const char* name, unsigned version) {
  return fmt::format("{} {}.{}.{}", name, AV_VERSION_MAJOR(version), AV_VERSION_MINOR(version),
                     AV_VERSION_MICRO(version));
}

// What cameras, phones and published data sets write.
constexpr std::array kCommon = {AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,       AV_CODEC_ID_VP8,
                                AV_CODEC_ID_VP9,        AV_CODEC_ID_AV1,        AV_CODEC_ID_MPEG4,
                                AV_CODEC_ID_MJPEG,      AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_GIF,
                                AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_FFV1};

}  // namespace

VideoSupport video_support() {
  prepare_libav();
  VideoSupport support;
  support.libraries =
      fmt::format("{}, {}, {}", version_text("libavformat", avformat_version()),
                  version_text("libavcodec", avcodec_version()), version_text("libswscale", swscale_version()));
  for (const AVCodecID id : kCommon)
    (avcodec_find_decoder(id) ? support.decoders : support.missing).emplace_back(avcodec_get_name(id));
  support.writes = avcodec_find_encoder_by_name("libx264") && avcodec_find_encoder_by_name("libx264rgb");
  return support;
}

}  // namespace stp

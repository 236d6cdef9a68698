// 4:2:0 pictures to RGB: against FFmpeg's scaler, bit for bit, and against their definition.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/libav.h"
#include "data/picture.h"
#include "engine/rng.h"

namespace stp {
namespace {

// A picture with planes of its own, and room at the end of the rows as decoders leave it.
struct Planes {
  int width, height, stride;
  std::vector<std::uint8_t> y, u, v;

  Planes(int w, int h) : width(w), height(h), stride(w + 32) {
    const auto bytes = static_cast<std::size_t>(stride) * static_cast<std::size_t>(h);
    y.resize(bytes);
    u.resize(bytes);
    v.resize(bytes);
  }
  // Every value from low to high equally often.
  void fill(std::uint64_t seed, int low, int high) {
    Random random(seed, stream_id("planes"));
    for (auto* plane : {&y, &u, &v})
      for (auto& value : *plane)
        value = static_cast<std::uint8_t>(
            low + static_cast<int>(random.below(static_cast<std::uint64_t>(high - low + 1))));
  }
};

std::vector<std::uint8_t> by_library(const Planes& p, int matrix, bool full, int siting) {
  Libav<SwsContext> scaler(sws_alloc_context());
  const auto set = [&](const char* key, std::int64_t value) { av_opt_set_int(scaler.get(), key, value, 0); };
  set("srcw", p.width);
  set("srch", p.height);
  set("dstw", p.width);
  set("dsth", p.height);
  set("src_format", AV_PIX_FMT_YUV420P);
  set("dst_format", AV_PIX_FMT_RGB24);
  set("src_range", full);
  set("src_h_chr_pos", siting);
  set("src_v_chr_pos", siting == -513 ? -513 : 128);
  set("sws_flags", SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT);
  av_opt_set(scaler.get(), "sws_dither", "none", 0);
  REQUIRE(sws_init_context(scaler.get(), nullptr, nullptr) >= 0);
  sws_setColorspaceDetails(scaler.get(), sws_getCoefficients(matrix), full, sws_getCoefficients(SWS_CS_DEFAULT),
                           1, 0, 1 << 16, 1 << 16);
  const std::array<const std::uint8_t*, 4> from{p.y.data(), p.u.data(), p.v.data(), nullptr};
  const std::array<int, 4> strides{p.stride, p.stride, p.stride, 0};
  const int out_stride = 3 * p.width + 64;
  std::vector<std::uint8_t> out(static_cast<std::size_t>(out_stride) * static_cast<std::size_t>(p.height) + 64);
  const std::array<std::uint8_t*, 4> to{out.data(), nullptr, nullptr, nullptr};
  const std::array<int, 4> to_strides{out_stride, 0, 0, 0};
  REQUIRE(sws_scale(scaler.get(), from.data(), strides.data(), 0, p.height, to.data(), to_strides.data()) ==
          p.height);
  std::vector<std::uint8_t> rgb;
  for (int y = 0; y < p.height; ++y)
    rgb.insert(rgb.end(), out.begin() + std::ptrdiff_t{y} * out_stride,
               out.begin() + std::ptrdiff_t{y} * out_stride + 3 * p.width);
  return rgb;
}

// As decoders deliver them: the way from a frame to RGB that all footage goes.
std::vector<std::uint8_t> converted(Planes& p, AVColorSpace matrix, bool full, AVChromaLocation siting) {
  const Libav<AVFrame> frame(av_frame_alloc());
  REQUIRE(frame != nullptr);
  frame->format = AV_PIX_FMT_YUV420P;
  frame->width = p.width;
  frame->height = p.height;
  frame->colorspace = matrix;
  frame->color_range = full ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  frame->chroma_location = siting;
  std::size_t i = 0;
  for (auto* plane : {&p.y, &p.u, &p.v}) {
    frame->data[i] = plane->data();
    frame->linesize[i++] = p.stride;
  }
  std::vector<std::uint8_t> rgb;
  PictureConverter("planes").convert(*frame, {}, rgb);
  return rgb;
}

struct Matrix {
  AVColorSpace stream;
  int library;
};
struct Place {
  AVChromaLocation stream;
  int library;
};
constexpr std::array<Matrix, 5> kMatrices{{{AVCOL_SPC_UNSPECIFIED, SWS_CS_ITU601},
                                           {AVCOL_SPC_BT709, SWS_CS_ITU709},
                                           {AVCOL_SPC_FCC, SWS_CS_FCC},
                                           {AVCOL_SPC_SMPTE240M, SWS_CS_SMPTE240M},
                                           {AVCOL_SPC_BT2020_NCL, SWS_CS_BT2020}}};
constexpr std::array<Place, 3> kPlaces{
    {{AVCHROMA_LOC_UNSPECIFIED, -513}, {AVCHROMA_LOC_LEFT, 0}, {AVCHROMA_LOC_CENTER, 128}}};

TEST_CASE("yuv420: the pixels are those of FFmpeg's scaler") {
  std::uint64_t seed = 0;
  for (const auto& [width, height] : {std::pair{16, 16},
                                      {18, 16},
                                      {20, 22},
                                      {34, 18},
                                      {64, 64},
                                      {112, 112},
                                      {320, 240},
                                      {330, 18},
                                      {1918, 20}})
    for (const Matrix& matrix : kMatrices)
      for (const bool full : {false, true})
        for (const Place& place : kPlaces) {
          CAPTURE(width);
          CAPTURE(height);
          CAPTURE(matrix.library);
          CAPTURE(full);
          CAPTURE(place.library);
          Planes planes(width, height);
          planes.fill(++seed, 0, 235);  // above, the library's sums may leave 32 bits
          CHECK(converted(planes, matrix.stream, full, place.stream) ==
                by_library(planes, matrix.library, full, place.library));
        }
}

TEST_CASE("yuv420: grey is grey, and colours beyond the range are clipped, the lightest too") {
  for (const bool full : {false, true}) {
    Planes planes(36, 18);
    const auto pixels = [&] { return converted(planes, AVCOL_SPC_UNSPECIFIED, full, AVCHROMA_LOC_CENTER); };
    std::ranges::fill(planes.u, std::uint8_t{128});
    std::ranges::fill(planes.v, std::uint8_t{128});
    for (int level = 0; level < 256; ++level) {
      std::ranges::fill(planes.y, static_cast<std::uint8_t>(level));
      const double wanted = full ? level : (level - 16) * 255.0 / 219;
      const auto rgb = pixels();
      CHECK(std::abs(std::clamp(wanted, 0.0, 255.0) - rgb.front()) <= 0.51);
      CHECK(std::ranges::all_of(rgb, [&](std::uint8_t value) { return value == rgb.front(); }));
    }
    for (auto* plane : {&planes.y, &planes.u, &planes.v}) std::ranges::fill(*plane, std::uint8_t{255});
    const auto rgb = pixels();
    CHECK((rgb[0] == 255 && rgb[2] == 255));
  }
}

}  // namespace
}  // namespace stp

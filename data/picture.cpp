#include "data/picture.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "data/yuv420.h"
#include "engine/check.h"

namespace stp {
namespace {

// Formats named after JPEG are plain ones with full range.
AVPixelFormat plain_format(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    default:
      return format;
  }
}

bool full_range(const AVFrame& picture) {
  const auto format = static_cast<AVPixelFormat>(picture.format);
  if (picture.color_range != AVCOL_RANGE_UNSPECIFIED) return picture.color_range == AVCOL_RANGE_JPEG;
  const bool grey = av_pix_fmt_count_planes(format) == 1 && av_pix_fmt_desc_get(format)->nb_components <= 2;
  return grey || plain_format(format) != format;
}

// The scaler's name of a colour matrix.
int matrix_of(const AVFrame& picture, const std::string& name) {
  switch (picture.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
      return SWS_CS_BT2020;
    case AVCOL_SPC_RGB:  // says nothing about a format that is not RGB
    case AVCOL_SPC_UNSPECIFIED:
    case AVCOL_SPC_RESERVED:
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    default: {
      const char* known = av_color_space_name(picture.colorspace);
      refuse("{}: colour matrix {} has no conversion to RGB here; convert the file to bt709", name,
             known == nullptr ? fmt::to_string(static_cast<int>(picture.colorspace)) : known);
    }
  }
}

// Where a chroma sample sits within its block of luma samples, in 1/256 of a luma sample; kLibrary lets the
// library choose, as it must where chroma is not reduced.
constexpr int kLibrary = -513;
struct Siting {
  int x = kLibrary, y = kLibrary;
};

Siting siting_of(const AVFrame& picture, const AVPixFmtDescriptor& format) {
  Siting siting;
  switch (picture.chroma_location) {
    case AVCHROMA_LOC_LEFT:
      siting = {0, 128};
      break;
    case AVCHROMA_LOC_CENTER:
      siting = {128, 128};
      break;
    case AVCHROMA_LOC_TOPLEFT:
      siting = {0, 0};
      break;
    case AVCHROMA_LOC_TOP:
      siting = {128, 0};
      break;
    case AVCHROMA_LOC_BOTTOMLEFT:
      siting = {0, 256};
      break;
    case AVCHROMA_LOC_BOTTOM:
      siting = {128, 256};
      break;
    default:
      break;
  }
  if (format.log2_chroma_w == 0) siting.x = kLibrary;
  if (format.log2_chroma_h == 0) siting.y = kLibrary;
  return siting;
}

// Pictures that yuv420.h converts. False for those that the library has to.
bool planes_of(const AVFrame& picture, Yuv420& planes) {
  const Siting siting = siting_of(picture, *av_pix_fmt_desc_get(AV_PIX_FMT_YUV420P));
  const bool known =
      (siting.x == kLibrary || siting.x == 0 || siting.x == 128) && (siting.y == kLibrary || siting.y == 128);
  constexpr int kLeast = 16;  // the library has other rules for pictures of a few rows or columns
  const int width = picture.width, height = picture.height;
  if (plain_format(static_cast<AVPixelFormat>(picture.format)) != AV_PIX_FMT_YUV420P || !known) return false;
  if (width % 2 != 0 || height % 2 != 0 || width < kLeast || height < kLeast) return false;
  planes = {width,
            height,
            picture.data[0],
            picture.data[1],
            picture.data[2],
            picture.linesize[0],
            picture.linesize[1],
            picture.linesize[2],
            siting.x != 0};  // the library's choice is the centre
  return true;
}

// The library's weights of a colour matrix, rounded as it rounds them: from 2^-16 to 2^-13.
ColourWeights weights_of(int matrix, bool full) {
  const int* table = sws_getCoefficients(matrix);
  const auto weight = [](std::int64_t value) {
    return static_cast<std::int32_t>((value * 8192 + 32768) >> 16);
  };
  const auto chroma = [&](std::int64_t value) { return weight(full ? value * 224 / 255 : value); };
  ColourWeights weights;
  weights.black = full ? 0 : 16;
  weights.luma = weight(full ? 65536 : 65536 * 255 / 219);
  weights.red_v = chroma(table[0]);
  weights.blue_u = chroma(table[1]);
  weights.green_u = chroma(-table[2]);
  weights.green_v = chroma(-table[3]);
  return weights;
}

// Copies the RGB rows of a picture, `stride` bytes apart, to where the orientation shows them.
void turn_into(const std::uint8_t* from, std::ptrdiff_t stride, const AVFrame& picture, const Orientation& turn,
               std::uint8_t* rgb) {
  const std::ptrdiff_t width = picture.width, height = picture.height;
  if (turn == Orientation{}) {
    for (std::ptrdiff_t y = 0; y < height; ++y) std::copy_n(from + y * stride, 3 * width, rgb + y * 3 * width);
    return;
  }
  const std::ptrdiff_t out_width = turn.transposed ? height : width,
                       out_height = turn.transposed ? width : height;
  // Source pixel (x, y) lands at origin + x step_x + y step_y.
  const std::ptrdiff_t column = turn.reverse_x ? -3 : 3, row = (turn.reverse_y ? -3 : 3) * out_width;
  const std::ptrdiff_t step_x = turn.transposed ? row : column, step_y = turn.transposed ? column : row;
  std::uint8_t* origin = rgb + (turn.reverse_x ? 3 * (out_width - 1) : 0) +
                         (turn.reverse_y ? 3 * out_width * (out_height - 1) : 0);
  for (std::ptrdiff_t y = 0; y < height; ++y)
    for (std::ptrdiff_t x = 0; x < width; ++x)
      std::copy_n(from + y * stride + 3 * x, 3, origin + x * step_x + y * step_y);
}

}  // namespace

int Orientation::rotation() const {
  if (!transposed) return reverse_y ? 180 : 0;
  return reverse_x ? 90 : 270;
}

bool Orientation::mirrored() const { return transposed ? reverse_x == reverse_y : reverse_x != reverse_y; }

bool orientation_of(std::span<const std::int32_t, 9> matrix, Orientation& orientation) {
  // x' = a x + c y, y' = b x + d y: one of (a, d) and (b, c) must be nothing, the other one far from it.
  const std::int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  const std::int64_t straight = std::min(std::abs(a), std::abs(d)),
                     crossed = std::min(std::abs(b), std::abs(c));
  const std::int64_t slack = std::max(straight, crossed) / 256;
  if (straight > 0 && std::max(std::abs(b), std::abs(c)) <= slack) {
    orientation = {false, a < 0, d < 0};
    return true;
  }
  if (crossed > 0 && std::max(std::abs(a), std::abs(d)) <= slack) {
    orientation = {true, c < 0, b < 0};
    return true;
  }
  return false;
}

void PictureConverter::prepare(const AVFrame& picture) {
  const auto format = plain_format(static_cast<AVPixelFormat>(picture.format));
  const bool yuv = (av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_RGB) == 0;
  const int matrix = yuv ? matrix_of(picture, name_) : SWS_CS_ITU601;
  const int full = yuv && full_range(picture) ? 1 : 0;
  const std::array<int, 6> wanted{picture.width, picture.height, format, matrix, full, picture.chroma_location};
  if (scaler_ && wanted == prepared_) return;
  if (sws_isSupportedInput(format) == 0)
    refuse("{}: pixel format {} has no conversion to RGB; convert the file to yuv420p", name_,
           av_get_pix_fmt_name(format));
  scaler_.reset(sws_alloc_context());
  libav_allocated(scaler_.get());
  const Siting siting = siting_of(picture, *av_pix_fmt_desc_get(format));
  SwsContext* scaler = scaler_.get();
  av_opt_set_int(scaler, "srcw", picture.width, 0);
  av_opt_set_int(scaler, "srch", picture.height, 0);
  av_opt_set_int(scaler, "dstw", picture.width, 0);
  av_opt_set_int(scaler, "dsth", picture.height, 0);
  av_opt_set_int(scaler, "src_format", format, 0);
  av_opt_set_int(scaler, "dst_format", AV_PIX_FMT_RGB24, 0);
  av_opt_set_int(scaler, "src_range", full, 0);
  av_opt_set_int(scaler, "src_h_chr_pos", siting.x, 0);
  av_opt_set_int(scaler, "src_v_chr_pos", siting.y, 0);
  av_opt_set(scaler, "sws_dither", "none", 0);
  av_opt_set_int(scaler, "sws_flags", SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT, 0);
  if (sws_init_context(scaler, nullptr, nullptr) < 0)
    refuse("{}: pixel format {} at {}x{} has no conversion to RGB; convert the file to yuv420p", name_,
           av_get_pix_fmt_name(format), picture.width, picture.height);
  sws_setColorspaceDetails(scaler, sws_getCoefficients(matrix), full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
                           1 << 16, 1 << 16);
  upright_.reset(av_frame_alloc());
  libav_allocated(upright_.get());
  upright_->format = AV_PIX_FMT_RGB24;
  upright_->width = picture.width;
  upright_->height = picture.height;
  if (av_frame_get_buffer(upright_.get(), 0) < 0) libav_allocated(nullptr);
  prepared_ = wanted;
}

void PictureConverter::convert(const AVFrame& picture, const Orientation& turn,
                               std::vector<std::uint8_t>& rgb) {
  const std::size_t bytes =
      std::size_t{3} * static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height);
  rgb.resize(bytes);
  Yuv420 planes;
  if (planes_of(picture, planes)) {
    const ColourWeights weights = weights_of(matrix_of(picture, name_), full_range(picture));
    const bool turned = turn != Orientation{};
    if (turned) upright_rgb_.resize(bytes);
    yuv420_to_rgb(planes, weights, turned ? upright_rgb_.data() : rgb.data());
    if (turned) turn_into(upright_rgb_.data(), std::ptrdiff_t{3} * picture.width, picture, turn, rgb.data());
    return;
  }
  prepare(picture);
  if (sws_scale(scaler_.get(), picture.data, picture.linesize, 0, picture.height, upright_->data,
                upright_->linesize) != picture.height)
    fail("{}: conversion to RGB stopped early", name_);
  turn_into(upright_->data[0], upright_->linesize[0], picture, turn, rgb.data());
}

}  // namespace stp

// From a decoded picture of any pixel format to RGB as it is shown: colour matrix and range, then rotation. For
// the data room's own files.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/libav.h"
#include "data/video.h"

namespace stp {

// One of the eight ways to turn a picture: source pixel (x, y) goes to column x (or y, if transposed) and row y
// (or x), counted from the far end where reversed.
struct Orientation {
  bool transposed = false, reverse_x = false, reverse_y = false;
  bool operator==(const Orientation&) const = default;

  int rotation() const;   // degrees clockwise
  bool mirrored() const;  // left and right exchanged before the rotation
};

// The orientation of a display matrix (nine fixed-point numbers as ISO 14496-12 has them). False if it is not
// one of the eight.
bool orientation_of(std::span<const std::int32_t, 9> matrix, Orientation& orientation);

// Converts with 32-bit accuracy and the same bits on every processor. The matrix is the stream's; where it
// names none, BT.601, as FFmpeg's own tools take it. Range: the stream's; unnamed is limited, for grey and JPEG
// formats full.
class PictureConverter {
 public:
  explicit PictureConverter(std::string name) : name_(std::move(name)) {}  // of the file, for messages

  // `rgb` becomes (height, width, 3) after the orientation. Throws Error (usage) for a format without a
  // conversion.
  void convert(const AVFrame& picture, const Orientation& orientation, std::vector<std::uint8_t>& rgb);

 private:
  void prepare(const AVFrame& picture);

  std::string name_;
  std::array<int, 6> prepared_{};  // what scaler_ was made for
  Libav<SwsContext> scaler_;
  Libav<AVFrame> upright_;  // the library may write past the end of a row, so not straight into rgb
  std::vector<std::uint8_t> upright_rgb_;  // before it is turned
};

}  // namespace stp

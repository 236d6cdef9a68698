// What is done to single pictures: the decision painted into one of any size, and how like the original the
// redrawn parts are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stp {

// Blackens what lies under dropped tubelets in pictures of one size. A pixel that touches a dropped tubelet at
// all is black, so that scaling lets nothing through.
class Blackener {
 public:
  // Pictures of height x width under a grid of rows x columns tubelets. All sizes are positive.
  Blackener(int rows, int columns, int height, int width);

  // keep: (rows, columns), 0 is dropped. rgb: (height, width, 3).
  void operator()(std::span<const std::uint8_t> keep, std::span<std::uint8_t> rgb) const;

 private:
  // The rows or columns of tubelets that a row or column of pixels touches.
  struct Touch {
    int first = 0, last = 0;
  };
  static std::vector<Touch> touches(int cells, int pixels);

  int columns_;
  std::vector<Touch> y_, x_;
};

// How like the original the redrawn parts of a video are: the peak signal-to-noise ratio over kept tubelets.
class Likeness {
 public:
  // One frame: before and after (height, width, 3), keep (rows, columns), which divide height and width.
  void add(std::span<const std::uint8_t> before, std::span<const std::uint8_t> after,
           std::span<const std::uint8_t> keep, int width, int columns);
  // Decibels over everything added: infinite if it is all the same, 0 if nothing was kept.
  double psnr() const;

 private:
  double squares_ = 0;
  std::int64_t values_ = 0;
};

// A preview's three panes side by side: the picture, the picture with what is dropped darkened, the result.
// All (height, width, 3); returns (height, 3 width, 3).
std::vector<std::uint8_t> side_by_side(std::span<const std::uint8_t> before,
                                       std::span<const std::uint8_t> after, std::span<const std::uint8_t> keep,
                                       int width, int columns);

}  // namespace stp

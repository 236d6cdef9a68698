// Pictures: what is black under a dropped tubelet, and how like the original a picture is.
#include "tools/anonymise/picture.h"

#include <doctest/doctest.h>

#include <cmath>

namespace stp {
namespace {

TEST_CASE("blackener: a pixel is black exactly if it overlaps a dropped tubelet") {
  const int rows = 3, columns = 4;
  const std::vector<std::uint8_t> keep = {1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1};
  for (const auto& [height, width] : {std::pair{3, 4}, {30, 40}, {31, 45}, {7, 5}, {2, 3}, {1, 1}}) {
    CAPTURE(height);
    CAPTURE(width);
    std::vector<std::uint8_t> rgb(std::size_t(height) * std::size_t(width) * 3, 200);
    Blackener(rows, columns, height, width)(keep, rgb);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        bool touched = false;  // by areas: the overlap of pixel and tubelet, in fractions of the picture
        for (int r = 0; r < rows; ++r) {
          for (int c = 0; c < columns; ++c) {
            const bool over_y = y * rows < (r + 1) * height && r * height < (y + 1) * rows;
            const bool over_x = x * columns < (c + 1) * width && c * width < (x + 1) * columns;
            touched = touched || (over_y && over_x && keep[std::size_t(r * columns + c)] == 0);
          }
        }
        for (std::size_t i = 0; i < 3; ++i)
          REQUIRE(rgb[(std::size_t(y) * std::size_t(width) + std::size_t(x)) * 3 + i] == (touched ? 0 : 200));
      }
    }
  }
}

TEST_CASE("likeness: decibels over kept tubelets only") {
  const std::vector<std::uint8_t> keep = {1, 0};
  const std::vector<std::uint8_t> before(4 * 2 * 3, 100);  // 4 columns, 2 rows: two tubelets of 2 x 2
  std::vector<std::uint8_t> after = before;
  for (const std::size_t row : {0, 1})
    for (const std::size_t i : {6, 7, 8, 9, 10, 11}) after[row * 12 + i] = 0;  // the dropped one
  Likeness same;
  CHECK(same.psnr() == 0);
  same.add(before, after, keep, 4, 2);
  CHECK(std::isinf(same.psnr()));
  after[0] = 112;  // squared error 144 over 12 values
  Likeness close;
  close.add(before, after, keep, 4, 2);
  CHECK(close.psnr() == doctest::Approx(10 * std::log10(255.0 * 255.0 / 12)));
  close.add(before, before, keep, 4, 2);  // over all frames, not the mean of their decibels
  CHECK(close.psnr() == doctest::Approx(10 * std::log10(255.0 * 255.0 / 6)));
}

TEST_CASE("preview: before, decision and after stand side by side") {
  const std::vector<std::uint8_t> keep = {1, 0};
  const std::vector<std::uint8_t> before(4 * 2 * 3, 100), after(4 * 2 * 3, 9);
  const auto all = side_by_side(before, after, keep, 4, 2);
  REQUIRE(all.size() == 3 * before.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t column = i / 3 % 12;
    CHECK(all[i] == (column < 6 ? 100 : (column < 8 ? 25 : 9)));
  }
}

}  // namespace
}  // namespace stp

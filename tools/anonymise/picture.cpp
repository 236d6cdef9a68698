#include "tools/anonymise/picture.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace stp {

namespace {

// Where the tubelet of each pixel stands in `keep`, for pictures of whole tubelets.
struct Grid {
  std::size_t width, height, x, y, columns;

  Grid(std::size_t bytes, std::size_t cells, int picture_width, int grid_columns)
      : width(std::size_t(picture_width)),
        height(bytes / 3 / width),
        x(width / std::size_t(grid_columns)),
        y(height / (cells / std::size_t(grid_columns))),
        columns(std::size_t(grid_columns)) {}
  std::size_t cell(std::size_t row, std::size_t column) const { return row / y * columns + column / x; }
};

}  // namespace

Blackener::Blackener(int rows, int columns, int height, int width)
    : columns_(columns), y_(touches(rows, height)), x_(touches(columns, width)) {}

// Pixel i covers [i, i + 1) of `pixels`, cell j [j, j + 1) pixels / cells.
std::vector<Blackener::Touch> Blackener::touches(int cells, int pixels) {
  std::vector<Touch> all;
  for (std::int64_t i = 0; i < pixels; ++i) {
    const std::int64_t begin = i * cells, end = begin + cells;
    all.push_back({static_cast<int>(begin / pixels), static_cast<int>((end - 1) / pixels)});
  }
  return all;
}

void Blackener::operator()(std::span<const std::uint8_t> keep, std::span<std::uint8_t> rgb) const {
  const std::size_t width = x_.size();
  std::vector<std::uint8_t> kept(static_cast<std::size_t>(columns_));  // of all tubelet rows this line touches
  for (std::size_t row = 0; row < y_.size(); ++row) {
    std::ranges::fill(kept, std::uint8_t{1});
    for (int cell_row = y_[row].first; cell_row <= y_[row].last; ++cell_row)
      for (int column = 0; column < columns_; ++column)
        kept[std::size_t(column)] &= keep[std::size_t(cell_row) * kept.size() + std::size_t(column)];
    for (std::size_t column = 0; column < width; ++column) {
      const auto first = kept.begin() + x_[column].first, last = kept.begin() + x_[column].last;
      if (std::find(first, last + 1, 0) == last + 1) continue;
      std::fill_n(rgb.data() + (row * width + column) * 3, 3, std::uint8_t{0});
    }
  }
}

void Likeness::add(std::span<const std::uint8_t> before, std::span<const std::uint8_t> after,
                   std::span<const std::uint8_t> keep, int width, int columns) {
  const Grid grid(before.size(), keep.size(), width, columns);
  std::int64_t squares = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::size_t pixel = i / 3;
    if (keep[grid.cell(pixel / grid.width, pixel % grid.width)] == 0) continue;
    const std::int64_t difference = std::int64_t{before[i]} - after[i];
    squares += difference * difference;
    ++values_;
  }
  squares_ += static_cast<double>(squares);
}

double Likeness::psnr() const {
  if (values_ == 0) return 0;
  if (squares_ == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(values_) / squares_);
}

std::vector<std::uint8_t> side_by_side(std::span<const std::uint8_t> before,
                                       std::span<const std::uint8_t> after, std::span<const std::uint8_t> keep,
                                       int width, int columns) {
  constexpr int kDarkening = 4;
  const Grid grid(before.size(), keep.size(), width, columns);
  std::vector<std::uint8_t> out(before.size() * 3);
  const std::size_t line = grid.width * 3;
  for (std::size_t row = 0; row < grid.height; ++row) {
    for (std::size_t i = 0; i < line; ++i) {
      std::uint8_t* to = out.data() + row * line * 3 + i;
      const std::uint8_t value = before[row * line + i];
      const bool kept = keep[grid.cell(row, i / 3)] != 0;
      to[0] = value;
      to[line] = kept ? value : static_cast<std::uint8_t>(value / kDarkening);
      to[2 * line] = after[row * line + i];
    }
  }
  return out;
}

}  // namespace stp

// A window that slides over the rows and columns of an image: of convolutions and of pooling.
#pragma once

namespace stp {

struct Window {
  int rows, columns;
  int stride = 1;   // from one place to the next, both ways
  int padding = 0;  // rows and columns around the image, on each side

  constexpr int places_Y(int Y) const { return (Y + 2 * padding - rows) / stride + 1; }
  constexpr int places_X(int X) const { return (X + 2 * padding - columns) / stride + 1; }
  constexpr int size() const { return rows * columns; }
};

// The places first .. last - 1 whose windows, `side` long, hold a position of the image, of `places` in all.
struct Places {
  int first, last;
};
constexpr Places places_of(int position, int side, int stride, int padding, int places) {
  const int from = position + padding - side + 1, to = (position + padding) / stride + 1;
  return {from <= 0 ? 0 : (from + stride - 1) / stride, to < places ? to : places};
}

}  // namespace stp

#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "engine/check.h"

namespace stp {
namespace {

constexpr int kOne = 1 << kWeightBits;

// Weights that sum to one, rounded so that they still do: each is the difference of two rounded partial sums.
// `even`: the weights are the same read backwards and must stay so.
std::vector<std::int16_t> quantised(const std::vector<double>& weights, bool even) {
  double sum = 0, part = 0;
  for (const double weight : weights) sum += weight;
  std::vector<std::int16_t> out;
  int before = 0;
  for (const double weight : weights) {
    part += weight;
    const int now = static_cast<int>(std::lround(part / sum * kOne));
    out.push_back(static_cast<std::int16_t>(now - before));
    before = now;
  }
  if (!even) return out;
  const std::size_t count = out.size(), half = count / 2;
  int rest = kOne;
  for (std::size_t k = 0; k < half; ++k) {
    out[count - 1 - k] = out[k];
    rest -= 2 * out[k];
  }
  if (count % 2 == 1) {
    out[half] = static_cast<std::int16_t>(rest);
  } else {
    out[half - 1] = out[half] = static_cast<std::int16_t>(out[half] + rest / 2);
  }
  return out;
}

}  // namespace

Region Region::of(const Crop& crop) {
  return {static_cast<double>(crop.x), static_cast<double>(crop.y), static_cast<double>(crop.width),
          static_cast<double>(crop.height)};
}

Region Region::whole(int height, int width) {
  return {0, 0, static_cast<double>(width), static_cast<double>(height)};
}

// The triangle of half-width `radius` around `centre`, cut to 0 .. pixels. `even`: the interval is the same
// read backwards and so is the triangle.
Taps Resizer::taps_at(double centre, double radius, int pixels, bool even) {
  const auto weight = [&](int t) { return std::max(0.0, 1 - std::abs(t + 0.5 - centre) / radius); };
  int first = std::max(0, static_cast<int>(std::floor(centre - radius + 0.5)));
  int end = std::min(pixels, static_cast<int>(std::floor(centre + radius + 0.5)));
  while (end - first > 1 && weight(first) == 0) ++first;
  while (end - first > 1 && weight(end - 1) == 0) --end;
  std::vector<double> weights;
  for (int t = first; t < end; ++t) weights.push_back(weight(t));
  return {first, quantised(weights, even)};
}

Resizer::Axis Resizer::make_axis(double begin, double extent, int size, int n) {
  const int low = static_cast<int>(std::floor(begin));
  const int high = std::min(size, static_cast<int>(std::ceil(begin + extent)));
  // From here on relative to `low`, so that equal regions at other whole pixels get equal weights.
  const int pixels = high - low;
  const double offset = begin - low, scale = extent / n, radius = std::max(scale, 1.0);
  // If the interval lies evenly on the pixels, output n - 1 - i mirrors output i, exactly.
  const bool even = offset == high - (begin + extent);
  Axis axis;
  for (int i = 0; i < n; ++i) {
    const int twin = n - 1 - i;
    if (even && twin < i) {
      Taps taps = axis[static_cast<std::size_t>(twin)];
      taps.first = pixels - taps.first - static_cast<int>(taps.weights.size());
      std::reverse(taps.weights.begin(), taps.weights.end());
      axis.push_back(std::move(taps));
    } else {
      const bool middle = even && twin == i;
      axis.push_back(taps_at(middle ? pixels / 2.0 : offset + (i + 0.5) * scale, radius, pixels, middle));
    }
  }
  for (Taps& taps : axis) taps.first += low;
  return axis;
}

Resizer::Resizer(int height, int width, const Region& region, int Y, int X, bool flip)
    : height_(height), width_(width), Y_(Y), X_(X) {
  check(height >= 1 && width >= 1 && Y >= 1 && X >= 1, "resize: from {} x {} to {} x {}, wanted at least 1 x 1",
        width, height, X, Y);
  check(region.x >= 0 && region.y >= 0 && region.width > 0 && region.height > 0 &&
            region.x + region.width <= width && region.y + region.height <= height,
        "resize: the region {} x {} at ({}, {}) is empty or leaves the frame of {} x {}", region.width,
        region.height, region.x, region.y, width, height);
  rows_ = make_axis(region.y, region.height, height, Y);
  if (flip) {
    // The mirrored region of the mirrored frame, and then every column read from where the mirror took it.
    columns_ = make_axis(width - (region.x + region.width), region.width, width, X);
    for (Taps& taps : columns_) {
      taps.first = width - taps.first - static_cast<int>(taps.weights.size());
      std::reverse(taps.weights.begin(), taps.weights.end());
    }
  } else {
    columns_ = make_axis(region.x, region.width, width, X);
  }
  low_ = width;
  for (const Taps& taps : columns_) {
    low_ = std::min(low_, taps.first);
    high_ = std::max(high_, taps.first + static_cast<int>(taps.weights.size()));
  }
  line_.resize(static_cast<std::size_t>(high_ - low_) * 3 + 1);
}

void Resizer::operator()(std::span<const std::uint8_t> rgb, std::span<std::uint8_t> out) {
  check(rgb.size() == static_cast<std::size_t>(height_) * width_ * 3 &&
            out.size() == static_cast<std::size_t>(Y_) * X_ * 3,
        "resize: {} bytes in and {} out, wanted {} x {} x 3 and {} x {} x 3", rgb.size(), out.size(), height_,
        width_, Y_, X_);
  const std::ptrdiff_t stride = std::ptrdiff_t{3} * width_, skipped = std::ptrdiff_t{3} * low_;
  const auto line = std::span(line_).first(line_.size() - 1);
  for (int y = 0; y < Y_; ++y) {
    const Taps& row = rows_[static_cast<std::size_t>(y)];
    blend_rows(rgb.data() + row.first * stride + skipped, stride, row.weights, line);
    blend_columns(line_, low_, columns_, out.data() + std::ptrdiff_t{3} * y * X_);
  }
}

void resize(std::span<const std::uint8_t> rgb, int height, int width, const Crop& crop, int Y, int X, bool flip,
            std::span<std::uint8_t> out) {
  Resizer(height, width, Region::of(crop), Y, X, flip)(rgb, out);
}

}  // namespace stp

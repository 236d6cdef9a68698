#include "data/resize_lines.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/resize_lines.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first: it reads this file again for every instruction set.
#include "data/pairs-inl.h"
// pairs-inl.h comes first too, for the same reason.
#include <algorithm>
#include <array>

HWY_BEFORE_NAMESPACE();
namespace stp {
namespace {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kRowShift = kWeightBits - kLineBits, kColumnShift = kWeightBits + kLineBits;

void rows_to_line(const std::uint8_t* rows, std::ptrdiff_t stride, std::span<const std::int16_t> weights,
                  std::span<std::int32_t> line) {
  const hn::ScalableTag<std::int32_t> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const std::size_t lanes = hn::Lanes(d), taps = weights.size();
  std::size_t j = 0;
  for (; j + lanes <= line.size(); j += lanes) {
    const auto pixels = [&](std::size_t row) {
      return hn::PromoteTo(d, hn::LoadU(d8, rows + static_cast<std::ptrdiff_t>(row) * stride + j));
    };
    auto sum = hn::Set(d, 1 << (kRowShift - 1));
    for (std::size_t k = 0; k + 1 < taps; k += 2) {
      const auto pair = paired(d, pixels(k), pixels(k + 1));
      sum = hn::Add(sum, pair_sums(d, pair, hn::Set(d, pair_at(&weights[k]))));
    }
    if (taps % 2 == 1)
      sum = hn::Add(sum, pair_sums(d, pixels(taps - 1), hn::Set(d, paired(weights[taps - 1], 0))));
    hn::StoreU(hn::ShiftRight<kRowShift>(sum), d, line.data() + j);
  }
  for (; j < line.size(); ++j) {
    std::int32_t sum = 1 << (kRowShift - 1);
    const std::uint8_t* from = rows + j;
    for (const std::int16_t weight : weights) {
      sum += weight * *from;
      from += stride;
    }
    line[j] = sum >> kRowShift;
  }
}

// Beside each value of a line the one of the pixel to its right, which columns take together. In place.
void pair_line(std::span<std::int32_t> line) {
  const hn::ScalableTag<std::int32_t> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t j = 0;
  for (; j + 3 + lanes <= line.size(); j += lanes) {
    std::int32_t* const at = line.data() + j;
    hn::StoreU(paired(d, hn::LoadU(d, at), hn::LoadU(d, at + 3)), d, at);
  }
  for (; j + 3 < line.size(); ++j) {
    line[j] = paired(static_cast<std::int16_t>(line[j]), static_cast<std::int16_t>(line[j + 3]));
  }
}

// A pixel is three of four lanes (where there are so many); the fourth is stored too and then written over by
// the next pixel, so the last one goes through a buffer.
void line_to_columns(std::span<std::int32_t> line, int low, std::span<const Taps> columns, std::uint8_t* out) {
  const hn::CappedTag<std::int32_t, 4> d;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  pair_line(line);
  const auto store_pixel = [&](const Taps& column, std::uint8_t* to) {
    const std::size_t taps = column.weights.size();
    const std::int16_t* const weights = column.weights.data();
    for (std::size_t c = 0; c < 3; c += hn::Lanes(d)) {
      auto sum = hn::Set(d, 1 << (kColumnShift - 1));
      const std::int32_t* from = line.data() + std::ptrdiff_t{3} * (column.first - low) + c;
      std::size_t k = 0;
      for (; k + 1 < taps; k += 2, from += 6) {
        sum = hn::Add(sum, pair_sums(d, hn::LoadU(d, from), hn::Set(d, pair_at(weights + k))));
      }
      if (k < taps) sum = hn::Add(sum, pair_sums(d, hn::LoadU(d, from), hn::Set(d, paired(weights[k], 0))));
      hn::StoreU(hn::DemoteTo(d8, hn::ShiftRight<kColumnShift>(sum)), d8, to + c);
    }
  };
  for (const Taps& column : columns.first(columns.size() - 1)) {
    store_pixel(column, out);
    out += 3;
  }
  std::array<std::uint8_t, 4> last;
  store_pixel(columns.back(), last.data());
  std::copy_n(last.begin(), 3, out);
}

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace stp
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp {
namespace {

HWY_EXPORT(rows_to_line);
HWY_EXPORT(line_to_columns);

}  // namespace

void blend_rows(const std::uint8_t* rows, std::ptrdiff_t stride, std::span<const std::int16_t> weights,
                std::span<std::int32_t> line) {
  HWY_DYNAMIC_DISPATCH(rows_to_line)(rows, stride, weights, line);
}

void blend_columns(std::span<std::int32_t> line, int low, std::span<const Taps> columns, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(line_to_columns)(line, low, columns, out);
}

}  // namespace stp
#endif  // HWY_ONCE

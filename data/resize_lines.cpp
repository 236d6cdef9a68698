#include "data/resize_lines.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/resize_lines.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first: it reads this file again for every instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <array>

HWY_BEFORE_NAMESPACE();
namespace stp {
namespace {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kRowShift = kWeightBits - kLineBits, kColumnShift = kWeightBits + kLineBits;

void rows_to_line(const std::uint8_t* rows, std::ptrdiff_t stride, std::span<const std::int16_t> weights,
                  std::span<std::int16_t> line) {
  const hn::ScalableTag<std::int32_t> d;
  const hn::Rebind<std::int16_t, decltype(d)> d16;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t j = 0;
  for (; j + lanes <= line.size(); j += lanes) {
    auto sum = hn::Set(d, 1 << (kRowShift - 1));
    const std::uint8_t* from = rows + j;
    for (const std::int16_t weight : weights) {
      sum = hn::Add(sum, hn::Mul(hn::PromoteTo(d, hn::LoadU(d8, from)), hn::Set(d, weight)));
      from += stride;
    }
    hn::StoreU(hn::DemoteTo(d16, hn::ShiftRight<kRowShift>(sum)), d16, line.data() + j);
  }
  for (; j < line.size(); ++j) {
    std::int32_t sum = 1 << (kRowShift - 1);
    const std::uint8_t* from = rows + j;
    for (const std::int16_t weight : weights) {
      sum += weight * *from;
      from += stride;
    }
    line[j] = static_cast<std::int16_t>(sum >> kRowShift);
  }
}

// A pixel is three of four lanes (where there are so many); the fourth is stored too and then written over by
// the next pixel, so the last one goes through a buffer.
void line_to_columns(const std::int16_t* line, int low, std::span<const Taps> columns, std::uint8_t* out) {
  const hn::CappedTag<std::int32_t, 4> d;
  const hn::Rebind<std::int16_t, decltype(d)> d16;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const auto store_pixel = [&](const Taps& column, std::uint8_t* to) {
    for (std::size_t c = 0; c < 3; c += hn::Lanes(d)) {
      auto sum = hn::Set(d, 1 << (kColumnShift - 1));
      const std::int16_t* from = line + std::ptrdiff_t{3} * (column.first - low) + c;
      for (const std::int16_t weight : column.weights) {
        sum = hn::Add(sum, hn::Mul(hn::PromoteTo(d, hn::LoadU(d16, from)), hn::Set(d, weight)));
        from += 3;
      }
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
                std::span<std::int16_t> line) {
  HWY_DYNAMIC_DISPATCH(rows_to_line)(rows, stride, weights, line);
}

void blend_columns(const std::int16_t* line, int low, std::span<const Taps> columns, std::uint8_t* out) {
  HWY_DYNAMIC_DISPATCH(line_to_columns)(line, low, columns, out);
}

}  // namespace stp
#endif  // HWY_ONCE

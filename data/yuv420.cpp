#include "data/yuv420.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "data/yuv420.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first: it reads this file again for every instruction set.
#include "data/pairs-inl.h"
// pairs-inl.h comes first too, for the same reason.
#include <algorithm>
#include <array>
#include <vector>

#ifndef STP_DATA_YUV420_LINE_
#define STP_DATA_YUV420_LINE_
namespace stp {
namespace {

// One row of luma and the two rows of each chroma whose sum is meant.
struct Line {
  const std::uint8_t* y;
  std::array<const std::int16_t*, 2> u, v;
};

}  // namespace
}  // namespace stp
#endif

HWY_BEFORE_NAMESPACE();
namespace stp {
namespace {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

std::uint8_t byte_of(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp<std::int32_t>(sum >> 16, 0, 255));
}

void convert_line(const Line& line, int width, const ColourWeights& w, std::uint8_t* rgb) {
  const hn::ScalableTag<std::int32_t> d;
  const hn::Rebind<std::int16_t, decltype(d)> d16;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const std::int32_t bias = (1 << 15) - 8 * w.black * w.luma;
  const auto weights = [&](std::int32_t luma, std::int32_t chroma) {
    return hn::Set(d, paired(static_cast<std::int16_t>(luma), static_cast<std::int16_t>(chroma)));
  };
  const auto red_weights = weights(w.luma, w.red_v), blue_weights = weights(w.luma, w.blue_u);
  const auto green_weights = weights(w.luma, w.green_u), green_rest = weights(0, w.green_v);
  const auto sum = [&](const std::array<const std::int16_t*, 2>& rows, int x) {
    return hn::PromoteTo(d, hn::Add(hn::LoadU(d16, rows[0] + x), hn::LoadU(d16, rows[1] + x)));
  };
  const auto bytes = [&](auto sums) {
    return hn::DemoteTo(d8, hn::ShiftRight<16>(hn::Add(sums, hn::Set(d, bias))));
  };
  int x = 0;
  for (; x + lanes <= width; x += lanes) {
    const auto light = hn::ShiftLeft<3>(hn::PromoteTo(d, hn::LoadU(d8, line.y + x)));
    const auto with_u = paired(d, light, sum(line.u, x)), with_v = paired(d, light, sum(line.v, x));
    const auto red = pair_sums(d, with_v, red_weights), blue = pair_sums(d, with_u, blue_weights);
    const auto green = hn::Add(pair_sums(d, with_u, green_weights), pair_sums(d, with_v, green_rest));
    hn::StoreInterleaved3(bytes(red), bytes(green), bytes(blue), d8, rgb + 3 * x);
  }
  for (; x < width; ++x) {
    const std::int32_t light = 8 * w.luma * line.y[x] + bias;
    const std::int32_t u = line.u[0][x] + line.u[1][x], v = line.v[0][x] + line.v[1][x];
    rgb[3 * x] = byte_of(light + w.red_v * v);
    rgb[3 * x + 1] = byte_of(light + w.green_u * u + w.green_v * v);
    rgb[3 * x + 2] = byte_of(light + w.blue_u * u);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace stp
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp {
namespace {

HWY_EXPORT(convert_line);

// A row of chroma at twice its width, less 128, in quarters.
void widen(const std::uint8_t* chroma, int width, bool centred, std::int16_t* out) {
  constexpr int kMiddle = 4 * 128;
  const int near = centred ? 3 : 4, far = 4 - near;   // of an even column: the sample there, the one before
  const int here = centred ? 3 : 2, next = 4 - here;  // of an odd one: the sample before, the one after
  const int last = width / 2 - 1;
  out[0] = static_cast<std::int16_t>(4 * chroma[0] - kMiddle);
  for (int i = 0; i < last; ++i) {
    out[2 * i + 1] = static_cast<std::int16_t>(here * chroma[i] + next * chroma[i + 1] - kMiddle);
    out[2 * i + 2] = static_cast<std::int16_t>(far * chroma[i] + near * chroma[i + 1] - kMiddle);
  }
  out[width - 1] = static_cast<std::int16_t>(4 * chroma[last] - kMiddle);
}

}  // namespace

void yuv420_to_rgb(const Yuv420& p, const ColourWeights& weights, std::uint8_t* rgb) {
  const auto columns = static_cast<std::size_t>(p.width);
  std::vector<std::int16_t> rows(4 * columns);  // u and v of an even and of an odd chroma row
  const auto u_row = [&](int k) { return rows.data() + columns * static_cast<std::size_t>(k % 2); };
  const auto v_row = [&](int k) { return rows.data() + columns * static_cast<std::size_t>(2 + k % 2); };
  for (int k = 0; k < p.height / 2; ++k) {
    widen(p.u + k * p.u_stride, p.width, p.centred, u_row(k));
    widen(p.v + k * p.v_stride, p.width, p.centred, v_row(k));
    for (const int y : {2 * k, 2 * k + 1}) {
      const bool mean = k > 0 && (y == 2 * k || y == p.height - 1);
      const int other = mean ? k - 1 : k;
      const Line line = {p.y + y * p.y_stride, {u_row(other), u_row(k)}, {v_row(other), v_row(k)}};
      HWY_DYNAMIC_DISPATCH(convert_line)(line, p.width, weights, rgb + std::ptrdiff_t{3} * y * p.width);
    }
  }
}

}  // namespace stp
#endif  // HWY_ONCE

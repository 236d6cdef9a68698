// Images: one pass in ranges of elements, or plane by plane. Pooling's windows and the columns of up-sampling
// are plain loops: the networks that use them spend their time in convolutions.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/image.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/image.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

// Calls body(i, count) over the elements begin .. end - 1.
template <class Body>
HWY_INLINE void for_range(std::int64_t begin, std::int64_t end, const Body& body) {
  const std::size_t first = static_cast<std::size_t>(begin);
  for_vectors(static_cast<std::size_t>(end) - first, [&](std::size_t i, std::size_t n) { body(first + i, n); });
}

void relu_forward_range(const ReluForward& a, std::int64_t begin, std::int64_t end) {
  for_range(begin, end,
            [&](std::size_t i, std::size_t n) { store(at_least(load(a.x + i, n), 0), a.out + i, n); });
}

void relu_backward_range(const ReluBackward& a, std::int64_t begin, std::int64_t end) {
  const Vector zero = hn::Zero(Floats());
  for_range(begin, end, [&](std::size_t i, std::size_t n) {
    const auto off = hn::Le(load(a.out + i, n), zero);
    store(hn::IfThenZeroElse(off, load(a.dout + i, n)), a.dx, i, n);
  });
}

void sigmoid_forward_range(const SigmoidForward& a, std::int64_t begin, std::int64_t end) {
  const Floats d;
  const Vector one = hn::Set(d, 1.0f), slope = hn::Set(d, a.slope), zero = hn::Zero(d);
  for_range(begin, end, [&](std::size_t i, std::size_t n) {
    const Vector z = hn::Mul(slope, load(a.x + i, n));
    // e^-|z| cannot overflow: 1 / (1 + e^-z), and for negative z the same times e^z / e^z.
    const Vector e = exp(hn::Neg(hn::Abs(z)));
    store(hn::Div(hn::IfThenElse(hn::Lt(z, zero), e, one), hn::Add(one, e)), a.out + i, n);
  });
}

void sigmoid_backward_range(const SigmoidBackward& a, std::int64_t begin, std::int64_t end) {
  const Floats d;
  const Vector one = hn::Set(d, 1.0f), slope = hn::Set(d, a.slope);
  for_range(begin, end, [&](std::size_t i, std::size_t n) {
    const Vector out = load(a.out + i, n);
    const Vector dsigmoid = hn::Mul(hn::Mul(slope, out), hn::Sub(one, out));
    store(hn::Mul(load(a.dout + i, n), dsigmoid), a.dx, i, n);
  });
}

void shift_plane(float* x, float shift, std::int64_t count) {
  const Vector s = hn::Set(Floats(), shift);
  for_range(0, count, [&](std::size_t i, std::size_t n) { store(hn::Add(load(x + i, n), s), x + i, n); });
}

float sum_plane(const float* x, std::int64_t count) {
  return sum_vectors(static_cast<std::size_t>(count),
                     [&](std::size_t i, std::size_t n) { return load(x + i, n); });
}

// `width` values to where `to` has element `at`.
void copy_row(const float* from, const Grad& to, std::int64_t at, std::int64_t width) {
  const std::size_t first = static_cast<std::size_t>(at);
  for_range(0, width, [&](std::size_t i, std::size_t n) { store(load(from + i, n), to, first + i, n); });
}

// row = (1 - share) a + share b
void blend_rows(const float* a, const float* b, float share, float* row, std::int64_t width) {
  const Vector s = hn::Set(Floats(), share);
  for_range(0, width, [&](std::size_t i, std::size_t n) {
    const Vector x = load(a + i, n);
    store(hn::MulAdd(s, hn::Sub(load(b + i, n), x), x), row + i, n);
  });
}

// row += share x
void add_share(const float* x, float share, float* row, std::int64_t width) {
  const Vector s = hn::Set(Floats(), share);
  for_range(0, width, [&](std::size_t i, std::size_t n) {
    store(hn::MulAdd(s, load(x + i, n), load(row + i, n)), row + i, n);
  });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(relu_forward_range);
HWY_EXPORT(relu_backward_range);
HWY_EXPORT(sigmoid_forward_range);
HWY_EXPORT(sigmoid_backward_range);
HWY_EXPORT(shift_plane);
HWY_EXPORT(sum_plane);
HWY_EXPORT(copy_row);
HWY_EXPORT(blend_rows);
HWY_EXPORT(add_share);

namespace {

constexpr std::int64_t kGrain = 16384;  // elements a thread takes at a time: 64 KiB, one or two L1 caches

// The part of a window at `place` that lies on the image: rows or columns begin .. end - 1.
struct Overlap {
  int begin, end;
};
Overlap overlap(int place, int side, const Window& window, int length) {
  const int begin = place * window.stride - window.padding;
  return {std::max(begin, 0), std::min(begin + side, length)};
}

// body(plane, y, x) for every place of the windows of a pooling, plane by plane.
template <class Pool, class Body>
void for_places(const Pool& a, const Body& body) {
  const int out_Y = a.window.places_Y(a.Y), out_X = a.window.places_X(a.X);
  parallel_for(std::int64_t{1} * a.B * a.C, [&](std::int64_t plane) {
    std::int64_t out = plane * out_Y * out_X;
    for (int y = 0; y < out_Y; ++y)
      for (int x = 0; x < out_X; ++x)
        body(plane, overlap(y, a.window.rows, a.window, a.Y), overlap(x, a.window.columns, a.window, a.X),
             out++);
  });
}

// dx = sum over the windows that hold a position of take(out, position in its plane), for every position.
template <class Pool, class Take>
void gather_windows(const Pool& a, const Take& take) {
  const Window& w = a.window;
  const int out_Y = w.places_Y(a.Y), out_X = w.places_X(a.X);
  parallel_for(std::int64_t{1} * a.B * a.C * a.Y, [&](std::int64_t row) {
    const std::int64_t plane = row / a.Y;
    const int y = static_cast<int>(row - plane * a.Y);
    const Places rows = places_of(y, w.rows, w.stride, w.padding, out_Y);
    for (int x = 0; x < a.X; ++x) {
      const Places columns = places_of(x, w.columns, w.stride, w.padding, out_X);
      float sum = 0;
      for (int i = rows.first; i < rows.last; ++i)
        for (int j = columns.first; j < columns.last; ++j)
          sum += take((plane * out_Y + i) * out_X + j, y * a.X + x);
      contribute(a.dx, row * a.X + x, sum);
    }
  });
}

std::vector<Tap> taps_of(const UpsampleAxis& axis) {
  std::vector<Tap> taps;
  for (int place = 0; place < axis.outputs; ++place) taps.push_back(axis.tap(place));
  return taps;
}

}  // namespace

void relu_forward(const ReluForward& a) {
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(relu_forward_range)(a, begin, end);
  });
}

void relu_backward(const ReluBackward& a) {
  if (!a.dx) return;
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(relu_backward_range)(a, begin, end);
  });
}

void sigmoid_forward(const SigmoidForward& a) {
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(sigmoid_forward_range)(a, begin, end);
  });
}

void sigmoid_backward(const SigmoidBackward& a) {
  if (!a.dx) return;
  parallel_ranges(a.count, kGrain, [&](auto begin, auto end) {
    HWY_DYNAMIC_DISPATCH(sigmoid_backward_range)(a, begin, end);
  });
}

void shift_channels(const ShiftChannels& a) {
  parallel_for(std::int64_t{1} * a.B * a.C, [&](std::int64_t plane) {
    HWY_DYNAMIC_DISPATCH(shift_plane)(a.x + plane * a.n, a.shift[plane % a.C], a.n);
  });
}

void sum_channels(const SumChannels& a) {
  parallel_for(std::int64_t{1} * a.B * a.C, [&](std::int64_t plane) {
    a.partial[plane] = HWY_DYNAMIC_DISPATCH(sum_plane)(a.x + plane * a.n, a.n);
  });
  for (int c = 0; c < a.C; ++c) {
    float sum = 0;
    for (int b = 0; b < a.B; ++b) sum += a.partial[b * a.C + c];
    contribute(a.sum, c, sum);
  }
}

void copy_rows(const CopyRows& a) {
  parallel_for(a.rows, [&](std::int64_t row) {
    HWY_DYNAMIC_DISPATCH(copy_row)(a.from + row * a.from_pitch, a.to, row * a.to_pitch, a.width);
  });
}

void swap_axes(const SwapAxes& a) {
  parallel_for(std::int64_t{1} * a.A * a.Q * a.P, [&](std::int64_t row) {
    const std::int64_t p = row % a.P, q = row / a.P % a.Q, outer = row / a.P / a.Q;
    HWY_DYNAMIC_DISPATCH(copy_row)(a.x + ((outer * a.P + p) * a.Q + q) * a.n, a.out, row * a.n, a.n);
  });
}

void max_pool_forward(const MaxPoolForward& a) {
  for_places(a, [&](std::int64_t plane, Overlap rows, Overlap columns, std::int64_t out) {
    const float* const image = a.x + plane * a.Y * a.X;
    float highest = -std::numeric_limits<float>::infinity();
    int position = rows.begin * a.X + columns.begin;
    for (int y = rows.begin; y < rows.end; ++y) {
      for (int x = columns.begin; x < columns.end; ++x) {
        const float value = image[y * a.X + x];
        if (!(value > highest || value != value)) continue;
        highest = value;
        position = y * a.X + x;
      }
    }
    a.out[out] = highest;
    if (a.position) a.position[out] = position;
  });
}

void max_pool_backward(const MaxPoolBackward& a) {
  if (!a.dx) return;
  gather_windows(
      a, [&](std::int64_t out, int position) { return a.position[out] == position ? a.dout[out] : 0.0f; });
}

void average_pool_forward(const AveragePoolForward& a) {
  const float share = 1.0f / static_cast<float>(a.window.size());
  for_places(a, [&](std::int64_t plane, Overlap rows, Overlap columns, std::int64_t out) {
    const float* const image = a.x + plane * a.Y * a.X;
    float sum = 0;
    for (int y = rows.begin; y < rows.end; ++y)
      for (int x = columns.begin; x < columns.end; ++x) sum += image[y * a.X + x];
    a.out[out] = sum * share;
  });
}

void average_pool_backward(const AveragePoolBackward& a) {
  if (!a.dx) return;
  const float share = 1.0f / static_cast<float>(a.window.size());
  gather_windows(a, [&](std::int64_t out, int) { return a.dout[out] * share; });
}

// An output row blends two rows of the image, then its columns.
void upsample_forward(const UpsampleForward& a) {
  const std::vector<Tap> rows = taps_of(a.rows), columns = taps_of(a.columns);
  const int X = a.columns.inputs, out_Y = a.rows.outputs, out_X = a.columns.outputs;
  parallel_for(a.planes * out_Y, [&](std::int64_t out_row) {
    const std::int64_t plane = out_row / out_Y;
    const Tap& tap = rows[static_cast<std::size_t>(out_row - plane * out_Y)];
    const float* const image = a.x + plane * a.rows.inputs * X;
    float* const row = thread_scratch(static_cast<std::size_t>(X));
    HWY_DYNAMIC_DISPATCH(blend_rows)(image + tap.first * X, image + tap.second * X, tap.share, row, X);
    float* const out = a.out + out_row * out_X;
    for (std::size_t x = 0; x < columns.size(); ++x) {
      const Tap& t = columns[x];
      out[x] = row[t.first] + t.share * (row[t.second] - row[t.first]);
    }
  });
}

// An image's row gathers the rows of dout that read it, then each column gathers its own.
void upsample_backward(const UpsampleBackward& a) {
  if (!a.dx) return;
  const std::vector<Tap> columns = taps_of(a.columns);
  const int Y = a.rows.inputs, X = a.columns.inputs, out_X = a.columns.outputs;
  parallel_for(a.planes * Y, [&](std::int64_t in_row) {
    const std::int64_t plane = in_row / Y;
    const int y = static_cast<int>(in_row - plane * Y);
    Areas areas(thread_scratch(static_cast<std::size_t>(X + out_X)));
    float* const row = areas.take(static_cast<std::size_t>(out_X));
    float* const sums = areas.take(static_cast<std::size_t>(X));
    std::fill_n(row, out_X, 0.0f);
    std::fill_n(sums, X, 0.0f);
    const Places readers = a.rows.readers(y);
    for (int place = readers.first; place < readers.last; ++place) {
      const float* const dout = a.dout + (plane * a.rows.outputs + place) * out_X;
      HWY_DYNAMIC_DISPATCH(add_share)(dout, a.rows.share(place, y), row, out_X);
    }
    for (std::size_t x = 0; x < columns.size(); ++x) {
      sums[columns[x].first] += (1 - columns[x].share) * row[x];
      sums[columns[x].second] += columns[x].share * row[x];
    }
    HWY_DYNAMIC_DISPATCH(copy_row)(sums, a.dx, in_row * X, X);
  });
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

// Batch norm and instance norm. Each plane gives its mean and the squared deviations about it (sums of squares
// would cancel where the mean is large); planes that share statistics are joined in order, by Chan's formula;
// then each plane is written.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/image_norm.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <cmath>

#include "kernels/cpu/contribute.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/planes.h"
#include "kernels/image_norm.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

void measure_plane(const float* x, std::size_t n, float* mean, float* squares) {
  *mean = sum_vectors(n, [&](std::size_t i, std::size_t count) { return load(x + i, count); }) /
          static_cast<float>(n);
  const Vector m = hn::Set(Floats(), *mean);
  *squares = sum_vectors(n, [&](std::size_t i, std::size_t count) {
    const Vector centred = first_lanes(hn::Sub(load(x + i, count), m), count);
    return hn::Mul(centred, centred);
  });
}

// out = (x - mean) scale + shift
void write_plane(const float* x, std::size_t n, float mean, float scale, float shift, float* out) {
  const Floats d;
  const Vector m = hn::Set(d, mean), s = hn::Set(d, scale), b = hn::Set(d, shift);
  for_vectors(n, [&](std::size_t i, std::size_t count) {
    store(hn::MulAdd(hn::Sub(load(x + i, count), m), s, b), out + i, count);
  });
}

// The sums of dout and of dout N, with N = (x - mean) rstd.
void slope_plane(const float* x, const float* dout, std::size_t n, float mean, float rstd, float* sums) {
  const Vector m = hn::Set(Floats(), mean);
  sums[0] = sum_vectors(n, [&](std::size_t i, std::size_t count) { return load(dout + i, count); });
  sums[1] = rstd * sum_vectors(n, [&](std::size_t i, std::size_t count) {
              return hn::Mul(load(dout + i, count), hn::Sub(load(x + i, count), m));
            });
}

// dx of the plane that begins at element `first`.
void backward_plane(const float* x, const float* dout, std::size_t n, const PlaneSlopes& p, const Grad& dx,
                    std::size_t first) {
  const Floats d;
  const Vector mean = hn::Set(d, p.mean), scale = hn::Set(d, p.scale), mean_g = hn::Set(d, p.mean_g),
               slope = hn::Set(d, p.slope);
  for_vectors(n, [&](std::size_t i, std::size_t count) {
    const Vector centred = hn::Sub(load(x + i, count), mean);
    const Vector inner = hn::NegMulAdd(centred, slope, hn::Sub(load(dout + i, count), mean_g));
    store(hn::Mul(scale, inner), dx, first + i, count);
  });
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(measure_plane);
HWY_EXPORT(write_plane);
HWY_EXPORT(slope_plane);
HWY_EXPORT(backward_plane);

namespace {

// running += momentum (batch - running)
void move(float* running, float momentum, float batch) { *running += momentum * (batch - *running); }

void join_group(const ImageNormForward& a, std::int64_t group) {
  const GroupOfPlanes planes = planes_of(a, group);
  const float n = static_cast<float>(a.n);
  float mean = 0, squares = 0, seen = 0;
  for (int b = 0; b < planes.count; ++b) {
    const float* const plane = a.partial + 2 * (planes.first + static_cast<std::int64_t>(b) * a.C);
    const float way = plane[0] - mean, total = seen + n;
    mean += way * (n / total);
    squares += plane[1] + way * way * (seen * n / total);
    seen = total;
  }
  a.mean[group] = mean;
  a.rstd[group] = 1.0f / std::sqrt(squares / seen + a.epsilon);
  if (!a.running_mean) return;
  move(a.running_mean + group, a.momentum, mean);
  move(a.running_variance + group, a.momentum, squares / (seen > 1 ? seen - 1 : 1));
}

void statistics(const ImageNormForward& a) {
  if (a.fixed) {
    for (int c = 0; c < a.C; ++c) {
      a.mean[c] = a.running_mean[c];
      a.rstd[c] = 1.0f / std::sqrt(a.running_variance[c] + a.epsilon);
    }
    return;
  }
  parallel_for(std::int64_t{1} * a.B * a.C, [&](std::int64_t plane) {
    HWY_DYNAMIC_DISPATCH(measure_plane)
    (a.x + plane * a.n, static_cast<std::size_t>(a.n), a.partial + 2 * plane, a.partial + 2 * plane + 1);
  });
  for (std::int64_t group = 0; group < groups_of(a); ++group) join_group(a, group);
}

// forward: out = N weight + bias, so dweight += sum of dout N and dbias += sum of dout.
void parameter_gradients(const ImageNormBackward& a) {
  for (std::int64_t c = 0; c < a.C; ++c) {
    float bias = 0, weight = 0;
    for (int b = 0; b < a.B; ++b) {
      const float* const sums = a.partial + 2 * (static_cast<std::int64_t>(b) * a.C + c);
      bias += sums[0];
      weight += sums[1];
    }
    if (a.dbias) contribute(a.dbias, c, bias);
    if (a.dweight) contribute(a.dweight, c, weight);
  }
}

// forward: N = (x - mean) rstd, where mean and rstd depend on every x of the group.
PlaneSlopes slopes_of(const ImageNormBackward& a, std::int64_t plane) {
  const std::int64_t group = group_of(a, plane);
  PlaneSlopes slopes = {a.mean[group], a.rstd[group] * a.weight[plane % a.C], 0, 0};
  if (a.fixed) return slopes;
  const GroupOfPlanes planes = planes_of(a, group);
  float sum = 0, sum_n = 0;
  for (int b = 0; b < planes.count; ++b) {
    const float* const sums = a.partial + 2 * (planes.first + static_cast<std::int64_t>(b) * a.C);
    sum += sums[0];
    sum_n += sums[1];
  }
  const float share = 1.0f / (static_cast<float>(planes.count) * static_cast<float>(a.n));
  slopes.mean_g = sum * share;
  slopes.slope = sum_n * share * a.rstd[group];
  return slopes;
}

}  // namespace

void image_norm_forward(const ImageNormForward& a) {
  statistics(a);
  parallel_for(std::int64_t{1} * a.B * a.C, [&](std::int64_t plane) {
    const std::int64_t group = group_of(a, plane), c = plane % a.C;
    HWY_DYNAMIC_DISPATCH(write_plane)
    (a.x + plane * a.n, static_cast<std::size_t>(a.n), a.mean[group], a.rstd[group] * a.weight[c], a.bias[c],
     a.out + plane * a.n);
  });
}

void image_norm_backward(const ImageNormBackward& a) {
  const std::size_t n = static_cast<std::size_t>(a.n);
  const bool learns = a.dweight || a.dbias;
  if (learns || (a.dx && !a.fixed)) {
    parallel_for(std::int64_t{1} * a.B * a.C, [&](std::int64_t plane) {
      const std::int64_t group = group_of(a, plane), at = plane * a.n;
      HWY_DYNAMIC_DISPATCH(slope_plane)
      (a.x + at, a.dout + at, n, a.mean[group], a.rstd[group], a.partial + 2 * plane);
    });
  }
  if (learns) parameter_gradients(a);
  if (!a.dx) return;
  parallel_for(std::int64_t{1} * a.B * a.C, [&](std::int64_t plane) {
    const std::int64_t at = plane * a.n;
    HWY_DYNAMIC_DISPATCH(backward_plane)
    (a.x + at, a.dout + at, n, slopes_of(a, plane), a.dx, static_cast<std::size_t>(at));
  });
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

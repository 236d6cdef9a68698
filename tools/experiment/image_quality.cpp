#include "tools/experiment/image_quality.h"

#include <array>
#include <cmath>
#include <vector>

#include "engine/check.h"

namespace stp {

namespace {

constexpr int kSide = 11;
constexpr double kSigma = 1.5;

std::array<double, kSide> window() {
  std::array<double, kSide> w{};
  constexpr int kMiddle = kSide / 2;
  double sum = 0;
  for (int i = 0; i < kSide; ++i) sum += w[i] = std::exp(-0.5 * std::pow((i - kMiddle) / kSigma, 2));
  for (double& v : w) v /= sum;
  return w;
}

// The plane weighted by the window wherever that fits: (Y - 10, X - 10). Columns first, then rows.
std::vector<double> smoothed(const std::vector<double>& plane, std::int64_t Y, std::int64_t X) {
  const std::array<double, kSide> w = window();
  const std::int64_t rows = Y - kSide + 1, columns = X - kSide + 1;
  std::vector<double> across(static_cast<std::size_t>(Y * columns), 0.0);
  for (std::int64_t y = 0; y < Y; ++y)
    for (std::int64_t x = 0; x < columns; ++x)
      for (std::int64_t i = 0; i < kSide; ++i)
        across[static_cast<std::size_t>(y * columns + x)] +=
            w[static_cast<std::size_t>(i)] * plane[static_cast<std::size_t>(y * X + x + i)];
  std::vector<double> out(static_cast<std::size_t>(rows * columns), 0.0);
  for (std::int64_t y = 0; y < rows; ++y)
    for (std::int64_t i = 0; i < kSide; ++i)
      for (std::int64_t x = 0; x < columns; ++x)
        out[static_cast<std::size_t>(y * columns + x)] +=
            w[static_cast<std::size_t>(i)] * across[static_cast<std::size_t>((y + i) * columns + x)];
  return out;
}

std::vector<double> product(std::span<const float> a, std::span<const float> b) {
  std::vector<double> values(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) values[i] = static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return values;
}

}  // namespace

double psnr(std::span<const float> a, std::span<const float> b) {
  check(a.size() == b.size() && !a.empty(), "psnr: {} and {} values", a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return -10 * std::log10(sum / static_cast<double>(a.size()));
}

double ssim(std::span<const float> a, std::span<const float> b, std::int64_t Y, std::int64_t X) {
  check(Y >= kSide && X >= kSide && a.size() == static_cast<std::size_t>(Y * X) && b.size() == a.size(),
        "ssim: planes of {} and {} values for {} x {}, wanted as many and at least {} x {}", a.size(), b.size(),
        Y, X, kSide, kSide);
  constexpr double c1 = 0.01 * 0.01, c2 = 0.03 * 0.03;
  const std::vector<double> mean_a = smoothed({a.begin(), a.end()}, Y, X),
                            mean_b = smoothed({b.begin(), b.end()}, Y, X), aa = smoothed(product(a, a), Y, X),
                            bb = smoothed(product(b, b), Y, X), ab = smoothed(product(a, b), Y, X);
  double sum = 0;
  for (std::size_t i = 0; i < mean_a.size(); ++i) {
    const double ma = mean_a[i], mb = mean_b[i];
    const double variances = aa[i] - ma * ma + bb[i] - mb * mb, covariance = ab[i] - ma * mb;
    sum += (2 * ma * mb + c1) * (2 * covariance + c2) / ((ma * ma + mb * mb + c1) * (variances + c2));
  }
  return sum / static_cast<double>(mean_a.size());
}

}  // namespace stp

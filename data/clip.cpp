#include "data/clip.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"

namespace stp {
namespace {

// Place t of a clip among M places, past the end as the padding says.
int padded(int t, int M, Padding padding) {
  if (t < M) return t;
  switch (padding) {
    case Padding::last:
      return M - 1;
    case Padding::mirror: {
      if (M == 1) return 0;
      const int around = t % (2 * (M - 1));  // there and back again, both ends once
      return around < M ? around : 2 * (M - 1) - around;
    }
    case Padding::loop:
      break;
  }
  return t % M;
}

int places(int frames, int rate) { return (frames - 1) / rate + 1; }

// The position of crop i of n where `room` pixels are free: from 0 to room, the middle if n = 1.
int spread(int room, int i, int n) {
  if (n == 1) return room / 2;
  return static_cast<int>(std::int64_t{i} * room / (n - 1));
}

int rounded(double value, int high) { return std::clamp(static_cast<int>(std::lround(value)), 1, high); }

int random_place(int room, Random& random) {
  return static_cast<int>(random.below(static_cast<std::uint64_t>(room) + 1));
}

// Width and height of the largest part with aspect X / Y.
Crop cover(int height, int width, int Y, int X) {
  const double scale = std::min(static_cast<double>(height) / Y, static_cast<double>(width) / X);
  return {0, 0, rounded(scale * X, width), rounded(scale * Y, height)};
}

Crop placed(Crop size, int height, int width, Random& random) {
  size.x = random_place(width - size.width, random);
  size.y = random_place(height - size.height, random);
  return size;
}

Crop random_resized(int height, int width, int Y, int X, const CropSpec& spec, Random& random) {
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double area = random.uniform(spec.area_low, spec.area_high) * height * width;
    const double log_aspect = random.uniform(std::log(spec.aspect_low), std::log(spec.aspect_high));
    const double aspect = std::exp(log_aspect) * X / Y;
    const double w = std::sqrt(area * aspect), h = std::sqrt(area / aspect);
    if (w > width + 0.5 || h > height + 0.5) continue;
    return placed({0, 0, rounded(w, width), rounded(h, height)}, height, width, random);
  }
  return even_crop(height, width, Y, X, 0, 1);
}

Crop random_scaled(int height, int width, int Y, int X, const CropSpec& spec, Random& random) {
  const double factor = random.uniform(spec.factor_low, spec.factor_high);
  const double scale = std::min(static_cast<double>(height) / Y, static_cast<double>(width) / X) / factor;
  return placed({0, 0, rounded(scale * X, width), rounded(scale * Y, height)}, height, width, random);
}

void check_range(double low, double high, double least, double most, const char* name) {
  check(low >= least && low <= high && high <= most, "crop {}: {} to {}, wanted a range within {} to {}", name,
        low, high, least, most);
}

}  // namespace

std::vector<int> clip_frames(int frames, int start, int T, int rate, Padding padding) {
  const int M = places(frames, rate);
  std::vector<int> numbers(static_cast<std::size_t>(T));
  for (int t = 0; t < T; ++t) {
    const bool inside = start + std::int64_t{t} * rate < frames;
    numbers[static_cast<std::size_t>(t)] = inside ? start + t * rate : padded(t, M, padding) * rate;
  }
  return numbers;
}

int random_start(int frames, int T, int rate, Random& random) {
  const std::int64_t last = frames - 1 - std::int64_t{T - 1} * rate;
  return last <= 0 ? 0 : random_place(static_cast<int>(last), random);
}

int even_start(int frames, int T, int rate, int i, int n) {
  return rate * spread(std::max(0, places(frames, rate) - T), i, n);
}

Crop even_crop(int height, int width, int Y, int X, int i, int n) {
  Crop crop = cover(height, width, Y, X);
  crop.x = spread(width - crop.width, i, n);
  crop.y = spread(height - crop.height, i, n);
  return crop;
}

void check_crop_spec(const CropSpec& spec) {
  constexpr double kTiny = 1e-4, kMost = 1e4;
  check_range(spec.area_low, spec.area_high, kTiny, 1.0, "area");
  check_range(spec.aspect_low, spec.aspect_high, kTiny, kMost, "aspect");
  check_range(spec.factor_low, spec.factor_high, 1.0, kMost, "factor");
}

Crop random_crop(int height, int width, int Y, int X, const CropSpec& spec, Random& random) {
  switch (spec.kind) {
    case CropSpec::Kind::resized:
      return random_resized(height, width, Y, X, spec, random);
    case CropSpec::Kind::scaled:
      return random_scaled(height, width, Y, X, spec, random);
    case CropSpec::Kind::centre:
      break;
  }
  return even_crop(height, width, Y, X, 0, 1);
}

}  // namespace stp

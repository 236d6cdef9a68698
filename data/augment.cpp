#include "data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "engine/check.h"

namespace stp {
namespace {

// Weights of luma in ITU-R BT.601.
constexpr std::array<double, 3> kLuma{0.299, 0.587, 0.114};

using Table = std::array<std::uint8_t, 256>;
using Matrix = std::array<std::array<double, 3>, 3>;

double draw(const Jitter& jitter, double unchanged, Random& random) {
  const bool change = random.chance(jitter.chance);
  const double value = random.uniform(jitter.low, jitter.high);
  return change ? value : unchanged;
}

void check_chance(double chance, const char* name) {
  check(chance >= 0 && chance <= 1, "augment {}: probability {}, wanted 0 to 1", name, chance);
}

void check_jitter(const Jitter& jitter, double least, double most, const char* name) {
  check_chance(jitter.chance, name);
  check(jitter.low >= least && jitter.low <= jitter.high && jitter.high <= most,
        "augment {}: {} to {}, wanted a range within {} to {}", name, jitter.low, jitter.high, least, most);
}

// Mean luma in [0, 1] of the clip after `tone` has been applied to every value: luma is linear, so the counts
// of each channel's values suffice.
double mean_luma(std::span<const std::uint8_t> pixels, const std::array<double, 256>& tone) {
  std::array<std::array<std::int64_t, 256>, 3> counts{};
  for (std::size_t i = 0; i + 2 < pixels.size(); i += 3)
    for (std::size_t c = 0; c < 3; ++c) ++counts[c][pixels[i + c]];
  double sum = 0;
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t v = 0; v < 256; ++v) sum += kLuma[c] * tone[v] * static_cast<double>(counts[c][v]);
  return sum / (static_cast<double>(pixels.size()) / 3);
}

Table tone_table(const Augmentation& a, std::span<const std::uint8_t> pixels) {
  std::array<double, 256> tone{};
  for (std::size_t v = 0; v < 256; ++v)
    tone[v] = std::clamp(a.brightness * static_cast<double>(v) / 255, 0.0, 1.0);
  if (a.contrast != 1) {
    const double mean = mean_luma(pixels, tone);
    for (double& v : tone) v = std::clamp(mean + a.contrast * (v - mean), 0.0, 1.0);
  }
  Table table{};
  for (std::size_t v = 0; v < 256; ++v)
    table[v] = static_cast<std::uint8_t>(std::lround(255 * std::pow(tone[v], a.gamma)));
  return table;
}

// Luma kept, chroma scaled by s and turned by `turns`. With y = luma, u = B - y, v = R - y scaled to YUV's
// lengths (0.492 and 0.877, so that the turn is a rotation), and back.
Matrix chroma_matrix(double s, double turns) {
  constexpr double kU = 0.492, kV = 0.877;
  const double angle = 2 * std::numbers::pi * turns;
  const double cosine = s * std::cos(angle), sine = s * std::sin(angle);
  Matrix m{};
  for (std::size_t in = 0; in < 3; ++in) {
    const double y = kLuma[in];
    const double u = kU * ((in == 2 ? 1 : 0) - y), v = kV * ((in == 0 ? 1 : 0) - y);
    const double du = (cosine * u - sine * v) / kU, dv = (sine * u + cosine * v) / kV;  // new B - y, R - y
    m[0][in] = y + dv;
    m[2][in] = y + du;
    m[1][in] = y - (kLuma[0] * dv + kLuma[2] * du) / kLuma[1];  // so that luma is y again
  }
  return m;
}

void apply_matrix(const Matrix& matrix, std::span<std::uint8_t> pixels) {
  constexpr int kBits = 16;
  std::array<std::array<std::int32_t, 3>, 3> fixed{};
  for (std::size_t out = 0; out < 3; ++out)
    for (std::size_t in = 0; in < 3; ++in)
      fixed[out][in] = static_cast<std::int32_t>(std::lround(matrix[out][in] * (1 << kBits)));
  for (std::size_t i = 0; i + 2 < pixels.size(); i += 3) {
    const std::int32_t r = pixels[i], g = pixels[i + 1], b = pixels[i + 2];
    for (std::size_t c = 0; c < 3; ++c) {
      const std::int32_t sum = fixed[c][0] * r + fixed[c][1] * g + fixed[c][2] * b + (1 << (kBits - 1));
      pixels[i + c] = static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255));
    }
  }
}

void erase(const Augmentation& a, std::span<std::uint8_t> pixels, int T, int Y, int X) {
  constexpr std::uint8_t kGray = 128;
  for (int t = 0; t < T; ++t)
    for (int y = a.erase_y; y < a.erase_y + a.erase_side; ++y) {
      const std::size_t row = (static_cast<std::size_t>(t) * Y + y) * X + a.erase_x;
      std::ranges::fill(pixels.subspan(3 * row, 3 * static_cast<std::size_t>(a.erase_side)), kGray);
    }
}

}  // namespace

void check_augment_spec(const AugmentSpec& spec) {
  check_chance(spec.flip, "flip");
  check_chance(spec.grayscale, "grayscale");
  check_jitter(spec.brightness, 0, 10, "brightness");
  check_jitter(spec.contrast, 0, 10, "contrast");
  check_jitter(spec.gamma, 0.05, 20, "gamma");
  check_jitter(spec.saturation, 0, 10, "saturation");
  check_jitter(spec.hue, -0.5, 0.5, "hue");
  check_jitter(spec.erase, 0, 1, "erase");
}

Augmentation draw_augmentation(const AugmentSpec& spec, int Y, int X, std::uint64_t seed, std::uint64_t epoch,
                               std::uint64_t item) {
  Random random(seed, stream_id("augment", {epoch, item}));
  Augmentation a;
  a.flip = random.chance(spec.flip);
  a.brightness = draw(spec.brightness, 1, random);
  a.contrast = draw(spec.contrast, 1, random);
  a.gamma = draw(spec.gamma, 1, random);
  a.saturation = draw(spec.saturation, 1, random);
  a.hue = draw(spec.hue, 0, random);
  a.grayscale = random.chance(spec.grayscale);
  const double part = draw(spec.erase, 0, random);
  const double y = random.uniform(), x = random.uniform();
  a.erase_side = static_cast<int>(std::lround(part * std::min(Y, X)));
  a.erase_y = static_cast<int>(y * (Y - a.erase_side + 1));  // uniform() < 1: inside
  a.erase_x = static_cast<int>(x * (X - a.erase_side + 1));
  return a;
}

void apply(const Augmentation& augmentation, std::span<std::uint8_t> pixels, int T, int Y, int X) {
  const Augmentation& a = augmentation;
  check(pixels.size() == std::size_t{3} * T * Y * X, "augment: {} bytes, wanted (T, Y, X, 3) = ({}, {}, {}, 3)",
        pixels.size(), T, Y, X);
  if (a.brightness != 1 || a.contrast != 1 || a.gamma != 1) {
    const Table table = tone_table(a, pixels);
    for (std::uint8_t& value : pixels) value = table[value];
  }
  if (a.grayscale || a.saturation != 1 || a.hue != 0)
    apply_matrix(chroma_matrix(a.grayscale ? 0 : a.saturation, a.hue), pixels);
  if (a.erase_side > 0) erase(a, pixels, T, Y, X);
}

}  // namespace stp

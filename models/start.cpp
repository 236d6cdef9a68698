#include "models/start.h"

#include <cmath>
#include <numbers>

#include "engine/check.h"

namespace stp {

namespace {

// Frequency k of n along an axis of `size` places.
double frequency(std::int64_t k, std::int64_t n, std::int64_t size) {
  const double fall = n > 1 ? static_cast<double>(k) / static_cast<double>(n - 1) : 0;
  return std::numbers::pi * std::pow(2.0 * static_cast<double>(size), -fall);
}

void write_waves(std::span<float> out, std::int64_t place, std::int64_t size) {
  const auto n = static_cast<std::int64_t>(out.size()) / 2;
  for (std::int64_t k = 0; k < n; ++k) {
    const double angle = frequency(k, n, size) * static_cast<double>(place);
    out[static_cast<std::size_t>(2 * k)] = static_cast<float>(std::sin(angle));
    out[static_cast<std::size_t>(2 * k + 1)] = static_cast<float>(std::cos(angle));
  }
}

bool is_trunk_matrix(const Parameter& p) {
  return p.init.kind == Init::Kind::normal && p.name.ends_with(".weight") &&
         (p.name.starts_with("patch_embed.") || p.name.starts_with("blocks."));
}

void rescale(const Parameter& p) {
  std::int64_t inputs = 1;
  for (int d = 1; d < p.shape.rank(); ++d) inputs *= p.shape[d];
  const auto factor = static_cast<float>(1 / (std::sqrt(static_cast<double>(inputs)) * p.init.scale));
  std::vector<float> values = p.tensor.values();
  for (float& v : values) v *= factor;
  p.tensor.assign(values);
}

}  // namespace

std::vector<float> wave_positions(const VitOptions& vit) {
  check(vit.E >= kSmallestWaves, "position waves: width {}, wanted at least {}", vit.E, kSmallestWaves);
  const std::int64_t rows = vit.Y / vit.y, columns = vit.X / vit.x;
  const auto E = static_cast<std::size_t>(vit.E), third = E / 6 * 2;
  std::vector<float> waves(static_cast<std::size_t>(vit.tokens()) * E);
  for (std::int64_t n = 0; n < vit.tokens(); ++n) {
    const std::span<float> token = std::span(waves).subspan(static_cast<std::size_t>(n) * E, E);
    write_waves(token.subspan(0, third), n / (rows * columns), vit.slots());
    write_waves(token.subspan(third, third), n / columns % rows, rows);
    write_waves(token.subspan(2 * third, third), n % columns, columns);
  }
  return waves;
}

void start_small(const Parameters& parameters, const VitOptions& vit) {
  for (const Parameter& p : parameters.all()) {
    if (p.name == "pos_embed") p.tensor.assign(wave_positions(vit));
    if (is_trunk_matrix(p)) rescale(p);
  }
}

}  // namespace stp

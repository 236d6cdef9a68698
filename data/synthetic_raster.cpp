#include "data/synthetic_raster.h"

namespace stp::synthetic {

Colour from_hsv(float hue, float saturation, float value) {
  // Each channel is a trapezoid over the hue circle: full for 120 degrees around its own hue, then a linear
  // slope.
  const auto channel = [&](float offset) {
    const float k = std::fmod(offset + hue / 60, 6.0F);
    return 255 * value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0F, 1.0F));
  };
  return {channel(5), channel(3), channel(1)};
}

Colour Picture::sample(Vec2 p) const {
  const float x = std::clamp(p.x - 0.5F, 0.0F, width - 1.0F), y = std::clamp(p.y - 0.5F, 0.0F, height - 1.0F);
  const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
  const int x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
  return mix(mix(at(x0, y0), at(x1, y0), x - x0), mix(at(x0, y1), at(x1, y1), x - x0), y - y0);
}

void to_bytes(const Picture& picture, float gain, std::span<const float> noise,
              std::vector<std::uint8_t>& rgb) {
  rgb.resize(picture.pixels.size() * 3);
  // Half up to the nearest: the values are not negative, so cutting off after adding a half rounds.
  const auto byte = [](float v) { return static_cast<std::uint8_t>(std::clamp(v + 0.5F, 0.0F, 255.0F)); };
  for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
    const Colour& c = picture.pixels[i];
    const float extra = noise.empty() ? 0 : noise[i];
    rgb[3 * i] = byte(gain * c.r + extra);
    rgb[3 * i + 1] = byte(gain * c.g + extra);
    rgb[3 * i + 2] = byte(gain * c.b + extra);
  }
}

}  // namespace stp::synthetic

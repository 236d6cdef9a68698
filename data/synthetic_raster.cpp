#include "data/synthetic_raster.h"

namespace stp::synthetic {

Colour from_hsv(float hue, float saturation, float value) {
  // Over the hue circle each channel is a trapezoid around its own hue: 120 degrees full, 60 to either side
  // sloping.
  const auto channel = [&](float offset) {
    const float k = std::fmod(offset + hue / 60, 6.0F);
    return 255 * value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0F, 1.0F));
  };
  return {channel(5), channel(3), channel(1)};
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

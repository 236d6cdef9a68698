// A small software rasteriser: pictures of floats and one antialiased shape, the tapered capsule (a segment
// with a radius at each end; a disc when the ends coincide). Everything VP-Synth shows is made of it.
//
// A pixel whose centre lies at signed distance d from the edge (negative inside) is covered by 1/2 - d,
// clamped to 0 and 1, as if the edge were straight and parallel to the pixel's.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace stp::synthetic {

struct Vec2 {
  float x = 0, y = 0;
  friend Vec2 operator+(Vec2 a, Vec2 b) { return {a.x + b.x, a.y + b.y}; }
  friend Vec2 operator-(Vec2 a, Vec2 b) { return {a.x - b.x, a.y - b.y}; }
  friend Vec2 operator*(float s, Vec2 a) { return {s * a.x, s * a.y}; }
  friend float dot(Vec2 a, Vec2 b) { return a.x * b.x + a.y * b.y; }
  float length() const { return std::sqrt(x * x + y * y); }
};

inline Vec2 rotated(Vec2 a, float radians) {
  const float c = std::cos(radians), s = std::sin(radians);
  return {c * a.x - s * a.y, s * a.x + c * a.y};
}

// Red, green, blue in 0 .. 255, as stored in the file; mixing is done on these values.
struct Colour {
  float r = 0, g = 0, b = 0;
};

inline Colour mix(Colour from, Colour to, float share) {
  return {from.r + share * (to.r - from.r), from.g + share * (to.g - from.g), from.b + share * (to.b - from.b)};
}

// Hue in degrees, saturation and value in 0 .. 1.
Colour from_hsv(float hue, float saturation, float value);

struct Picture {
  int width = 0, height = 0;
  std::vector<Colour> pixels;  // (height, width)

  Picture(int w, int h) : width(w), height(h), pixels(static_cast<std::size_t>(w) * h) {}
  Colour& at(int x, int y) { return pixels[static_cast<std::size_t>(y) * width + x]; }
  const Colour& at(int x, int y) const { return pixels[static_cast<std::size_t>(y) * width + x]; }
  // Bilinear between pixel centres; outside, the nearest edge pixel.
  Colour sample(Vec2 p) const {
    const float x = std::clamp(p.x - 0.5F, 0.0F, width - 1.0F), y = std::clamp(p.y - 0.5F, 0.0F, height - 1.0F);
    const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
    const int x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
    const float right = x - static_cast<float>(x0), down = y - static_cast<float>(y0);
    return mix(mix(at(x0, y0), at(x1, y0), right), mix(at(x0, y1), at(x1, y1), right), down);
  }
};

// Where a shape lies in the picture: pixel = origin + scale R(angle) point. Pixel (x, y) covers the square from
// (x, y) to (x + 1, y + 1).
struct Placement {
  Vec2 origin;
  float scale = 1;  // pixels per unit
  float angle = 0;  // radians, clockwise as seen (y points down)
  Vec2 operator()(Vec2 p) const { return origin + scale * rotated(p, angle); }
};

struct Capsule {
  Vec2 from, to;
  float from_radius = 0, to_radius = 0;
};

inline Capsule placed(const Capsule& c, const Placement& where) {
  return {where(c.from), where(c.to), where.scale * c.from_radius, where.scale * c.to_radius};
}

// A point of a capsule in its own frame, pixels: `along` the axis, 0 at `from`, and `across` it.
struct Local {
  float along = 0, across = 0;
};

// How much of a pixel lies inside an edge at signed distance d.
inline float coverage(float d) { return std::clamp(0.5F - d, 0.0F, 1.0F); }

// Draws `c` (in pixels) over the picture; shade(Local) gives the colour of a point.
template <class Shade>
void draw(Picture& picture, const Capsule& c, Shade&& shade) {
  const Vec2 axis = c.to - c.from;
  const float length = axis.length();
  const Vec2 unit = length > 0 ? (1 / length) * axis : Vec2{0, 1};
  const float taper = length > 0 ? (c.to_radius - c.from_radius) / length : 0;  // change of radius per pixel
  const float reach = std::max(c.from_radius, c.to_radius) + 1;
  const auto first = [&](float a, float b) {
    return std::max(0, static_cast<int>(std::floor(std::min(a, b) - reach)));
  };
  const auto last = [&](float a, float b, int size) {
    return std::min(size - 1, static_cast<int>(std::floor(std::max(a, b) + reach)));
  };
  const int x1 = last(c.from.x, c.to.x, picture.width), y1 = last(c.from.y, c.to.y, picture.height);
  for (int y = first(c.from.y, c.to.y); y <= y1; ++y) {
    for (int x = first(c.from.x, c.to.x); x <= x1; ++x) {
      const Vec2 p = Vec2{x + 0.5F, y + 0.5F} - c.from;
      const Local local{dot(p, unit), unit.x * p.y - unit.y * p.x};
      const float near = std::clamp(local.along, 0.0F, length);
      const float radius = c.from_radius + near * taper;
      const float off = local.along - near, squared = off * off + local.across * local.across;
      if (squared >= (radius + 0.5F) * (radius + 0.5F)) continue;
      const float cover = coverage(std::sqrt(squared) - radius);
      picture.at(x, y) = mix(picture.at(x, y), shade(local), cover);
    }
  }
}

// Rounds to bytes, rgb (height, width, 3): gain times the picture, and noise[i] added to all channels of pixel
// i (empty: none).
void to_bytes(const Picture& picture, float gain, std::span<const float> noise, std::vector<std::uint8_t>& rgb);

}  // namespace stp::synthetic

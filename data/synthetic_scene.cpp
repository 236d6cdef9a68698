#include "data/synthetic_scene.h"

#include <numbers>

#include "engine/rng.h"

namespace stp::synthetic {
namespace {

// The camera at difficulty 1; reaches grow in proportion to it. Rates in cycles per second, at random between a
// half and one and a half of these.
struct CameraMove {
  double reach, rate;
};
constexpr CameraMove kPan{0.05, 0.15};    // stage units
constexpr CameraMove kShake{0.012, 1.5};  // stage units
constexpr CameraMove kTurn{0.05, 0.15};   // radians
constexpr CameraMove kZoom{0.06, 0.15};   // share of the scale

// The rest at difficulty 1.
constexpr double kLight = 0.25;                     // share by which light may vary
constexpr double kNoise = 12;                       // grey levels, standard deviation
constexpr int kThings = 16;                         // on the wall, and two more at any difficulty
constexpr double kHeightSpread = 0.12;              // share of kHeight
constexpr double kSideways = 0.05, kUpDown = 0.03;  // where people stand, stage units

constexpr double kHeight = 0.76;     // standing height of who acts
constexpr float kBystander = 0.7F;   // and of who stands beside, as a share of it
constexpr double kWallMargin = 1.5;  // wall size over frame size

Sway draw_sway(Random& random, CameraMove move, double difficulty) {
  Sway sway;
  sway.reach = difficulty * move.reach * random.uniform(-1, 1);
  sway.rate = move.rate * random.uniform(0.5, 1.5);
  sway.start = random.uniform();
  return sway;
}

}  // namespace

float Sway::at(double seconds) const {
  return static_cast<float>(reach * std::sin(2 * std::numbers::pi * (rate * seconds + start)));
}

Scene::Scene(std::uint64_t seed, std::int64_t index, double difficulty, int width, int height)
    : seed_(seed),
      index_(static_cast<std::uint64_t>(index)),
      width_(width),
      height_(height),
      wall_(static_cast<int>(width * kWallMargin), static_cast<int>(height * kWallMargin)),
      wall_scale_(static_cast<float>(std::min(width, height))) {
  Random random(seed, stream_id("synthetic/scene", {index_}));
  for (Sway* pan : {&pan_x_, &pan_y_}) *pan = draw_sway(random, kPan, difficulty);
  for (Sway* shake : {&shake_x_, &shake_y_}) *shake = draw_sway(random, kShake, difficulty);
  turn_ = draw_sway(random, kTurn, difficulty);
  zoom_ = draw_sway(random, kZoom, difficulty);
  const auto vary = [&](double reach) {
    return static_cast<float>(difficulty * reach * random.uniform(-1, 1));
  };
  gain_ = 1 + vary(kLight);
  noise_ = static_cast<float>(difficulty * kNoise);
  const float side = random.chance(0.5) ? 1.0F : -1.0F;
  actor_.ground = {side * -0.03F + vary(kSideways), 0.45F + vary(kUpDown)};
  actor_.height = static_cast<float>(kHeight) * (1 + vary(kHeightSpread));
  bystander_.ground = {side * 0.36F + vary(kSideways), 0.36F + vary(kUpDown)};
  bystander_.height = kBystander * actor_.height;
  hang_clutter(difficulty);
}

void Scene::hang_clutter(double difficulty) {
  Random random(seed_, stream_id("synthetic/wall", {index_}));
  const auto between = [&](double low, double high) { return static_cast<float>(random.uniform(low, high)); };
  const auto faded = [&](double strongest) {
    const float hue = between(0, 360), saturation = between(0, strongest);
    return from_hsv(hue, saturation, between(0.55, 0.95));
  };
  const Colour top = faded(0.25), bottom = faded(0.25);
  for (int y = 0; y < wall_.height; ++y)
    for (int x = 0; x < wall_.width; ++x)
      wall_.at(x, y) = mix(top, bottom, static_cast<float>(y) / static_cast<float>(wall_.height));
  const int things = 2 + static_cast<int>(difficulty * kThings);
  for (int i = 0; i < things; ++i) {
    const Vec2 from{between(0, wall_.width), between(0, wall_.height)};
    const float length = between(0, 0.5) * wall_scale_, radius = between(0.015, 0.09) * wall_scale_;
    const Vec2 to = from + length * rotated({1, 0}, between(0, 2 * std::numbers::pi));
    const Colour colour = faded(0.2 + 0.5 * difficulty);
    draw(wall_, {from, to, radius, radius}, [&](Local) { return colour; });
  }
}

Placement Scene::camera(double seconds) const {
  const Vec2 aim{pan_x_.at(seconds) + shake_x_.at(seconds), pan_y_.at(seconds) + shake_y_.at(seconds)};
  Placement p;
  p.scale = wall_scale_ * (1 + zoom_.at(seconds));
  p.angle = turn_.at(seconds);
  p.origin = Vec2{width_ / 2.0F, height_ / 2.0F} - p.scale * rotated(aim, p.angle);
  return p;
}

void Scene::paint_background(Picture& picture, const Placement& camera) const {
  // Pixel to wall is a similarity too: follow it along each row by a constant step.
  const float scale = wall_scale_ / camera.scale;
  const Vec2 middle{wall_.width / 2.0F, wall_.height / 2.0F};
  const Vec2 step = scale * rotated({1, 0}, -camera.angle);
  for (int y = 0; y < picture.height; ++y) {
    const Vec2 from_origin = Vec2{0.5F, y + 0.5F} - camera.origin;
    const Vec2 start = middle + scale * rotated(from_origin, -camera.angle);
    for (int x = 0; x < picture.width; ++x)
      picture.at(x, y) = wall_.sample(start + static_cast<float>(x) * step);
  }
}

void Scene::draw_noise(int frame, std::vector<float>& noise) const {
  noise.clear();
  if (noise_ <= 0) return;
  noise.resize(static_cast<std::size_t>(width_) * height_);
  // The sum of two bytes is close enough to a normal variable; its standard deviation is 256 / sqrt(6).
  const float share = noise_ * 2.449F / 256;
  const std::uint64_t stream = stream_id("synthetic/noise", {index_, static_cast<std::uint64_t>(frame)});
  for (std::size_t i = 0; i < noise.size(); i += 8) {
    const Philox4 block = philox(seed_, stream, i / 8);
    for (std::size_t j = 0; j < 8 && i + j < noise.size(); ++j) {
      const std::uint32_t pair = block.word[j / 2] >> (16 * (j % 2));
      noise[i + j] = share * (static_cast<float>((pair & 255U) + (pair >> 8 & 255U)) - 255);
    }
  }
}

}  // namespace stp::synthetic

// The paint of VP-Synth: each attribute is seen where the header says and nowhere else. And the scene: a
// function of seed, index and difficulty whose camera moves when it is hard.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "data/synthetic_outfit.h"
#include "data/synthetic_scene.h"

namespace stp::synthetic {
namespace {

constexpr float kPixel = 0.02F;  // standing heights: a figure of 50 pixels
constexpr std::array<BodyPart, 6> kParts{BodyPart::leg,   BodyPart::upper_arm, BodyPart::forearm,
                                         BodyPart::torso, BodyPart::hips,      BodyPart::head};

bool same(Colour a, Colour b) { return a.r == b.r && a.g == b.g && a.b == b.b; }

float distance(Colour a, Colour b) {
  return std::max({std::abs(a.r - b.r), std::abs(a.g - b.g), std::abs(a.b - b.b)});
}

// The part seen on a grid that covers it.
std::vector<Colour> painted(const Outfit& outfit, BodyPart part) {
  std::vector<Colour> colours;
  for (int y = -8; y <= 24; ++y)
    for (int x = -8; x <= 8; ++x)
      colours.push_back(
          outfit.at(part, {static_cast<float>(y) * kPixel, static_cast<float>(x) * kPixel}, kPixel));
  return colours;
}

// The parts that look different when `attribute` of `base` is flipped.
std::set<BodyPart> changed_parts(std::int64_t index, int person, const Attributes& base, Attribute attribute) {
  Attributes flipped = base;
  flipped[attribute] = !flipped[attribute];
  const Outfit before(1, index, person, base), after(1, index, person, flipped);
  std::set<BodyPart> parts;
  for (const BodyPart part : kParts) {
    const auto a = painted(before, part), b = painted(after, part);
    if (!std::equal(a.begin(), a.end(), b.begin(), same)) parts.insert(part);
  }
  return parts;
}

TEST_CASE("synthetic outfit: each attribute of the actor repaints its own parts") {
  using enum BodyPart;
  using Parts = std::set<BodyPart>;
  const Attributes covered{};
  const Attributes bare{false, true, false, true, false};
  for (std::int64_t index = 0; index < 20; ++index) {
    CHECK(changed_parts(index, 0, covered, kSkinColor) == Parts{forearm});  // the hands
    CHECK(changed_parts(index, 0, bare, kSkinColor) == Parts{leg, upper_arm, forearm, torso, head});
    CHECK(changed_parts(index, 0, covered, kFace) == Parts{head});
    CHECK(changed_parts(index, 0, covered, kGender) == Parts{hips, head});
    CHECK(changed_parts(index, 0, covered, kNudity) == Parts{leg, upper_arm, forearm, torso});
    CHECK(changed_parts(index, 0, covered, kRelationship) == Parts{torso});  // the sash
    CHECK(changed_parts(index, 0, bare, kRelationship) == Parts{torso});
  }
}

TEST_CASE("synthetic outfit: who belongs together dresses alike, strangers do not") {
  for (std::int64_t index = 0; index < 20; ++index) {
    Attributes attributes{};
    const auto far = [&](BodyPart part) {
      const auto a = painted(Outfit(1, index, 0, attributes), part),
                 b = painted(Outfit(1, index, 1, attributes), part);
      float most = 0;
      for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, distance(a[i], b[i]));
      return most;
    };
    CHECK(far(BodyPart::torso) > 10);
    attributes[kRelationship] = true;
    CHECK(far(BodyPart::torso) == 0);
    CHECK(far(BodyPart::leg) == 0);
  }
}

TEST_CASE("synthetic outfit: human skin is reddish, greasepaint is not, and both are as bright") {
  double human = 0, painted_over = 0;
  constexpr int kPeople = 400;
  for (std::int64_t index = 0; index < kPeople; ++index) {
    Attributes attributes{};
    const Local hand{kForearmLength, 0};
    const Colour grey = Outfit(1, index, 0, attributes).at(BodyPart::forearm, hand, kPixel);
    attributes[kSkinColor] = true;
    const Colour skin = Outfit(1, index, 0, attributes).at(BodyPart::forearm, hand, kPixel);
    CHECK(skin.r > 1.5F * skin.b);
    CHECK(grey.r <= grey.b + 1);
    human += std::max({skin.r, skin.g, skin.b}) / kPeople;
    painted_over += std::max({grey.r, grey.g, grey.b}) / kPeople;
  }
  CHECK(human == doctest::Approx(painted_over).epsilon(1e-6));  // one draw of brightness serves both
}

Picture wall_at(const Scene& scene, double seconds) {
  Picture picture(64, 64);
  scene.paint_background(picture, scene.camera(seconds));
  return picture;
}

double mean_distance(const Picture& a, const Picture& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += distance(a.pixels[i], b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

TEST_CASE("synthetic scene: walls and noise differ by seed and index; a hard camera drifts over the wall") {
  const Scene scene(1, 3, 1, 64, 64), again(1, 3, 1, 64, 64);
  CHECK(mean_distance(wall_at(scene, 0), wall_at(again, 0)) == 0);
  CHECK(mean_distance(wall_at(scene, 0), wall_at(Scene(2, 3, 1, 64, 64), 0)) > 5);
  CHECK(mean_distance(wall_at(scene, 0), wall_at(Scene(1, 4, 1, 64, 64), 0)) > 5);
  std::vector<float> a, b;
  scene.draw_noise(0, a);
  again.draw_noise(0, b);
  CHECK(a == b);
  again.draw_noise(1, b);
  CHECK(a != b);
  Scene(2, 3, 1, 64, 64).draw_noise(0, b);
  CHECK(a != b);
  int drifted = 0;
  for (std::int64_t index = 0; index < 20; ++index) {
    const Scene hard(1, index, 1, 64, 64), easy(1, index, 0, 64, 64);
    CHECK(mean_distance(wall_at(easy, 0), wall_at(easy, 2)) == 0);
    // Shakes alone move the middle of the picture by at most 2 sqrt(2) 0.012 of its size.
    float most = 0;
    for (int t = 0; t < 10; ++t)
      most = std::max(most, (hard.camera(t).origin - hard.camera(0).origin).length() / 64);
    drifted += most > 0.035F;
  }
  CHECK(drifted > 10);
}

TEST_CASE("synthetic scene: noise has the strength it is given") {
  std::vector<float> noise;
  Scene(1, 0, 0.5, 64, 64).draw_noise(0, noise);
  double sum = 0, squares = 0;
  for (const float v : noise) {
    sum += v;
    squares += v * v;
  }
  const auto n = static_cast<double>(noise.size());
  // 4096 draws of standard deviation 6: their mean strays by 0.1, their deviation by about one part in 100.
  CHECK(std::abs(sum / n) < 0.5);
  CHECK(std::sqrt(squares / n) == doctest::Approx(6).epsilon(0.05));
}

}  // namespace
}  // namespace stp::synthetic

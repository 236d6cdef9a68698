#include "data/synthetic_outfit.h"

#include <cmath>
#include <numbers>

#include "engine/rng.h"

namespace stp::synthetic {
namespace {

constexpr Colour kShoe{40, 36, 38}, kPupil{15, 12, 20}, kEyeWhite{245, 245, 245}, kMouth{150, 25, 40};
constexpr Colour kTrim{250, 250, 250};

float between(Random& random, double low, double high) { return static_cast<float>(random.uniform(low, high)); }

// Skin of human hue; or greasepaint of no human hue but the same spread of brightness.
Colour draw_skin(Random& random, bool human) {
  const float value = between(random, 0.5, 0.95), u = between(random, 0, 1), strength = between(random, 0, 1);
  if (human) return from_hsv(16 + 14 * u, 0.42F + 0.2F * strength, value);
  return from_hsv(150 + 130 * u, 0.4F * strength, value);
}

struct Range {
  double low, high;
};

Colour draw_colour(Random& random, Range hue, Range saturation, Range value) {
  const float h = between(random, hue.low, hue.high), s = between(random, saturation.low, saturation.high);
  return from_hsv(h, s, between(random, value.low, value.high));
}

// Any hue but those of skin, hair, bow and sash.
Colour draw_cloth(Random& random) { return draw_colour(random, {70, 315}, {0.35, 0.85}, {0.35, 0.95}); }

// 1 inside a band of half-width `half` around 0, soft at its edges.
float band(float x, float half, float pixel) { return coverage((std::abs(x) - half) / pixel); }

// 1 in every second stripe of width `width` along x.
float stripes(float x, float width, float pixel) {
  const float phase = x / width - 2 * std::floor(x / width / 2);  // 0 .. 2
  return band((phase - 1.5F) * width, width / 2, pixel);
}

float disc(Local p, float along, float across, float radius, float pixel) {
  return coverage((Vec2{p.along - along, p.across - across}.length() - radius) / pixel);
}

}  // namespace

Outfit::Outfit(std::uint64_t seed, std::int64_t index, int person, const Attributes& attributes)
    : attributes_(attributes) {
  const auto clip = static_cast<std::uint64_t>(index);
  Random body(seed, stream_id("synthetic/body", {clip, static_cast<std::uint64_t>(person)}));
  skin_ = draw_skin(body, attributes[kSkinColor]);
  // Who belongs together dresses alike.
  const std::uint64_t wardrobe = attributes[kRelationship] ? 0 : static_cast<std::uint64_t>(person);
  Random random(seed, stream_id("synthetic/outfit", {clip, wardrobe}));
  hair_ = draw_colour(random, {10, 40}, {0.2, 0.7}, {0.08, 0.3});
  bow_ = draw_colour(random, {320, 375}, {0.7, 0.8}, {0.9, 1});
  hood_ = draw_cloth(random);
  shirt_ = draw_cloth(random);
  stripe_ = mix(shirt_, random.chance(0.5) ? Colour{255, 255, 255} : Colour{0, 0, 0}, 0.7F);
  trousers_ = draw_cloth(random);
  hips_ = draw_cloth(random);
  pleat_ = mix(hips_, {255, 255, 255}, 0.65F);
  sash_ = draw_colour(random, {44, 56}, {0.9, 1}, {0.95, 1});
}

Colour Outfit::at(BodyPart part, Local local, float pixel) const {
  switch (part) {
    case BodyPart::head:
      return head(local, pixel);
    case BodyPart::torso:
      return torso(local, pixel);
    case BodyPart::hips:
      return hips(local, pixel);
    case BodyPart::upper_arm:
      return arm(local, pixel, false);
    case BodyPart::forearm:
      return arm(local, pixel, true);
    case BodyPart::leg:
      return leg(local, pixel);
  }
  return {};
}

// `along` runs from the crown down to the chin.
Colour Outfit::head(Local p, float pixel) const {
  p.along -= kHeadHalf;  // 0 in the middle
  Colour c = attributes_[kGender] ? hair_ : hood_;
  if (attributes_[kFace]) {
    c = mix(c, skin_, disc(p, 0.025F, 0, 0.095F, pixel));
    for (const float side : {-0.04F, 0.04F}) {
      c = mix(c, kEyeWhite, disc(p, 0.0F, side, 0.03F, pixel));
      c = mix(c, kPupil, disc(p, 0.0F, side, 0.018F, pixel));
    }
    c = mix(c, kMouth, band(p.along - 0.072F, 0.016F, pixel) * band(p.across, 0.045F, pixel));
  }
  if (attributes_[kGender])
    for (const float side : {-0.035F, 0.035F}) c = mix(c, bow_, disc(p, -0.095F, side, 0.035F, pixel));
  return c;
}

// `along` runs from the chest down to the pelvis.
Colour Outfit::torso(Local p, float pixel) const {
  Colour c = skin_;
  if (attributes_[kNudity]) {
    c = mix(c, {0, 0, 0}, 0.35F * band(p.across, 0.01F, pixel));
  } else {
    c = mix(shirt_, stripe_, stripes(p.along, 0.05F, pixel));
  }
  if (attributes_[kRelationship]) {
    const float slant = (p.along - 0.1F + p.across) / std::numbers::sqrt2_v<float>;
    c = mix(c, kTrim, band(slant, 0.075F, pixel));
    c = mix(c, sash_, band(slant, 0.055F, pixel));
  }
  return c;
}

// `along` runs from hip to hip.
Colour Outfit::hips(Local p, float pixel) const {
  return attributes_[kGender] ? mix(hips_, pleat_, stripes(p.along, 0.04F, pixel)) : hips_;
}

// `along` runs from shoulder or elbow to the hand, which is bare always.
Colour Outfit::arm(Local p, float pixel, bool hand) const {
  if (attributes_[kNudity]) return skin_;
  const Colour sleeve = mix(shirt_, stripe_, stripes(p.along, 0.05F, pixel));
  return hand ? mix(sleeve, skin_, coverage((0.62F * kForearmLength - p.along) / pixel)) : sleeve;
}

// `along` runs from the foot up to the hip.
Colour Outfit::leg(Local p, float pixel) const {
  const Colour upper = attributes_[kNudity] ? skin_ : trousers_;
  return mix(upper, kShoe, coverage((p.along - 0.05F) / pixel));
}

}  // namespace stp::synthetic

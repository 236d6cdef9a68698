#include "data/synthetic_figure.h"

#include <numbers>

namespace stp::synthetic {
namespace {

constexpr float kDegree = std::numbers::pi_v<float> / 180;
constexpr float kNeckToHead = 0.16F;
constexpr float kShoulderWidth = 0.125F;  // from the spine to a shoulder
constexpr float kHipWidth = 0.065F;
constexpr float kUpperArmLength = 0.18F;
constexpr float kElbowBend = 18;  // degrees, always

// One side of the body; side is -1 for the figure's left (drawn left) and +1 for its right.
struct Side {
  Joint shoulder, elbow, hand, hip, foot;
  Dof arm, leg;
  float side;
};
constexpr std::array<Side, 2> kSides{{
    {kLeftShoulder, kLeftElbow, kLeftHand, kLeftHip, kLeftFoot, kLeftArm, kLeftLeg, -1},
    {kRightShoulder, kRightElbow, kRightHand, kRightHip, kRightFoot, kRightArm, kRightLeg, 1},
}};

// The direction `degrees` away from straight down, towards `side`.
Vec2 outwards(float degrees, float side) { return rotated({0, 1}, -side * degrees * kDegree); }

}  // namespace

Skeleton skeleton_of(const Pose& pose, bool mirrored) {
  Skeleton s;
  const float lean = pose[kLean] * kDegree;
  const float height = kLegLength - pose[kCrouch];
  s[kPelvis] = {0, -height - pose[kHop]};
  s[kNeck] = s[kPelvis] + rotated({0, -kTrunkLength}, lean);
  s[kHead] = s[kNeck] + rotated({0, -kNeckToHead}, lean);
  for (const Side& b : kSides) {
    s[b.shoulder] = s[kNeck] + rotated({b.side * kShoulderWidth, 0.03F}, lean);
    s[b.elbow] = s[b.shoulder] + kUpperArmLength * rotated(outwards(pose[b.arm], b.side), lean);
    s[b.hand] = s[b.elbow] + kForearmLength * rotated(outwards(pose[b.arm] + kElbowBend, b.side), lean);
    // In a crouch the knees point at the viewer: the leg looks shorter and the foot stays on the ground.
    s[b.hip] = s[kPelvis] + Vec2{b.side * kHipWidth, 0};
    s[b.foot] = s[b.hip] + height * outwards(pose[b.leg], b.side);
  }
  if (mirrored)
    for (Vec2& joint : s) joint.x = -joint.x;
  return s;
}

std::array<Limb, kLimbs> limbs_of(const Skeleton& s) {
  const Vec2 across = 0.4F * (s[kRightHip] - s[kLeftHip]);
  const Vec2 up = (1 / kTrunkLength) * (s[kNeck] - s[kPelvis]);  // of length 1
  return {{
      {BodyPart::leg, {s[kLeftFoot], s[kLeftHip], 0.056F, 0.064F}},
      {BodyPart::leg, {s[kRightFoot], s[kRightHip], 0.056F, 0.064F}},
      {BodyPart::torso, {s[kNeck] - 0.035F * up, s[kPelvis], 0.125F, 0.105F}},
      {BodyPart::hips, {s[kPelvis] - across, s[kPelvis] + across, 0.105F, 0.105F}},
      {BodyPart::upper_arm, {s[kLeftShoulder], s[kLeftElbow], 0.055F, 0.052F}},
      {BodyPart::forearm, {s[kLeftElbow], s[kLeftHand], 0.052F, 0.058F}},
      {BodyPart::upper_arm, {s[kRightShoulder], s[kRightElbow], 0.055F, 0.052F}},
      {BodyPart::forearm, {s[kRightElbow], s[kRightHand], 0.052F, 0.058F}},
      {BodyPart::head, {s[kHead] + kHeadHalf * up, s[kHead] - kHeadHalf * up, 0.125F, 0.12F}},
  }};
}

}  // namespace stp::synthetic

// The articulated figure: joints from a pose, and the body parts (capsules) hung on the joints. Lengths are in
// standing heights; the origin is the ground between the feet, x to the right, y down. No attribute is known.
#pragma once

#include <array>

#include "data/synthetic_motion.h"
#include "data/synthetic_raster.h"

namespace stp::synthetic {

enum Joint {
  kPelvis,
  kNeck,
  kHead,
  kLeftShoulder,
  kLeftElbow,
  kLeftHand,
  kLeftHip,
  kLeftFoot,
  kRightShoulder,
  kRightElbow,
  kRightHand,
  kRightHip,
  kRightFoot,
  kJoints
};

using Skeleton = std::array<Vec2, kJoints>;

// mirrored: left and right exchanged.
Skeleton skeleton_of(const Pose& pose, bool mirrored);

enum class BodyPart { leg, upper_arm, forearm, torso, hips, head };

struct Limb {
  BodyPart part = BodyPart::torso;
  Capsule shape;
};

inline constexpr int kLimbs = 9;

// The parts in the order in which they are painted, back to front.
std::array<Limb, kLimbs> limbs_of(const Skeleton& skeleton);

inline constexpr float kLegLength = 0.42F;
inline constexpr float kTrunkLength = 0.28F;
inline constexpr float kForearmLength = 0.19F;
inline constexpr float kHeadHalf =
    0.02F;  // the head is a capsule: from this far above its joint to as far below

}  // namespace stp::synthetic

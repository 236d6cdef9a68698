// How the people of VP-Synth move, and why one frame cannot tell their action.
//
// There are five key poses. An action is a pair of them: the person goes to and fro between the two, holding
// each for a while, from a random phase on. Eight of the ten pairs are actions, every pose belongs to three or
// four of them, and all actions hold their poses equally long. So whoever reads the pose of one frame perfectly
// still has to guess among three or four actions: the best guess is right with probability 5 poses / (2 x 8
// actions) = 5/16, a little more with the frames caught between two poses. Two frames half a cycle apart tell.
#pragma once

#include <array>
#include <cstdint>

#include "data/synthetic.h"

namespace stp::synthetic {

enum Dof { kLeftArm, kRightArm, kLeftLeg, kRightLeg, kCrouch, kLean, kHop, kDofs };
using Pose = std::array<float, kDofs>;  // degrees and standing heights, in the columns of kPoses

enum KeyPose { kStand, kReach, kStar, kSquat, kTilt, kKeyPoses };
extern const std::array<Pose, kKeyPoses> kPoses;

struct Action {
  const char* name;
  KeyPose from, to;
};
extern const std::array<Action, kSyntheticActions> kActions;

struct Motion {
  KeyPose from = kStand, to = kStand;
  Pose manner{};          // added to every pose: nobody does it quite alike
  Pose sway{};            // amplitude of idle movement
  double start = 0;       // cycles
  double tempo = 0;       // cycles per second
  double sway_tempo = 0;  // cycles per second
  bool mirrored = false;  // left and right exchanged
};

// The motion of clip `index`. Everything but the two poses is the same function of seed, index and difficulty
// for all actions, and no attribute enters.
Motion draw_motion(std::uint64_t seed, std::int64_t index, double difficulty, int action);

// The motion of somebody who stands beside and does nothing.
Motion draw_idle_motion(std::uint64_t seed, std::int64_t index, double difficulty);

Pose pose_at(const Motion& motion, double seconds);

}  // namespace stp::synthetic

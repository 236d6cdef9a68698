#include "data/synthetic_motion.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/rng.h"

namespace stp::synthetic {

// Arms and legs: degrees from straight down, outwards and up. Lean: degrees the trunk turns to the right.
// Crouch: how far the pelvis sinks. Hop: how far everything rises. Both in standing heights.
// clang-format off
const std::array<Pose, kKeyPoses> kPoses{{
    //          left arm  right arm  left leg  right leg  crouch   lean    hop
    /* stand */ {   15,       15,        3,        3,       0,       0,     0},
    /* reach */ {  160,      160,        3,        3,       0,       0,     0.06F},
    /* star  */ {   90,       90,       35,       35,       0,       0,     0.06F},
    /* squat */ {   35,       35,       18,       18,       0.27F,   0,     0},
    /* tilt  */ {   20,      150,       58,        3,       0,      25,     0.04F},
}};

const std::array<Action, kSyntheticActions> kActions{{
    {"burpee",       kSquat, kStar},
    {"cartwheel",    kReach, kTilt},
    {"cheer",        kStand, kReach},
    {"jumping_jack", kStand, kStar},
    {"kick",         kStand, kTilt},
    {"lift",         kSquat, kReach},
    {"skate",        kStar,  kTilt},
    {"squat",        kStand, kSquat},
}};

namespace {

// What difficulty 1 adds to a pose, to either side: once for a clip, and swaying through it.
constexpr Pose kManner{18, 18, 8, 8, 0.03F, 8, 0};
constexpr Pose kSway  { 5,  5, 0, 0, 0.01F, 4, 0};
// clang-format on

constexpr double kTempo = 1.0;         // cycles per second
constexpr double kTempoSpread = 0.35;  // at difficulty 1 the tempo is within this share of kTempo
constexpr double kSwayTempo = 0.4;     // cycles per second
constexpr double kSnap = 4;            // 1: a plain cosine; larger: poses are held longer and changed faster

Motion draw_manner(Random random, double difficulty) {
  Motion motion;
  motion.mirrored = random.chance(0.5);
  motion.start = random.uniform();
  motion.tempo = kTempo * (1 + kTempoSpread * difficulty * random.uniform(-1, 1));
  motion.sway_tempo = kSwayTempo * random.uniform(0.5, 1.5);
  for (int d = 0; d < kDofs; ++d) {
    motion.manner[d] = static_cast<float>(kManner[d] * difficulty * random.uniform(-1, 1));
    motion.sway[d] = static_cast<float>(kSway[d] * difficulty * random.uniform(-1, 1));
  }
  return motion;
}

}  // namespace

Motion draw_motion(std::uint64_t seed, std::int64_t index, double difficulty, int action) {
  const std::uint64_t stream = stream_id("synthetic/motion", {static_cast<std::uint64_t>(index)});
  Motion motion = draw_manner(Random(seed, stream), difficulty);
  motion.from = kActions[action].from;
  motion.to = kActions[action].to;
  return motion;
}

Motion draw_idle_motion(std::uint64_t seed, std::int64_t index, double difficulty) {
  return draw_manner(Random(seed, stream_id("synthetic/bystander", {static_cast<std::uint64_t>(index)})),
                     difficulty);
}

Pose pose_at(const Motion& motion, double seconds) {
  const auto turn = [](double cycles) { return std::sin(2 * std::numbers::pi * cycles); };
  const double swing = turn(motion.start + motion.tempo * seconds);
  const auto share = static_cast<float>(0.5 + 0.5 * std::clamp(kSnap * swing, -1.0, 1.0));
  const auto sway = static_cast<float>(turn(motion.start + motion.sway_tempo * seconds));
  Pose pose;
  for (int d = 0; d < kDofs; ++d) {
    const float from = kPoses[motion.from][d], to = kPoses[motion.to][d];
    pose[d] = from + share * (to - from) + motion.manner[d] + sway * motion.sway[d];
  }
  return pose;
}

}  // namespace stp::synthetic

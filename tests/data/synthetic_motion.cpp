// The motion of VP-Synth: that an action is a pair of shared poses, that one frame leaves three or four actions
// open, and that nothing but the two poses depends on the action.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "data/synthetic_figure.h"
#include "data/synthetic_motion.h"

namespace stp::synthetic {
namespace {

TEST_CASE(
    "synthetic motion: actions are different pairs of poses in alphabetical order, each pose in three or "
    "four") {
  std::array<int, kKeyPoses> uses{};
  std::set<std::pair<int, int>> pairs;
  for (int c = 0; c < kSyntheticActions; ++c) {
    const Action& action = kActions[c];
    CHECK(action.from != action.to);
    CHECK(pairs.insert(std::minmax<int>(action.from, action.to)).second);
    ++uses[action.from];
    ++uses[action.to];
    if (c > 0) CHECK(std::string(kActions[c - 1].name) < action.name);
  }
  for (const int n : uses) CHECK((n == 3 || n == 4));
}

// A reader of poses without error, who sees one frame, guesses the action that shows this pose most often.
TEST_CASE("synthetic motion: the best guess from the pose of one frame is right about one time in three") {
  constexpr int kClips = 4000;
  std::map<Pose, std::array<int, kSyntheticActions>> seen;
  for (int action = 0; action < kSyntheticActions; ++action)
    for (int i = 0; i < kClips; ++i) ++seen[pose_at(draw_motion(5, i, 0, action), 1.0)][action];
  int right = 0, held = 0;
  for (const auto& [pose, counts] : seen) {
    right += *std::max_element(counts.begin(), counts.end());
    if (std::find(kPoses.begin(), kPoses.end(), pose) != kPoses.end())
      for (const int n : counts) held += n;
  }
  constexpr double kFrames = kClips * kSyntheticActions;
  // Frames between two poses count as if they gave the action away; they are one in six.
  CHECK(held / kFrames > 0.83);
  CHECK(right / kFrames > 5.0 / 16);
  CHECK(right / kFrames < 0.44);
}

TEST_CASE("synthetic motion: within two thirds of a second both poses are seen, whatever the phase") {
  for (int action = 0; action < kSyntheticActions; ++action)
    for (int i = 0; i < 200; ++i) {
      const Motion motion = draw_motion(1, i, 0, action);
      std::set<Pose> held;
      for (int t = 0; t <= 8; ++t) held.insert(pose_at(motion, t / 12.0));
      CHECK(held.count(kPoses[kActions[action].from]) == 1);
      CHECK(held.count(kPoses[kActions[action].to]) == 1);
    }
}

TEST_CASE("synthetic motion: manner, phase and tempo are the same for every action") {
  for (int i = 0; i < 50; ++i) {
    const Motion first = draw_motion(3, i, 1, 0);
    for (int action = 1; action < kSyntheticActions; ++action) {
      const Motion other = draw_motion(3, i, 1, action);
      CHECK(other.manner == first.manner);
      CHECK(other.sway == first.sway);
      CHECK(other.start == first.start);
      CHECK(other.tempo == first.tempo);
      CHECK(other.mirrored == first.mirrored);
    }
  }
}

TEST_CASE("synthetic motion: a bystander keeps standing") {
  for (int i = 0; i < 50; ++i) {
    const Motion idle = draw_idle_motion(1, i, 0);
    for (int t = 0; t < 24; ++t) CHECK(pose_at(idle, t / 12.0) == kPoses[kStand]);
  }
}

TEST_CASE(
    "synthetic figure: bones keep their length, feet stay down in a squat, mirroring exchanges the sides") {
  for (const Pose& pose : kPoses) {
    const Skeleton s = skeleton_of(pose, false), mirrored = skeleton_of(pose, true);
    CHECK((s[kLeftHand] - s[kLeftElbow]).length() == doctest::Approx(kForearmLength));
    CHECK((s[kRightHand] - s[kRightElbow]).length() == doctest::Approx(kForearmLength));
    CHECK((s[kNeck] - s[kPelvis]).length() == doctest::Approx(kTrunkLength));
    for (int j = 0; j < kJoints; ++j) {
      CHECK(mirrored[j].x == -s[j].x);
      CHECK(mirrored[j].y == s[j].y);
    }
  }
  const Skeleton stand = skeleton_of(kPoses[kStand], false), squat = skeleton_of(kPoses[kSquat], false);
  CHECK(std::abs(squat[kLeftFoot].y - stand[kLeftFoot].y) < 0.02F);  // the knees turn out a little
  CHECK(squat[kHead].y > stand[kHead].y + 0.2F);
}

}  // namespace
}  // namespace stp::synthetic

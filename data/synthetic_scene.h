// Where it happens: a cluttered wall, a hand-held camera, light and sensor noise, and where people stand. All
// of it is a function of seed, clip index and difficulty, never of a label.
#pragma once

#include <cstdint>
#include <vector>

#include "data/synthetic_raster.h"

namespace stp::synthetic {

// Stage coordinates: the frame's shorter side is 1, the origin is the middle of the picture, y down.
struct Stand {
  Vec2 ground;       // between the feet
  float height = 0;  // standing height
};

class Scene {
 public:
  Scene(std::uint64_t seed, std::int64_t index, double difficulty, int width, int height, double seconds);

  // From stage coordinates to pixels at a time.
  Placement camera(double seconds) const;
  const Stand& actor() const { return actor_; }
  const Stand& bystander() const { return bystander_; }
  float gain() const { return gain_; }

  // The wall as the camera sees it.
  void paint_background(Picture& picture, const Placement& camera) const;
  // Noise of one frame, grey levels: (height, width); empty if there is none.
  void draw_noise(int frame, std::vector<float>& noise) const;

 private:
  void hang_clutter(double difficulty);

  std::uint64_t seed_, index_;
  int width_, height_;
  double middle_;     // seconds: the camera is where it was aimed half way through
  Picture wall_;      // larger than the frame, so that the camera may move
  float wall_scale_;  // wall pixels per unit of the stage
  Vec2 drift_;        // per second
  float shake_, turn_, zoom_, gain_, noise_;
  Vec2 shake_rate_, shake_start_;  // cycles per second, cycles
  Stand actor_, bystander_;
};

}  // namespace stp::synthetic

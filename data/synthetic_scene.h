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

// A slow movement to and fro.
struct Sway {
  double reach = 0, rate = 0, start = 0;  // amplitude; cycles per second; cycles
  float at(double seconds) const;
};

class Scene {
 public:
  Scene(std::uint64_t seed, std::int64_t index, double difficulty, int width, int height);

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
  Picture wall_;      // larger than the frame, so that the camera may move
  float wall_scale_;  // wall pixels per unit of the stage
  Sway pan_x_, pan_y_, shake_x_, shake_y_, turn_, zoom_;
  float gain_, noise_;
  Stand actor_, bystander_;
};

}  // namespace stp::synthetic

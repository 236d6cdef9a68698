// One clip of VP-Synth, rendered frame by frame in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "data/synthetic.h"
#include "data/synthetic_figure.h"
#include "data/synthetic_motion.h"
#include "data/synthetic_outfit.h"
#include "data/synthetic_scene.h"

namespace stp::synthetic {

class Clip {
 public:
  // The options must have passed check_synthetic_options. Of the label index, action and attributes count.
  Clip(const SyntheticOptions& options, const SyntheticLabel& label);

  // Frame t, 0 <= t < frames, into rgb (height, width, 3).
  void frame(int t, std::vector<std::uint8_t>& rgb);
  // What a frame's people cover: 255 inside, 0 outside, (height, width). The same for all attributes.
  void silhouette(int t, std::vector<std::uint8_t>& mask);
  // Joints of who acts at frame t, in standing heights (synthetic_figure.h).
  Skeleton skeleton(int t) const;

 private:
  struct Person {
    Motion motion;
    Outfit outfit;
    Stand stand;
  };
  double seconds(int t) const { return t / rate_; }
  template <class Paint>
  void draw_people(double time, const Placement& camera, Paint&& paint);

  double rate_;
  Scene scene_;
  std::array<Person, 2> people_;  // back to front: bystander, actor
  Picture picture_;
  std::vector<float> noise_;
};

}  // namespace stp::synthetic

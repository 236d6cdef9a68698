// Which frames of a video make a clip, and which part of a frame is seen. Only numbers here: no pixels, no
// decoding.
//
// A clip has T frames, every rate-th of the video. Of a video of F frames that leaves M = ceil(F / rate) places
// 0, rate, 2 rate, ... for frames of a clip that starts at 0. Where M < T the places are repeated (Padding).
// Views for evaluation follow VideoMAE's test protocol (Tong et al., NeurIPS 2022), the source of STPrivacy's 5
// x 3: clip i of n starts at place floor(i max(0, M - T) / (n - 1)), crops lie at both ends and in the middle.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/rng.h"

namespace stp {

// What follows the last place of a video that is too short: its beginning again; its last frame; its way back
// (0 1 2 3 2 1 0 1 ...).
enum class Padding : std::uint8_t { loop, last, mirror };

// The frame numbers (T) of the clip that starts at frame `start` of a video of `frames` frames; all in 0 ..
// frames - 1. start + (T - 1) rate must be a frame, or start be 0. frames, T, rate >= 1.
std::vector<int> clip_frames(int frames, int start, int T, int rate, Padding padding);

// A start for training: uniform over all starts whose clip ends inside the video; 0 if there is none.
int random_start(int frames, int T, int rate, Random& random);

// The start of clip `i` of `n` for evaluation, evenly spread; the only clip of n = 1 lies in the middle.
int even_start(int frames, int T, int rate, int i, int n);

// A part of a frame, in pixels; it lies inside the frame and has at least one pixel.
struct Crop {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const Crop&) const = default;
};

// The largest part of a frame with the aspect of a target of Y rows and X columns, crop `i` of `n` along the
// side that has room: the middle if n = 1, else from one end to the other. It is what remains when the frame is
// scaled until it covers the target and then cut.
Crop even_crop(int height, int width, int Y, int X, int i, int n);

// How training clips are cut. The cut is scaled to the target afterwards.
struct CropSpec {
  enum class Kind : std::uint8_t {
    centre,   // even_crop, i = 0 of 1
    resized,  // a part of random area and aspect (GoogLeNet's augmentation, Szegedy et al., CVPR 2015)
    scaled,   // the frame scaled to cover the target, times a random factor, then a target-sized part of it
  };
  Kind kind = Kind::resized;
  double area_low = 0.4, area_high = 1.0;              // resized: part of the frame's area, in (0, 1]
  double aspect_low = 3.0 / 4, aspect_high = 4.0 / 3;  // resized: times the target's aspect X / Y
  double factor_low = 1.0, factor_high = 1.25;         // scaled: at least 1
};

// Throws Error (usage) that names the field if a range is empty or outside its bounds.
void check_crop_spec(const CropSpec& spec);

// A cut for training. After ten parts that do not fit inside the frame (it is much longer than the target)
// `resized` falls back on even_crop, i = 0 of 1.
Crop random_crop(int height, int width, int Y, int X, const CropSpec& spec, Random& random);

}  // namespace stp

// A stretch of a video through the anonymiser, numbers only: pictures at the model's size in, pictures and the
// decision out.
//
// The network was trained on clips of T frames of which every rate-th was taken. A chunk of rate T frames is
// therefore dealt out like cards: clip p has the frames p, p + rate, p + 2 rate, ... Every frame is in exactly
// one clip, and each clip looks like those of the training. A shorter chunk (the end of a video) is filled up
// as the recipe fills short clips; the filling is not delivered.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/clip.h"
#include "tools/experiment/recipe.h"

namespace stp {

// What the frames of a chunk became.
struct AnonymisedFrames {
  std::vector<std::uint8_t> rgb;   // (F, Y, X, 3) redrawn, 0 where dropped; empty if the model redraws nothing
  std::vector<std::uint8_t> keep;  // (F, rows, columns) 1: the tubelet at this place of the frame is kept
};

class ChunkAnonymiser {
 public:
  // `model` must outlive this. keep: ratio after each scorer; empty: as trained.
  ChunkAnonymiser(const Stprivacy& model, const Recipe& recipe, std::vector<double> keep);

  int frames() const { return rate_ * vit_.T; }  // of a whole chunk
  int height() const { return vit_.Y; }
  int width() const { return vit_.X; }
  int rows() const { return vit_.Y / vit_.y; }  // of tubelets
  int columns() const { return vit_.X / vit_.x; }
  std::size_t frame_bytes() const { return std::size_t(vit_.Y) * std::size_t(vit_.X) * 3; }
  std::size_t frame_cells() const { return std::size_t(rows()) * std::size_t(columns()); }

  // rgb: (F, Y, X, 3), 1 <= F <= frames(). Throws Error (failure) if the network's pixels are not finite.
  AnonymisedFrames operator()(std::span<const std::uint8_t> rgb) const;

 private:
  // Which frames of a chunk of `frames` frames make clip `phase`, (T), and how many of them are delivered.
  struct Places {
    std::vector<int> frames;
    int delivered = 0;
  };
  Places places(int phase, int frames) const;
  void anonymise(std::span<const std::uint8_t> rgb, std::span<const Places> clips, AnonymisedFrames& out) const;
  void deliver_keep(std::span<const float> keep, const Places& clip, AnonymisedFrames& out) const;
  void deliver_pixels(std::span<const float> pixels, const Places& clip, AnonymisedFrames& out) const;
  std::uint8_t as_byte(float value, std::size_t channel) const;

  const Stprivacy& model_;
  VitOptions vit_;
  int rate_;
  Padding padding_;
  std::vector<double> mean_, deviation_, keep_;
};

}  // namespace stp

// Obfuscations that need no training: the down-sampling, blur and blackening of the paper's Table 1. Blur and
// blackening act on frames as they are stored, before anything is scaled, so that a kernel means the same for
// every clip size; down-sampling acts on clips as recognisers are given them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/boxes.h"

namespace stp {

struct Obfuscation {
  enum class Kind : std::uint8_t { none, downsample, blur, blacken };
  // Which part of a frame is blurred or blackened. Without a detector of persons it is never guessed which one
  // was meant: a table of results names it.
  enum class Where : std::uint8_t {
    frame,   // all of it
    motion,  // the box around what moves
    boxes    // the boxes of a file, made by any detector
  };
  Kind kind = Kind::none;
  Where where = Where::frame;
  int factor = 2;        // down-sampling: rows and columns over those that are left
  bool nearest = false;  // enlarged again by repeating pixels instead of linearly
  int kernel = 13;       // blur: side of the kernel in pixels of the stored frame, odd
  double sigma = 10;     // and its standard deviation
  std::filesystem::path boxes;
};

// Throws Error (usage) for a factor, kernel or sigma that cannot be meant, or boxes without a file.
void check_obfuscation(const Obfuscation& obfuscation);

// (2^14)ths of the Gaussian on -r .. r, r = (kernel - 1) / 2, which sum to 2^14.
std::vector<int> gaussian_taps(int kernel, double sigma);

// Blurs what lies in `box`, from the pixels in and around it, mirrored at the frame's edges (without repeating
// the edge). rgb: (height, width, 3). Integers: the same bits on every machine.
void blur(std::span<std::uint8_t> rgb, int height, int width, const Box& box, const std::vector<int>& taps);

void blacken(std::span<std::uint8_t> rgb, int height, int width, const Box& box);

// Every frame of the clip (T, Y, X, 3) reduced by `factor` (no aliasing) and enlarged again.
void coarsen(std::span<std::uint8_t> clip, int T, int Y, int X, int factor, bool nearest);

// Makes the filters of a data set's items: each blurs or blackens the frames of one video. With a file of
// boxes, a frame without a box takes those of the last frame that has some, for up to 8 frames; without those
// it stays as it is, as the published blackening does.
class Obfuscator {
 public:
  // Throws Error (usage) for a bad obfuscation, a bad file of boxes, or an item that has none in it.
  Obfuscator(const Obfuscation& obfuscation, const std::vector<Item>& items);
  // Whether frames become others as they are decoded.
  bool acts_on_frames() const;
  // Null if they stay as they are.
  std::unique_ptr<FrameFilter> filter(std::size_t item) const;

 private:
  Obfuscation obfuscation_;
  std::vector<std::vector<BoxTable::Line>> boxes_;  // (items), with Where::boxes
};

}  // namespace stp

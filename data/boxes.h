// Parts of frames: boxes out of a file, which any detector may have made, and the box around what moves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/footage.h"

namespace stp {

// A part of a frame: columns x0 to x1, rows y0 to y1, ends excluded.
struct Box {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool operator==(const Box&) const = default;
};

// Boxes of videos, from a CSV file with the header video,frame,x0,y0,x1,y1[,score]: pixels of the stored frame,
// fractions rounded outwards; the frames of a video count from 0. The score is not used.
class BoxTable {
 public:
  explicit BoxTable(const std::filesystem::path& path);

  struct Line {
    int frame = 0;
    Box box;
  };
  // The lines of each item, in the order of their frames. Throws Error (usage) naming an item without any.
  std::vector<std::vector<Line>> find(const std::vector<Item>& items) const;

 private:
  std::string file_;
  std::vector<std::string> videos_;
  std::vector<std::vector<Line>> lines_;
};

// The box around what moves, from the frames of a video in their order. Luma differences of neighbouring frames
// are averaged over cells of 1/24 of the shorter side and smoothed over time, e <- 0.75 e + 0.25 |d|; a cell
// moves if e is at least kStill and a quarter of the frame's largest. The box holds all moving cells and one
// cell around them. Where nothing moved yet it is the whole frame; where nothing moves any more it stays.
class MotionBox {
 public:
  static constexpr double kStill = 1.5;  // of 255: above what coding noise leaves after smoothing
  Box operator()(const Picture& frame);

 private:
  void prepare(const Picture& frame);
  void measure();

  int height_ = 0, width_ = 0, cell_ = 0, rows_ = 0, columns_ = 0;
  std::vector<std::uint8_t> luma_, before_;
  std::vector<double> energy_;  // (rows, columns) of cells
  Box box_;
};

}  // namespace stp

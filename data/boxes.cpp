#include "data/boxes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <unordered_map>

#include "data/names.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

constexpr std::string_view kBoxesCure = "write video,frame,x0,y0,x1,y1 with an optional score";

// A coordinate: a plain decimal number in a range that no frame exceeds.
double coordinate(std::string_view text, const std::string& at) {
  const std::string number(text);
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(std::abs(value) <= 65536))
    refuse("{}: '{}' is no coordinate in pixels; {}", at, brief(text), kBoxesCure);
  return value;
}

BoxTable::Line line_of(const std::vector<std::string_view>& fields, const std::string& at) {
  if (fields.size() != 6 && fields.size() != 7)
    refuse("{}: {} columns, wanted 6 or 7; {}", at, fields.size(), kBoxesCure);
  BoxTable::Line line;
  line.frame = whole_number(fields[1], 10'000'000);
  if (line.frame < 0) refuse("{}: '{}' is no number of a frame; {}", at, brief(fields[1]), kBoxesCure);
  line.box = {static_cast<int>(std::floor(coordinate(fields[2], at))),
              static_cast<int>(std::floor(coordinate(fields[3], at))),
              static_cast<int>(std::ceil(coordinate(fields[4], at))),
              static_cast<int>(std::ceil(coordinate(fields[5], at)))};
  if (line.box.x0 >= line.box.x1 || line.box.y0 >= line.box.y1)
    refuse("{}: the box is empty; x0 must be below x1 and y0 below y1", at);
  return line;
}

// Luma of ITU-R BT.601 in eighths of a bit.
std::uint8_t luma(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) >> 8);
}

}  // namespace

BoxTable::BoxTable(const std::filesystem::path& path) : file_(shown(path)) {
  const TextFile file(path, "table of boxes");
  std::unordered_map<std::string, std::size_t> seen;
  for (const TextFile::Line& text : file.lines()) {
    const std::vector<std::string_view> fields = split(text.text, ',');
    if (text.number == file.lines().front().number && fields.front() == "video") continue;  // the header
    if (!stays_below(fields.front()))
      refuse("{}: '{}' is no clip; write CLASS/VIDEO below the data set's folder", file.at(text),
             brief(fields.front()));
    const auto [place, fresh] = seen.emplace(fields.front(), videos_.size());
    if (fresh) {
      videos_.emplace_back(fields.front());
      lines_.emplace_back();
    }
    lines_[place->second].push_back(line_of(fields, file.at(text)));
  }
  if (videos_.empty()) refuse("{}: no box; {}", file_, kBoxesCure);
  for (std::vector<Line>& lines : lines_) std::ranges::stable_sort(lines, {}, &Line::frame);
}

std::vector<std::vector<BoxTable::Line>> BoxTable::find(const std::vector<Item>& items) const {
  std::vector<std::string> names;
  names.reserve(items.size());
  for (const Item& item : items) names.push_back(item.name);
  const std::vector<int> found = match_names(names, videos_, file_);
  std::vector<std::vector<Line>> lines;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (found[i] < 0)
      refuse("{}: no box for {}; add its boxes, or choose another region", file_, shown(items[i].path));
    lines.push_back(lines_[static_cast<std::size_t>(found[i])]);
  }
  return lines;
}

Box MotionBox::operator()(const Picture& frame) {
  if (height_ != frame.height || width_ != frame.width) prepare(frame);
  std::swap(luma_, before_);
  luma_.resize(std::size_t{1} * height_ * width_);
  for (std::size_t i = 0; i < luma_.size(); ++i) luma_[i] = luma(&frame.rgb[3 * i]);
  if (!before_.empty()) measure();
  return box_;
}

void MotionBox::prepare(const Picture& frame) {
  height_ = frame.height;
  width_ = frame.width;
  cell_ = std::max(1, std::min(height_, width_) / 24);
  rows_ = (height_ + cell_ - 1) / cell_;
  columns_ = (width_ + cell_ - 1) / cell_;
  energy_.assign(std::size_t{1} * rows_ * columns_, 0.0);
  luma_.clear();
  box_ = {0, 0, width_, height_};
}

void MotionBox::measure() {
  std::vector<double> sum(energy_.size(), 0.0), pixels(energy_.size(), 0.0);
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) {
      const std::size_t at = std::size_t{1} * y * width_ + x,
                        cell = std::size_t{1} * (y / cell_) * columns_ + x / cell_;
      sum[cell] += std::abs(luma_[at] - before_[at]);
      pixels[cell] += 1;
    }
  }
  for (std::size_t i = 0; i < energy_.size(); ++i) energy_[i] = 0.75 * energy_[i] + 0.25 * sum[i] / pixels[i];
  const double moving = std::max(kStill, *std::ranges::max_element(energy_) / 4);
  int top = rows_, bottom = -1, left = columns_, right = -1;
  for (int r = 0; r < rows_; ++r) {
    for (int c = 0; c < columns_; ++c) {
      if (energy_[std::size_t{1} * r * columns_ + c] < moving) continue;
      top = std::min(top, r);
      bottom = std::max(bottom, r);
      left = std::min(left, c);
      right = std::max(right, c);
    }
  }
  if (bottom < 0) return;
  box_ = {std::max(0, left - 1) * cell_, std::max(0, top - 1) * cell_, std::min(width_, (right + 2) * cell_),
          std::min(height_, (bottom + 2) * cell_)};
}

}  // namespace stp

#include "data/obfuscation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "data/resize.h"
#include "engine/check.h"

namespace stp {
namespace {

using Kind = Obfuscation::Kind;
using Where = Obfuscation::Where;

constexpr int kTapsOne = 1 << 14;  // of the taps
constexpr int kHoldFrames = 8;     // a box stands for this many frames after its own that have none

// The pixel that stands at `i` of a line of n that is continued by its mirror image: n is at most n - 2.
int mirrored(int i, int n) {
  if (n == 1) return 0;
  const int period = 2 * (n - 1), at = ((i % period) + period) % period;
  return at < n ? at : period - at;
}

Box inside(const Box& box, int height, int width) {
  return {std::clamp(box.x0, 0, width), std::clamp(box.y0, 0, height), std::clamp(box.x1, 0, width),
          std::clamp(box.y1, 0, height)};
}

bool empty(const Box& box) { return box.x0 >= box.x1 || box.y0 >= box.y1; }

// Rounded to the nearest 8-bit value.
std::uint8_t whole(int sum, int shift) {
  return static_cast<std::uint8_t>(std::clamp((sum + (1 << (shift - 1))) >> shift, 0, 255));
}

}  // namespace

void check_obfuscation(const Obfuscation& o) {
  check(o.factor >= 1 && o.factor <= 64, "obfuscation: factor is {}, wanted 1 to 64", o.factor);
  check(o.kernel >= 1 && o.kernel <= 255 && o.kernel % 2 == 1,
        "obfuscation: a blur of {0} x {0} pixels; give an odd side from 1 to 255", o.kernel);
  check(o.sigma > 0 && o.sigma <= 1000, "obfuscation: sigma is {}, wanted above 0 and up to 1000", o.sigma);
  check(o.where != Where::boxes || !o.boxes.empty(), "obfuscation: boxes are wanted and no file is named");
}

std::vector<int> gaussian_taps(int kernel, double sigma) {
  const int radius = kernel / 2;
  std::vector<double> weights;
  weights.reserve(static_cast<std::size_t>(kernel));
  for (int i = -radius; i <= radius; ++i) weights.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int> taps;
  taps.reserve(weights.size());
  for (const double weight : weights) taps.push_back(static_cast<int>(std::lround(kTapsOne * weight / sum)));
  // What rounding left over goes to the middle, so that an even picture stays what it is.
  taps[static_cast<std::size_t>(radius)] += kTapsOne - std::accumulate(taps.begin(), taps.end(), 0);
  return taps;
}

void blur(std::span<std::uint8_t> rgb, int height, int width, const Box& wanted, const std::vector<int>& taps) {
  const Box box = inside(wanted, height, width);
  if (empty(box)) return;
  const int radius = static_cast<int>(taps.size()) / 2, columns = box.x1 - box.x0;
  const int first = box.y0 - radius, rows = box.y1 - box.y0 + 2 * radius;
  // Rows first, in units of 2^-6; a row that lies beyond the edge is its mirror image.
  std::vector<std::uint16_t> across(std::size_t{3} * rows * columns);
  for (int r = 0; r < rows; ++r) {
    const std::uint8_t* line = &rgb[std::size_t{3} * mirrored(first + r, height) * width];
    for (int x = 0; x < columns; ++x) {
      std::array<int, 3> sum{};
      for (std::size_t k = 0; k < taps.size(); ++k) {
        const std::uint8_t* pixel = line + 3 * mirrored(box.x0 + x + static_cast<int>(k) - radius, width);
        for (std::size_t c = 0; c < 3; ++c) sum[c] += taps[k] * pixel[c];
      }
      for (std::size_t c = 0; c < 3; ++c)
        across[3 * (std::size_t{1} * r * columns + x) + c] = static_cast<std::uint16_t>((sum[c] + 128) >> 8);
    }
  }
  for (int y = 0; y < box.y1 - box.y0; ++y) {
    std::uint8_t* to = &rgb[3 * (std::size_t{1} * (box.y0 + y) * width + box.x0)];
    for (std::size_t i = 0; i < std::size_t{3} * columns; ++i) {
      int sum = 0;
      for (std::size_t k = 0; k < taps.size(); ++k)
        sum += taps[k] * across[(static_cast<std::size_t>(y) + k) * 3 * columns + i];
      to[i] = whole(sum, 20);
    }
  }
}

void blacken(std::span<std::uint8_t> rgb, int height, int width, const Box& wanted) {
  const Box box = inside(wanted, height, width);
  if (empty(box)) return;
  for (int y = box.y0; y < box.y1; ++y)
    std::fill_n(&rgb[3 * (std::size_t{1} * y * width + box.x0)], std::size_t{3} * (box.x1 - box.x0), 0);
}

void coarsen(std::span<std::uint8_t> clip, int T, int Y, int X, int factor, bool nearest) {
  const int y = std::max(1, Y / factor), x = std::max(1, X / factor);
  Resizer down(Y, X, Region::whole(Y, X), y, x), up(y, x, Region::whole(y, x), Y, X);
  std::vector<std::uint8_t> small(std::size_t{3} * y * x);
  const std::size_t bytes = std::size_t{3} * Y * X;
  for (int t = 0; t < T; ++t) {
    const std::span<std::uint8_t> frame = clip.subspan(static_cast<std::size_t>(t) * bytes, bytes);
    down(frame, small);
    if (!nearest) {
      up(small, frame);
      continue;
    }
    for (int i = 0; i < Y; ++i) {
      for (int j = 0; j < X; ++j)
        std::copy_n(&small[3 * (std::size_t{1} * (i * y / Y) * x + j * x / X)], 3,
                    &frame[3 * (std::size_t{1} * i * X + j)]);
    }
  }
}

namespace {

// Blurs or blackens the frames of one video.
class Hider : public FrameFilter {
 public:
  Hider(const Obfuscation& obfuscation, std::vector<BoxTable::Line> boxes)
      : obfuscation_(obfuscation),
        boxes_(std::move(boxes)),
        taps_(obfuscation.kind == Kind::blur ? gaussian_taps(obfuscation.kernel, obfuscation.sigma)
                                             : std::vector<int>()) {}

  bool needs_every_frame() const override { return obfuscation_.where == Where::motion; }
  Picture operator()(int number, const Picture& frame) override {
    rgb_.assign(frame.rgb.begin(), frame.rgb.end());
    switch (obfuscation_.where) {
      case Where::frame:
        hide({0, 0, frame.width, frame.height}, frame);
        break;
      case Where::motion:
        hide(motion_(frame), frame);
        break;
      case Where::boxes: {
        const auto after = std::ranges::upper_bound(boxes_, number, {}, &BoxTable::Line::frame);
        if (after == boxes_.begin()) break;
        const int last = std::prev(after)->frame;  // the latest frame up to this one that has boxes
        if (number - last > kHoldFrames) break;
        for (auto line = after; line != boxes_.begin() && std::prev(line)->frame == last; --line)
          hide(std::prev(line)->box, frame);
      }
    }
    return {frame.height, frame.width, rgb_};
  }

 private:
  void hide(const Box& box, const Picture& frame) {
    if (obfuscation_.kind == Kind::blur) {
      blur(rgb_, frame.height, frame.width, box, taps_);
    } else {
      blacken(rgb_, frame.height, frame.width, box);
    }
  }

  Obfuscation obfuscation_;
  std::vector<BoxTable::Line> boxes_;
  std::vector<int> taps_;
  MotionBox motion_;
  std::vector<std::uint8_t> rgb_;
};

}  // namespace

Obfuscator::Obfuscator(const Obfuscation& obfuscation, const std::vector<Item>& items)
    : obfuscation_(obfuscation) {
  check_obfuscation(obfuscation);
  if (acts_on_frames() && obfuscation.where == Where::boxes) boxes_ = BoxTable(obfuscation.boxes).find(items);
}

bool Obfuscator::acts_on_frames() const {
  return obfuscation_.kind == Kind::blur || obfuscation_.kind == Kind::blacken;
}

std::unique_ptr<FrameFilter> Obfuscator::filter(std::size_t item) const {
  if (!acts_on_frames()) return nullptr;
  return std::make_unique<Hider>(obfuscation_, boxes_.empty() ? std::vector<BoxTable::Line>() : boxes_[item]);
}

}  // namespace stp

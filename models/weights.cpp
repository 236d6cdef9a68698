#include "models/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace stp {

namespace {

// Keys' cubic convolution kernel with a = -0.75 at distance d from a sample.
double cubic(double d) {
  constexpr double a = -0.75;
  d = std::abs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

// The four samples and weights that make position `i` of `size` new ones out of `old`.
struct Taps {
  std::array<std::int64_t, 4> at;
  std::array<double, 4> weight;
};
Taps taps(std::int64_t i, std::int64_t size, std::int64_t old) {
  const double centre =
      (static_cast<double>(i) + 0.5) * static_cast<double>(old) / static_cast<double>(size) - 0.5;
  const double below = std::floor(centre);
  Taps t{};
  for (std::size_t k = 0; k < 4; ++k) {
    const double sample = below - 1 + static_cast<double>(k);
    t.at[k] = std::clamp(static_cast<std::int64_t>(sample), std::int64_t{0}, old - 1);
    t.weight[k] = cubic(centre - sample);
  }
  return t;
}

std::int64_t square_root(std::int64_t n) {
  const auto root = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
  return root * root == n ? root : 0;
}

// Rows of the square grid that `tokens` positions are, with or without a class token; 0 if they are none.
std::int64_t grid_side(std::int64_t tokens) {
  if (tokens < 1) return 0;
  return square_root(tokens) > 0 ? square_root(tokens) : square_root(tokens - 1);
}

bool is_patch_kernel(const StoredTensor& tensor, const VitOptions& vit) {
  return tensor.shape == std::vector<std::int64_t>{vit.E, 3, vit.y, vit.x};
}

bool is_position(const StoredTensor& tensor, const VitOptions& vit) {
  return tensor.shape.size() == 3 && tensor.shape[0] == 1 && tensor.shape[2] == vit.E &&
         grid_side(tensor.shape[1]) > 0;
}

// Found here, what is no number is a matter of one file; found in training, of a loss far away.
std::vector<float> finite_floats(const SafetensorsFile& file, const std::string& name) {
  std::vector<float> values = file.floats(name);
  const auto bad = std::ranges::find_if(values, [](float x) { return !std::isfinite(x); });
  if (bad != values.end()) {
    refuse("{}: tensor {} holds {} at element {}; choose weights that are whole", shown(file.path()), name,
           *bad, bad - values.begin());
  }
  return values;
}

bool same_shape(const StoredTensor& tensor, const Shape& shape) {
  if (static_cast<int>(tensor.shape.size()) != shape.rank()) return false;
  for (int i = 0; i < shape.rank(); ++i) {
    if (tensor.shape[static_cast<std::size_t>(i)] != shape[i]) return false;
  }
  return true;
}

std::string text(const StoredTensor& tensor) { return fmt::format("({})", fmt::join(tensor.shape, ", ")); }

// The name a tensor of ours has in a picture model.
std::string image_name(const std::string& ours) {
  if (ours.starts_with("fc_norm.") || ours.starts_with("norm_recon."))
    return "norm" + ours.substr(ours.find('.'));
  return ours;
}

}  // namespace

std::vector<float> inflate_kernel(std::span<const float> image, std::int64_t kernels, std::int64_t pixels,
                                  std::int64_t frames, Inflation inflation) {
  check(static_cast<std::int64_t>(image.size()) == kernels * pixels && frames > 0,
        "inflate: {} values for {} kernels of {} pixels", image.size(), kernels, pixels);
  std::vector<float> clip;
  clip.reserve(image.size() * static_cast<std::size_t>(frames));
  for (std::int64_t k = 0; k < kernels; ++k) {
    for (std::int64_t t = 0; t < frames; ++t) {
      const float factor = inflation == Inflation::averaging ? 1.0f / static_cast<float>(frames)
                                                             : (t == frames / 2 ? 1.0f : 0.0f);
      for (std::int64_t i = 0; i < pixels; ++i)
        clip.push_back(factor * image[static_cast<std::size_t>(k * pixels + i)]);
    }
  }
  return clip;
}

std::vector<float> resize_grid(std::span<const float> grid, std::int64_t rows, std::int64_t columns,
                               std::int64_t E, std::int64_t new_rows, std::int64_t new_columns) {
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(new_rows * new_columns * E));
  for (std::int64_t r = 0; r < new_rows; ++r) {
    const Taps down = taps(r, new_rows, rows);
    for (std::int64_t c = 0; c < new_columns; ++c) {
      const Taps across = taps(c, new_columns, columns);
      for (std::int64_t e = 0; e < E; ++e) {
        double sum = 0;
        for (std::size_t i = 0; i < 4; ++i) {
          for (std::size_t j = 0; j < 4; ++j) {
            const auto at = static_cast<std::size_t>((down.at[i] * columns + across.at[j]) * E + e);
            sum += down.weight[i] * across.weight[j] * static_cast<double>(grid[at]);
          }
        }
        out.push_back(static_cast<float>(sum));
      }
    }
  }
  return out;
}

std::vector<float> inflate_position(std::span<const float> image, std::int64_t E, std::int64_t slots,
                                    std::int64_t new_rows, std::int64_t new_columns) {
  const std::int64_t tokens = static_cast<std::int64_t>(image.size()) / E;
  const std::int64_t side = grid_side(tokens), class_tokens = tokens - side * side;
  check(side > 0 && tokens * E == static_cast<std::int64_t>(image.size()),
        "position embedding: {} positions are no square grid, with or without a class token", tokens);
  const auto grid = image.subspan(static_cast<std::size_t>(class_tokens * E));
  const std::vector<float> slot = side == new_rows && side == new_columns
                                      ? std::vector<float>(grid.begin(), grid.end())
                                      : resize_grid(grid, side, side, E, new_rows, new_columns);
  std::vector<float> clip;
  for (std::int64_t s = 0; s < slots; ++s) clip.insert(clip.end(), slot.begin(), slot.end());
  return clip;
}

ImportReport import_weights(const SafetensorsFile& file, const Parameters& parameters, const VitOptions& vit,
                            Inflation inflation) {
  ImportReport report;
  std::set<std::string> used;
  for (const Parameter& p : parameters.all()) {
    const std::string name = file.find(p.name) ? p.name : image_name(p.name);
    const StoredTensor* stored = file.find(name);
    if (!stored) {
      report.missing.push_back(p.name);
      continue;
    }
    used.insert(name);
    const std::vector<float> values = finite_floats(file, name);
    if (same_shape(*stored, p.shape)) {
      p.tensor.assign(values);
      report.matched.push_back(p.name);
    } else if (p.name == "patch_embed.proj.weight" && is_patch_kernel(*stored, vit)) {
      p.tensor.assign(
          inflate_kernel(values, vit.E * 3, static_cast<std::int64_t>(vit.y) * vit.x, vit.t, inflation));
      report.inflated.push_back({p.name, fmt::format("{} over {} frames", text(*stored), vit.t)});
    } else if (p.name == "pos_embed" && is_position(*stored, vit)) {
      p.tensor.assign(inflate_position(values, vit.E, vit.slots(), vit.Y / vit.y, vit.X / vit.x));
      report.inflated.push_back({p.name, fmt::format("{} to {} slots of {} x {}", text(*stored), vit.slots(),
                                                     vit.Y / vit.y, vit.X / vit.x)});
    } else {
      refuse("{}: tensor {} is {}, wanted {}; choose a model of this width, depth and patch size",
             shown(file.path()), name, text(*stored), p.shape);
    }
  }
  for (const StoredTensor& tensor : file.tensors()) {
    if (!used.contains(tensor.name)) report.unused.push_back(tensor.name);
  }
  if (used.empty())
    refuse("{}: no tensor has a name of this model; wanted are timm's, as blocks.0.attn.qkv.weight",
           shown(file.path()));
  return report;
}

}  // namespace stp

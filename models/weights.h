// Weights of images for videos: how a vision transformer trained on pictures starts one for clips.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/parameters.h"
#include "engine/safetensors.h"
#include "models/vit.h"

namespace stp {

// How a 2-D patch kernel becomes a 3-D one.
enum class Inflation {
  averaging,  // repeated over time and divided by the frames: a still clip gives what the picture gave
  central     // in the middle frame (frames / 2), zeros elsewhere
};

// (E, C, y, x) -> (E, C, frames, y, x); `image` holds E C y x values.
std::vector<float> inflate_kernel(std::span<const float> image, std::int64_t kernels, std::int64_t pixels,
                                  std::int64_t frames, Inflation inflation);

// A grid of positions, rows x columns of E values, resized bicubically (Keys' kernel with a = -0.75, pixel
// centres aligned, edges repeated; as torch's interpolate with align_corners = false).
std::vector<float> resize_grid(std::span<const float> grid, std::int64_t rows, std::int64_t columns,
                               std::int64_t E, std::int64_t new_rows, std::int64_t new_columns);

// Position embedding of a picture, (1 or 0 class tokens + rows x columns) x E, for `slots` time slots of a new
// grid: class token dropped, grid resized, repeated over slots.
std::vector<float> inflate_position(std::span<const float> image, std::int64_t E, std::int64_t slots,
                                    std::int64_t new_rows, std::int64_t new_columns);

// What became of each name.
struct ImportReport {
  struct Change {
    std::string name, how;
  };
  std::vector<std::string> matched;  // copied as they are
  std::vector<Change> inflated;      // patch kernel and position embedding, with what was done
  std::vector<std::string> missing;  // parameters of ours that the file lacks: they keep their start
  std::vector<std::string> unused;   // tensors of the file that we have no place for
};

// Loads by name what fits. A tensor of the right name and a wrong shape that is neither inflated nor resized is
// an error, as is a file of which nothing fits. The final norm of a picture model, `norm`, starts our
// `fc_norm`.
ImportReport import_weights(const SafetensorsFile& file, const Parameters& parameters, const VitOptions& vit,
                            Inflation inflation);

}  // namespace stp

// What is asked of the anonymiser, and the names of the files it writes.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "tools/experiment/run.h"

namespace stp {

// Learned: the network's pixels. Mask: the original with the dropped tubelets black; people remain visible.
enum class AnonymiseMode : std::uint8_t { learned, mask };
enum class OutputSize : std::uint8_t { model, source };

struct AnonymiseOptions {
  AnonymiseMode mode = AnonymiseMode::learned;
  OutputSize size = OutputSize::model;
  std::optional<double> alpha;  // part of the tokens each scorer keeps; not given: as trained
  bool lossless = false, force = false, preview = false;
  int quality = 18;  // VideoSpec::quality
};

// One video in, one out, and the files beside it.
struct AnonymiseJob {
  std::filesystem::path input, output;

  std::filesystem::path sidecar() const { return output.string() + ".json"; }
  std::filesystem::path preview() const {
    return output.parent_path() / (output.stem().string() + ".ORIGINAL-VISIBLE" + output.extension().string());
  }
};

// The ratio kept after each scorer under these options.
std::vector<double> keep_ratios(const LoadedModel& model, const AnonymiseOptions& options);

// Throws Error (usage) if the model cannot do what is asked: learned pixels of a model that redraws nothing, a
// mask of one that drops nothing, a ratio that leaves nothing.
void check_model(const LoadedModel& model, const AnonymiseOptions& options);

}  // namespace stp

// A tiny model that counts as trained, and small videos, for the tests of the anonymiser.
#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "data/synthetic.h"
#include "tests/data/video_samples.h"
#include "tests/program.h"
#include "tests/temporary.h"
#include "tools/anonymise/job.h"
#include "tools/anonymise/plan.h"

namespace stp::test {

namespace fs = std::filesystem;

// Chunks of 8 frames: 2 clips of 4 frames of 16 x 16, in tubelets of 2 x 8 x 8, of which 2 of 4 in a slot stay.
inline Recipe tiny_recipe(const fs::path& data) {
  Recipe recipe;
  recipe.data.videos = (data / "videos").string();
  recipe.data.splits = (data / "splits").string();
  recipe.data.labels = (data / "labels.csv").string();
  recipe.data.rate = 2;
  recipe.model.frames = 4;
  recipe.model.height = recipe.model.width = 16;
  recipe.model.tubelet = {2, 8, 8};
  recipe.model.embedding = 12;
  recipe.model.heads = 2;
  recipe.model.depth = 2;
  recipe.model.score_before = {1};
  recipe.model.alpha = 0.5;
  recipe.recogniser.embedding = 12;
  recipe.recogniser.heads = 2;
  recipe.recogniser.depth = 1;
  recipe.train.batch = 2;
  return recipe;
}

// Model files, made once for all tests of the program.
class Models {
 public:
  static const Models& get() {
    static const Models models;
    return models;
  }
  // Of parts "both", "sparsification" or "anonymisation".
  fs::path file(const std::string& parts = "both") const { return folder_ / (parts + ".safetensors"); }
  LoadedModel load(const std::string& parts = "both") const {
    return load_model(file(parts), Backend(Device::cpu));
  }
  fs::path data() const { return folder_ / "data"; }

 private:
  Models() {
    SyntheticOptions options;
    options.clips = 48;
    options.width = options.height = 32;
    options.frames = 4;
    synthesize(data(), options);
    for (const std::string parts : {"both", "sparsification", "anonymisation"}) {
      Recipe recipe = tiny_recipe(data());
      recipe.model.parts = parts;
      const Experiment experiment(recipe, Backend(Device::cpu));
      save_model(file(parts), experiment);
    }
  }
  TemporaryFolder folder_;
};

// One video and where it goes, in a folder of its own.
struct Bench {
  TemporaryFolder folder;
  Console console{Verbosity::quiet};
  AnonymiseJob job = {folder / "in.mp4", folder / "out.mp4"};

  AnonymiseReport run(const AnonymiseOptions& options, const std::string& parts = "both") {
    return anonymise_video(Models::get().load(parts), options, job, console);
  }
  std::string error_of(const AnonymiseOptions& options, const std::string& parts = "both") {
    return stp::error_of([&] { run(options, parts); });
  }
  nlohmann::json sidecar() const { return nlohmann::json::parse(content(job.sidecar())); }
};

inline VideoSpec video_spec(int width = 48, int height = 32) {
  VideoSpec spec;
  spec.width = width;
  spec.height = height;
  return spec;
}

}  // namespace stp::test

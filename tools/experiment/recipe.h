// A recipe: everything that makes an experiment, in one place. The TOML file, --set, --help and the saved
// config.toml all come from the table in recipe.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "engine/config.h"
#include "engine/memory.h"
#include "models/adversary.h"
#include "models/baselines/frame_anonymiser.h"
#include "models/weights.h"

namespace stp {

// Learning rate of one network over one phase: linear warm-up, then half a cosine.
struct RateRecipe {
  double peak = 1e-3, floor = 1e-6;
  double warmup = 0.05;  // part of the phase's steps
};

struct DataRecipe {
  std::string layout = "hmdb51";
  std::string videos = "runs/data/synth/videos", splits = "runs/data/synth/splits",
              labels = "runs/data/synth/labels.csv";
  std::string frame_labels;  // empty: privacy is judged by clips
  std::string frame_training;
  int split = 1;
  std::vector<std::string> classes;
  bool skip_missing = false;
  int rate = 2;
  std::string padding = "loop", crop = "resized";
  double crop_area_low = 0.5, crop_factor_high = 1.25;
  double flip = 0.5, jitter = 0.0, grayscale = 0.0, erase = 0.0;
  std::vector<double> mean = {0.485, 0.456, 0.406}, deviation = {0.229, 0.224, 0.225};
  int short_side = 0, cache_mb = 0, workers = 2;
  std::string cache_dir;  // empty: decoded clips are not kept on disk
  int cache_disk_mb = 16384;
};

// What stands between the camera and whoever looks on: the rows of the paper's Table 1.
struct MethodRecipe {
  std::string name = "stprivacy";
  int factor = 2;  // of downsample
  std::string upsampling = "bilinear";
  int kernel = 13;  // of blur
  double sigma = 10;
  std::string region = "frame", boxes;  // of blur and blacken
  std::int64_t width = 64;              // of the network of collective, vita and spact
  int attackers = 2;                    // of vita's ensemble
  std::string confusion = "half";
};

struct ModelRecipe {
  int frames = 16, height = 112, width = 112;
  std::vector<int> tubelet = {2, 16, 16};
  std::int64_t embedding = 384, heads = 6, depth = 12, mlp_ratio = 4;
  double drop_path = 0;
  std::vector<std::int64_t> score_before = {3, 6, 9};
  double alpha = 0.7;
  std::vector<double> keep;  // empty: alpha, alpha^2, ...
  std::string selection = "slot", delivery = "best", pixel_head = "bounded", parts = "both",
              gumbel_input = "logprob";
  double temperature = 1, smoothing = 1e-6;
  std::string score_scale = "head";
  bool scorer_norm = true, spatial_level = true, temporal_level = true;
};

struct RecogniserRecipe {
  std::int64_t embedding = 384, heads = 6, depth = 12;
  double drop_path = 0, head_scale = 0.001;
};

struct WeightsRecipe {
  std::string start = "released";
  std::string image;  // safetensors of an image model; empty: random start
  std::string inflation = "averaging";
};

struct OptimizerRecipe {
  double weight_decay = 0.05, beta1 = 0.9, beta2 = 0.999, clip_norm = 1.0, layer_decay = 1.0;
  bool decay_scorers = false;  // all their parameters, as the released groups do
};

struct InitRecipe {
  std::int64_t steps = 0;
  double epochs = 80;
  RateRecipe rate;
  double ratio_weight = 1, pixel_weight = 0;
  double frozen = 0, backbone_cap = 1;  // released: 2 of 80 epochs, 0.1
};

struct AdversarialRecipe {
  std::int64_t steps = 0;
  double epochs = 40;
  RateRecipe anonymiser, action, privacy;
  std::string order = "sequential", privacy_term = "bounded", ratio_scope = "slot";
  double lambda_action = 0.5, lambda_privacy = 0.5, ratio_weight = 1;
  double lambda_privacy_ramp = 0;  // part of the phase over which lambda_privacy rises from 0
  bool gathered_update = true, freeze_sparsifier = false;
  int privacy_recognisers = 1;                   // all learn in every step; the anonymiser listens in turns
  bool mask_recogniser = false;                  // one more reads what is private in the mask alone
  int recogniser_steps = 1;                      // batches the recognisers learn for each of the anonymiser's
  std::int64_t recogniser_warmup = 0;            // steps in which only the recognisers learn
  std::int64_t restart_every = 0, catch_up = 0;  // of the privacy recogniser; 0: never
};

struct EvaluateRecipe {
  std::int64_t steps = 0;
  double epochs = 80;
  RateRecipe rate;
  int batch = 0;  // 0: train.batch
  int attackers = 3, raw_attackers = 1, mask_attackers = 1, frame_attackers = 0;
  bool reconstruction = false;
  std::int64_t reconstruction_width = 64;
  bool raw = true;
  int clips = 5, crops = 3;
};

struct TrainRecipe {
  std::string precision = "fp32", memory = "normal";
  int batch = 8, accumulate = 1;
  std::int64_t save_every = 200, log_every = 10;
};

struct Recipe {
  std::string name = "experiment";
  std::int64_t seed = 1;
  DataRecipe data;
  MethodRecipe method;
  ModelRecipe model;
  RecogniserRecipe recogniser;
  WeightsRecipe weights;
  OptimizerRecipe optimizer;
  TrainRecipe train;
  InitRecipe init;
  AdversarialRecipe adversarial;
  EvaluateRecipe evaluate;

  // Throws Error (usage) for what no single option can tell: a clip that is not whole tubelets, too few classes
  // ...
  void validate() const;

  VitOptions vit() const;
  StprivacyOptions stprivacy() const;
  RecogniserOptions recogniser_for(std::int64_t outputs) const;
  Math math() const;  // of a backend that carries the recipe out
  PixelRange pixel_range() const;
  Inflation inflation() const;
  DatasetSpec dataset() const;
  std::optional<DatasetSpec> frame_dataset() const;  // whose frames tell how private, if the recipe says so
  Obfuscation obfuscation() const;
  // Whether the method has to be learnt; by rewriting frame by frame, or as STPrivacy does.
  bool rewrites() const;
  bool trains() const { return method.name == "stprivacy" || rewrites(); }
  FrameAnonymiserOptions frame_anonymiser() const;
  // The method as tables of results name it, with what tells it from its variants: "blur 13x13 in boxes".
  std::string method_label() const;
  LoaderOptions loader(LoaderOptions::Views views, int batch, std::uint64_t stream) const;
};

// The layouts of data sets by their names in recipes.
std::vector<std::string> layout_names();
Layout layout_named(const std::string& name);

// Registers every option of the recipe, with its meaning and range.
void register_recipe(Schema& schema, Recipe& recipe);

// Reads a recipe file and flags ("key=value"). Relative paths of the data stay relative to the working folder.
Recipe load_recipe(const std::filesystem::path& file, const std::vector<std::string>& flags);

// The recipe as a device carries it out: precision "auto" becomes what the device is fast in.
Recipe settled(Recipe recipe, const Backend& backend);

// The resolved recipe as TOML.
std::string resolved(const Recipe& recipe);

}  // namespace stp

#include "tools/experiment/recipe.h"

#include <cmath>

#include "engine/rng.h"
#include "models/start.h"

namespace stp {

namespace {

void add_rate(Schema& s, const std::string& key, RateRecipe& rate, const std::string& whose) {
  s.add(key + "rate", &rate.peak, "peak learning rate of " + whose, at_least(0));
  s.add(key + "rate_floor", &rate.floor, "learning rate of " + whose + " at the end", at_least(0));
  s.add(key + "warmup", &rate.warmup, "part of the steps over which the rate of " + whose + " rises",
        between(0, 1));
}

void add_length(Schema& s, const std::string& phase, std::int64_t& steps, double& epochs) {
  s.add(phase + ".steps", &steps, "steps of the phase; 0: from epochs", at_least(0));
  s.add(phase + ".epochs", &epochs, "passes over the training clips", at_least(0));
}

void add_data(Schema& s, DataRecipe& d) {
  s.add("data.layout", &d.layout, "how the data set lies on disk", one_of(layout_names()));
  s.add("data.videos", &d.videos, "folder of CLASS/VIDEO");
  s.add("data.splits", &d.splits, "folder of the official lists; of layouts table and celebv_hq the file");
  s.add("data.labels", &d.labels, "CSV of privacy labels; empty where the lists hold them (celebv_hq, hvu)");
  s.add("data.frame_labels", &d.frame_labels,
        "folder of PA-HMDB51's labels: privacy is judged frame by frame on its videos; empty: on clips");
  s.add("data.frame_training", &d.frame_training,
        "folder of VISPR's pictures and annotations: from these the attackers learn, and all videos of "
        "PA-HMDB51 are for test; empty: they learn from 60 % of the videos");
  s.add("data.split", &d.split, "number of the official split", between(1, 3));
  s.add("data.classes", &d.classes, "only these classes; empty: all");
  s.add("data.skip_missing", &d.skip_missing, "leave out listed clips that are not on disk, and count them");
  s.add("data.rate", &d.rate, "every so many frames of a video are sampled", between(1, 64));
  s.add("data.padding", &d.padding, "what follows the end of a short video",
        one_of({"loop", "last", "mirror"}));
  s.add("data.crop", &d.crop, "how training clips are cut", one_of({"centre", "resized", "scaled"}));
  s.add("data.crop_area_low", &d.crop_area_low, "resized: least part of the frame's area", above_up_to(0, 1));
  s.add("data.crop_factor_high", &d.crop_factor_high, "scaled: largest enlargement before the cut",
        between(1, 4));
  s.add("data.flip", &d.flip, "probability of a mirrored clip; 0 where left and right matter", between(0, 1));
  s.add("data.jitter", &d.jitter, "probability of each of brightness, contrast, saturation, hue, gamma",
        between(0, 1));
  s.add("data.grayscale", &d.grayscale, "probability of a gray clip", between(0, 1));
  s.add("data.erase", &d.erase, "probability of an erased square", between(0, 1));
  s.add("data.mean", &d.mean, "mean of red, green, blue in [0, 1]", items(3, 3, between(0, 1)));
  s.add("data.deviation", &d.deviation, "standard deviation of red, green, blue",
        items(3, 3, above_up_to(0, 1)));
  s.add("data.short_side", &d.short_side, "frames are first scaled down to this shorter side; 0: not",
        between(0, 4096));
  s.add("data.cache_mb", &d.cache_mb, "megabytes of decoded frames kept in memory", between(0, 1 << 20));
  s.add("data.cache_dir", &d.cache_dir,
        "folder of decoded clips that runs share, made if it is not there; empty: none");
  s.add("data.cache_disk_mb", &d.cache_disk_mb, "megabytes that its clips may take; nothing is removed",
        between(0, 1 << 24));
  s.add("data.workers", &d.workers, "decoding threads", between(1, 64));
}

void add_method(Schema& s, MethodRecipe& m) {
  s.add("method.name", &m.name, "what is judged: a row of the paper's Table 1",
        one_of({"stprivacy", "raw", "downsample", "blur", "blacken", "collective", "vita", "spact"}));
  s.add("method.factor", &m.factor, "downsample: rows and columns over those that are left", between(1, 64));
  s.add("method.upsampling", &m.upsampling, "downsample: how clips are enlarged again",
        one_of({"bilinear", "nearest"}));
  s.add("method.kernel", &m.kernel, "blur: side of the kernel in pixels of the stored frame, odd",
        between(1, 255));
  s.add("method.sigma", &m.sigma, "blur: standard deviation of the kernel", above(0));
  s.add("method.region", &m.region, "blur and blacken: where; boxes are those of method.boxes",
        one_of({"frame", "motion", "boxes"}));
  s.add("method.boxes", &m.boxes, "CSV of boxes: video,frame,x0,y0,x1,y1[,score]");
  s.add("method.width", &m.width,
        "collective, vita, spact: channels of the frame network's first layer; published: 64, vita 32",
        between(2, 1024));
  s.add("method.attackers", &m.attackers, "vita: privacy recognisers of the ensemble", between(1, 16));
  s.add("method.confusion", &m.confusion,
        "vita: what outputs are driven to: one half, most entropy, or all present (the released code)",
        one_of({"half", "entropy", "present"}));
}

void add_model(Schema& s, ModelRecipe& m) {
  s.add("model.frames", &m.frames, "frames of a clip", between(1, 1024));
  s.add("model.height", &m.height, "rows of a clip", between(1, 4096));
  s.add("model.width", &m.width, "columns of a clip", between(1, 4096));
  s.add("model.tubelet", &m.tubelet, "frames, rows, columns of a tubelet", items(3, 3, between(1, 1024)));
  s.add("model.embedding", &m.embedding, "width of the tokens, divisible by 12 and by the heads",
        between(12, 16384));
  s.add("model.heads", &m.heads, "attention heads", between(1, 256));
  s.add("model.depth", &m.depth, "transformer blocks of the anonymiser", between(1, 256));
  s.add("model.mlp_ratio", &m.mlp_ratio, "MLP width over token width", between(1, 16));
  s.add("model.drop_path", &m.drop_path, "drop path rate of the last block", between(0, 0.9));
  s.add("model.score_before", &m.score_before, "a scorer runs before each of these blocks",
        items(1, 64, between(0, 255)));
  s.add("model.alpha", &m.alpha, "part of the tokens each scorer keeps", above_up_to(0, 1));
  s.add("model.keep", &m.keep, "part of all tokens left after each scorer; empty: alpha, alpha^2, ...",
        items(0, 64, above_up_to(0, 1)));
  s.add("model.selection", &m.selection,
        "inference: the best of each time slot (released code) or of the clip (paper)",
        one_of({"slot", "clip"}));
  s.add("model.delivery", &m.delivery,
        "inference: the highest scores (released code), or drawn with the noise of training",
        one_of({"best", "drawn"}));
  s.add("model.pixel_head", &m.pixel_head,
        "unbounded as released, or bounded to a real picture's range in 8 bits",
        one_of({"unbounded", "bounded"}));
  s.add("model.parts", &m.parts, "both, or one alone (Figure 4)",
        one_of({"both", "sparsification", "anonymisation"}));
  s.add("model.temperature", &m.temperature, "of the Gumbel-softmax", above(0));
  s.add("model.gumbel_input", &m.gumbel_input,
        "noise is added to logarithms (released code) or probabilities (paper)",
        one_of({"logprob", "probability"}));
  s.add("model.smoothing", &m.smoothing, "epsilon of the masked softmax; 1e-6 as released, 0 in the paper",
        between(0, 1));
  s.add("model.score_scale", &m.score_scale,
        "attention scores over sqrt of the head's width (code) or of the token's (paper)",
        one_of({"head", "token"}));
  s.add("model.scorer_norm", &m.scorer_norm, "the scorers' leading LayerNorm (released code)");
  s.add("model.spatial_level", &m.spatial_level, "scorers see the mean of the time slot");
  s.add("model.temporal_level", &m.temporal_level, "scorers see the mean of the clip");
}

void add_networks(Schema& s, Recipe& r) {
  s.add("recogniser.embedding", &r.recogniser.embedding, "width of the recognisers' tokens", between(1, 16384));
  s.add("recogniser.heads", &r.recogniser.heads, "attention heads of the recognisers", between(1, 256));
  s.add("recogniser.depth", &r.recogniser.depth, "transformer blocks of the recognisers", between(1, 256));
  s.add("recogniser.drop_path", &r.recogniser.drop_path, "drop path rate of the last block", between(0, 0.9));
  s.add("recogniser.head_scale", &r.recogniser.head_scale, "scale of the head at the start; 0 as released",
        between(0, 100));
  s.add("weights.start", &r.weights.start,
        "how networks start: released, or small: scaled to their width, positions as waves",
        one_of({"released", "small"}));
  s.add("weights.image", &r.weights.image,
        "safetensors of an image model that starts every network; empty: random");
  s.add("weights.inflation", &r.weights.inflation, "how a 2-D patch kernel becomes 3-D",
        one_of({"averaging", "central"}));
  s.add("optimizer.weight_decay", &r.optimizer.weight_decay, "AdamW's, on matrices only", between(0, 1));
  s.add("optimizer.beta1", &r.optimizer.beta1, "AdamW's first decay", between(0, 0.9999));
  s.add("optimizer.beta2", &r.optimizer.beta2, "AdamW's second decay", between(0, 0.99999));
  s.add("optimizer.clip_norm", &r.optimizer.clip_norm, "largest norm of a network's gradient; 0: not clipped",
        at_least(0));
  s.add("optimizer.layer_decay", &r.optimizer.layer_decay,
        "learning rate factor from each block to the one below", above_up_to(0, 1));
  s.add("optimizer.decay_scorers", &r.optimizer.decay_scorers,
        "weight decay on all scorer parameters (released groups)");
  s.add(
      "train.precision", &r.train.precision,
      "fp32; tf32: f32 whose products round their operands to 10 bits on cuda, and are exact on cpu; bf16: the "
      "blocks' activations stored in 16 bits; auto: bf16 where the device multiplies it faster, else fp32",
      one_of({"fp32", "tf32", "bf16", "auto"}));
  s.add("train.memory", &r.train.memory,
        "what backward computes again instead of keeping it, to the same bits; fast: little; normal: also the "
        "anonymiser's blocks while the recognisers learn; low: the blocks of all, for long clips",
        one_of({"fast", "normal", "low"}));
  s.add("train.batch", &r.train.batch, "clips of a step", between(1, 65536));
  s.add("train.accumulate", &r.train.accumulate, "batches whose gradients make one step", between(1, 4096));
  s.add("train.save_every", &r.train.save_every, "steps between checkpoints", at_least(1));
  s.add("train.log_every", &r.train.log_every, "steps between log lines", at_least(1));
}

void add_phases(Schema& s, Recipe& r) {
  InitRecipe& i = r.init;
  add_length(s, "init", i.steps, i.epochs);
  add_rate(s, "init.", i.rate, "the anonymiser");
  s.add("init.ratio_weight", &i.ratio_weight, "weight of L_Spars", at_least(0));
  s.add("init.pixel_weight", &i.pixel_weight,
        "weight of the squared difference between redrawn and true pixels", at_least(0));
  s.add("init.frozen", &i.frozen, "part of the steps in which the backbone rests; released: 2 of 80 epochs",
        between(0, 1));
  s.add("init.backbone_cap", &i.backbone_cap, "largest rate of the backbone over the scorers'; released: 0.1",
        above_up_to(0, 1));

  AdversarialRecipe& a = r.adversarial;
  add_length(s, "adversarial", a.steps, a.epochs);
  add_rate(s, "adversarial.", a.anonymiser, "the anonymiser");
  add_rate(s, "adversarial.action_", a.action, "the action recogniser");
  add_rate(s, "adversarial.privacy_", a.privacy, "the privacy recogniser");
  s.add("adversarial.order", &a.order, "who learns when", one_of({"sequential", "simultaneous", "alternate"}));
  s.add("adversarial.privacy_term", &a.privacy_term, "what the anonymiser wants of the privacy recogniser",
        one_of({"negative", "bounded", "confusion"}));
  s.add("adversarial.ratio_scope", &a.ratio_scope, "the keep ratio holds in each time slot or in the clip",
        one_of({"slot", "clip"}));
  s.add("adversarial.lambda_action", &a.lambda_action, "lambda_A", at_least(0));
  s.add("adversarial.lambda_privacy", &a.lambda_privacy, "lambda_P", at_least(0));
  s.add("adversarial.lambda_privacy_ramp", &a.lambda_privacy_ramp,
        "part of the steps over which lambda_P rises from 0", between(0, 1));
  s.add("adversarial.ratio_weight", &a.ratio_weight, "weight of L_Spars", at_least(0));
  s.add("adversarial.gathered_update", &a.gathered_update, "recognisers learn on kept tokens only");
  s.add("adversarial.freeze_sparsifier", &a.freeze_sparsifier, "only the last blocks and the pixel head learn");
  s.add("adversarial.privacy_recognisers", &a.privacy_recognisers,
        "how many read what is private; the anonymiser listens to them in turns", between(1, 16));
  s.add(
      "adversarial.mask_recogniser", &a.mask_recogniser,
      "one more reads what is private in which tubelets are kept; the anonymiser hides from it in every step");
  s.add("adversarial.recogniser_steps", &a.recogniser_steps,
        "batches the recognisers learn for each of the anonymiser's", between(1, 1000));
  s.add("adversarial.recogniser_warmup", &a.recogniser_warmup,
        "first steps, in which only the recognisers learn", at_least(0));
  s.add("adversarial.restart_every", &a.restart_every,
        "steps between fresh starts of the privacy recogniser; 0: never", at_least(0));
  s.add("adversarial.catch_up", &a.catch_up, "steps after a fresh start in which only recognisers learn",
        at_least(0));

  EvaluateRecipe& e = r.evaluate;
  add_length(s, "evaluate", e.steps, e.epochs);
  add_rate(s, "evaluate.", e.rate, "fresh recognisers");
  s.add("evaluate.batch", &e.batch, "clips of a step; 0: train.batch", between(0, 65536));
  s.add("evaluate.attackers", &e.attackers, "fresh privacy recognisers on what the method delivers",
        between(1, 100));
  s.add("evaluate.raw", &e.raw, "also judge the clips as they are");
  s.add("evaluate.raw_attackers", &e.raw_attackers, "fresh privacy recognisers on raw clips", between(1, 100));
  s.add("evaluate.mask_attackers", &e.mask_attackers,
        "fresh privacy recognisers that see only which tubelets were dropped", between(0, 100));
  s.add("evaluate.frame_attackers", &e.frame_attackers,
        "fresh convolutional privacy recognisers that see one frame at a time", between(0, 100));
  s.add("evaluate.reconstruction", &e.reconstruction,
        "a fresh UNet that learns to turn what is delivered back into raw frames");
  s.add("evaluate.reconstruction_width", &e.reconstruction_width,
        "channels of that UNet's first layer; published: 64", between(2, 1024));
  s.add("evaluate.clips", &e.clips, "clips of each test video", between(1, 100));
  s.add("evaluate.crops", &e.crops, "crops of each clip", between(1, 9));
}

Jitter jitter(double chance, double low, double high) { return {chance, low, high}; }

}  // namespace

namespace {

constexpr std::pair<const char*, Layout> kLayouts[] = {
    {"hmdb51", Layout::hmdb51}, {"ucf101", Layout::ucf101},       {"lists", Layout::lists},
    {"table", Layout::table},   {"celebv_hq", Layout::celebv_hq}, {"hvu", Layout::hvu}};

}  // namespace

std::vector<std::string> layout_names() {
  std::vector<std::string> names;
  for (const auto& [name, layout] : kLayouts) names.emplace_back(name);
  return names;
}

Layout layout_named(const std::string& name) {
  for (const auto& [known, layout] : kLayouts)
    if (name == known) return layout;
  fail("layout: no '{}'; there are {}", name, fmt::join(layout_names(), ", "));
}

void register_recipe(Schema& s, Recipe& r) {
  s.add("name", &r.name, "what the experiment is called");
  s.add("seed", &r.seed, "of every random draw", at_least(0));
  add_data(s, r.data);
  add_method(s, r.method);
  add_model(s, r.model);
  add_networks(s, r);
  add_phases(s, r);
}

void Recipe::validate() const {
  check_obfuscation(obfuscation());
  const auto check_halving = [&](const std::string& who, int multiple) {
    check(
        model.height % multiple == 0 && model.width % multiple == 0,
        "recipe: {} halves frames again and again; model.height {} and model.width {} must be multiples of {}",
        who, model.height, model.width, multiple);
  };
  if (rewrites()) check_halving("method " + method.name, method.name == "vita" ? 4 : 16);
  if (evaluate.reconstruction) check_halving("evaluate.reconstruction", 16);
  stprivacy().validate();
  recogniser_for(1).validate();
  check(weights.start != "small" || recogniser.embedding >= kSmallestWaves,
        "recipe: recogniser.embedding is {}; with weights.start = \"small\" it must be at least {} to tell "
        "positions apart",
        recogniser.embedding, kSmallestWaves);
  check(adversarial.order != "simultaneous" || adversarial.privacy_term == "negative",
        "recipe: adversarial.order = \"simultaneous\" shares one backward, so privacy_term must be "
        "\"negative\"; or choose "
        "order = \"sequential\"");
  check(adversarial.order != "simultaneous" || train.accumulate == 1,
        "recipe: adversarial.order = \"simultaneous\" is not built with train.accumulate above 1; choose "
        "\"sequential\"");
  check(
      !adversarial.mask_recogniser || (model.parts != "anonymisation" && !adversarial.freeze_sparsifier),
      "recipe: adversarial.mask_recogniser reads where tubelets are kept, and with {} nothing is learnt there; "
      "set it to false",
      model.parts == "anonymisation" ? "model.parts = \"anonymisation\"" : "adversarial.freeze_sparsifier");
  check(adversarial.restart_every == 0 || adversarial.catch_up < adversarial.restart_every,
        "recipe: adversarial.catch_up {} must be below restart_every {}", adversarial.catch_up,
        adversarial.restart_every);
}

VitOptions Recipe::vit() const {
  VitOptions v;
  v.T = model.frames;
  v.Y = model.height;
  v.X = model.width;
  v.t = model.tubelet.at(0);
  v.y = model.tubelet.at(1);
  v.x = model.tubelet.at(2);
  v.E = model.embedding;
  v.heads = model.heads;
  v.depth = model.depth;
  v.mlp_ratio = model.mlp_ratio;
  v.drop_path = model.drop_path;
  v.storage = train.precision == "bf16" ? Element::bf16 : Element::f32;
  v.activations = train.memory == "low" ? Activations::recomputed : Activations::kept;
  v.attention = {static_cast<float>(model.smoothing), model.score_scale == "token"};
  return v;
}

StprivacyOptions Recipe::stprivacy() const {
  StprivacyOptions o;
  o.vit = vit();
  o.scorer = {{model.spatial_level, model.temporal_level}, model.scorer_norm};
  o.score_before = model.score_before;
  o.keep = model.keep.empty() ? cumulative_keep(model.alpha, model.score_before.size()) : model.keep;
  o.selection = model.selection == "slot" ? Selection::slot : Selection::clip;
  o.delivery = model.delivery == "drawn" ? Delivery::drawn : Delivery::best;
  o.pixel_head = model.pixel_head == "bounded" ? PixelHead::bounded : PixelHead::unbounded;
  o.pixel_range = pixel_range();
  o.parts = model.parts == "both"
                ? Parts::both
                : (model.parts == "sparsification" ? Parts::sparsification : Parts::anonymisation);
  o.temperature = model.temperature;
  o.decide_on_probability = model.gumbel_input == "probability";
  return o;
}

RecogniserOptions Recipe::recogniser_for(std::int64_t outputs) const {
  RecogniserOptions o;
  o.vit = vit();
  o.vit.E = recogniser.embedding;
  o.vit.heads = recogniser.heads;
  o.vit.depth = recogniser.depth;
  o.vit.drop_path = recogniser.drop_path;
  o.outputs = outputs;
  o.head_scale = recogniser.head_scale;
  return o;
}

PixelRange Recipe::pixel_range() const {
  PixelRange range;
  for (std::size_t c = 0; c < 3; ++c) {
    range.low[c] = static_cast<float>((0 - data.mean[c]) / data.deviation[c]);
    range.high[c] = static_cast<float>((1 - data.mean[c]) / data.deviation[c]);
  }
  return range;
}

Inflation Recipe::inflation() const {
  return weights.inflation == "averaging" ? Inflation::averaging : Inflation::central;
}

std::optional<DatasetSpec> Recipe::frame_dataset() const {
  if (data.frame_labels.empty()) return std::nullopt;
  DatasetSpec spec;
  spec.layout = Layout::pa_hmdb51;
  spec.videos = data.videos;
  spec.splits = data.frame_labels;
  spec.split = data.split;
  spec.missing = data.skip_missing ? Missing::skip : Missing::refuse;
  return spec;
}

DatasetSpec Recipe::dataset() const {
  DatasetSpec spec;
  spec.layout = layout_named(data.layout);
  spec.videos = data.videos;
  spec.splits = data.splits;
  spec.labels = data.labels;
  spec.split = data.split;
  spec.classes = data.classes;
  spec.missing = data.skip_missing ? Missing::skip : Missing::refuse;
  return spec;
}

Obfuscation Recipe::obfuscation() const {
  Obfuscation o;
  if (method.name == "downsample") o.kind = Obfuscation::Kind::downsample;
  if (method.name == "blur") o.kind = Obfuscation::Kind::blur;
  if (method.name == "blacken") o.kind = Obfuscation::Kind::blacken;
  if (method.region == "motion") o.where = Obfuscation::Where::motion;
  if (method.region == "boxes") o.where = Obfuscation::Where::boxes;
  o.factor = method.factor;
  o.nearest = method.upsampling == "nearest";
  o.kernel = method.kernel;
  o.sigma = method.sigma;
  o.boxes = method.boxes;
  return o;
}

bool Recipe::rewrites() const {
  return method.name == "collective" || method.name == "vita" || method.name == "spact";
}

FrameAnonymiserOptions Recipe::frame_anonymiser() const {
  FrameAnonymiserOptions o;
  o.network =
      method.name == "vita" ? FrameAnonymiserOptions::Network::itnet : FrameAnonymiserOptions::Network::unet;
  o.width = method.width;
  o.T = model.frames;
  o.Y = model.height;
  o.X = model.width;
  for (std::size_t c = 0; c < 3; ++c) {
    o.mean[c] = static_cast<float>(data.mean[c]);
    o.deviation[c] = static_cast<float>(data.deviation[c]);
  }
  return o;
}

std::string Recipe::method_label() const {
  const std::string where = method.region == "frame" ? "" : " in " + method.region;
  if (method.name == "downsample") {
    return fmt::format("downsample {}x{}", method.factor, method.upsampling == "nearest" ? " nearest" : "");
  }
  if (method.name == "blur") return fmt::format("blur {0}x{0}{1}", method.kernel, where);
  return method.name + where;
}

LoaderOptions Recipe::loader(LoaderOptions::Views views, int batch, std::uint64_t stream) const {
  LoaderOptions o;
  o.views = views;
  o.T = model.frames;
  o.rate = data.rate;
  o.Y = model.height;
  o.X = model.width;
  o.padding =
      data.padding == "loop" ? Padding::loop : (data.padding == "last" ? Padding::last : Padding::mirror);
  o.batch = batch;
  o.seed = stream_id("loader", {static_cast<std::uint64_t>(seed), stream});
  o.crop.kind = data.crop == "centre"
                    ? CropSpec::Kind::centre
                    : (data.crop == "resized" ? CropSpec::Kind::resized : CropSpec::Kind::scaled);
  o.crop.area_low = data.crop_area_low;
  o.crop.factor_high = data.crop_factor_high;
  o.augment.flip = data.flip;
  o.augment.brightness = o.augment.contrast = o.augment.saturation = jitter(data.jitter, 0.9, 1.1);
  o.augment.gamma = jitter(data.jitter, 0.85, 1.15);
  o.augment.hue = jitter(data.jitter, -0.05, 0.05);
  o.augment.grayscale = data.grayscale;
  o.augment.erase.chance = data.erase;
  o.clips = evaluate.clips;
  o.crops = evaluate.crops;
  o.short_side = data.short_side;
  o.cache_dir = data.cache_dir;
  o.cache_disk_bytes = static_cast<std::uint64_t>(data.cache_disk_mb) << 20;
  o.threads = data.workers;
  o.obfuscation = obfuscation();
  return o;
}

Recipe load_recipe(const std::filesystem::path& file, const std::vector<std::string>& flags) {
  Recipe recipe;
  Schema schema;
  register_recipe(schema, recipe);
  schema.load(file, flags);
  recipe.validate();
  return recipe;
}

Recipe settled(Recipe recipe, const Backend& backend) {
  std::string& precision = recipe.train.precision;
  if (precision == "auto") precision = facts_of(backend.device()).bf16 ? "bf16" : "fp32";
  return recipe;
}

Math Recipe::math() const { return train.precision == "tf32" ? Math::tf32 : Math::exact; }

std::string resolved(const Recipe& recipe) {
  Recipe copy = recipe;
  Recipe preset;
  Schema schema;
  register_recipe(schema, preset);
  preset = copy;
  return schema.resolved();
}

}  // namespace stp

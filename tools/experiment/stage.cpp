#include "tools/experiment/stage.h"

#include <algorithm>
#include <cmath>

#include "data/pa_hmdb51.h"
#include "data/tags.h"
#include "engine/digest.h"
#include "engine/file.h"
#include "engine/rng.h"
#include "models/start.h"

namespace stp {

namespace {

// VISPR's pictures, each a video of one frame. An annotation's image_path begins with the folder's own name.
std::vector<Item> vispr_items(const std::filesystem::path& folder) {
  const TagTable table = read_vispr(folder, VisprLabels::pa_hmdb51);
  std::vector<Item> items;
  for (const TagTable::Row& row : table.rows) {
    PaVideo picture;
    picture.name = row.name;
    for (std::size_t a = 0; a < row.values.size(); ++a) picture.segments[a] = {{0, 0, row.values[a] != 0}};
    Item item;
    item.path = folder / std::filesystem::path(row.name).filename();
    item.name = row.name;
    item.frames = std::make_shared<const PaVideo>(std::move(picture));
    item.still = true;
    items.push_back(std::move(item));
  }
  return items;
}

// Moves the items of classes that the action's data has to `to`, numbered as there.
void take_known(const Dataset& frames, std::vector<Item>& items, const Dataset& data, std::vector<Item>& to) {
  for (Item& item : items) {
    const auto known = std::ranges::find(data.classes, frames.classes[static_cast<std::size_t>(item.label)]);
    if (known == data.classes.end()) continue;
    item.label = static_cast<int>(known - data.classes.begin());
    to.push_back(std::move(item));
  }
}

// PA-HMDB51's videos of the classes that the action's data has. The paper's attackers learn from 60 % of them,
// those of VITA and SPAct from VISPR's pictures.
std::optional<Dataset> read_frames(const Recipe& recipe, const Dataset& data) {
  const std::optional<DatasetSpec> spec = recipe.frame_dataset();
  if (!spec) return std::nullopt;
  Dataset videos = read_dataset(*spec), frames;
  frames.classes = data.classes;
  frames.attributes.assign(kPaAttributes.begin(), kPaAttributes.end());
  if (recipe.data.frame_training.empty()) {
    take_known(videos, videos.train, data, frames.train);
  } else {
    check(data.attributes.size() == kPaAttributes.size(),
          "{}: {} attributes, PA-HMDB51 has {}; name the labels of VP-HMDB51", recipe.data.labels,
          data.attributes.size(), kPaAttributes.size());
    take_known(videos, videos.train, data, frames.test);
    frames.train = vispr_items(recipe.data.frame_training);
  }
  take_known(videos, videos.test, data, frames.test);
  check(!frames.train.empty() && !frames.test.empty(),
        "{}: {} training and {} test videos are of the data's classes and on disk; both are needed",
        shown(spec->splits), frames.train.size(), frames.test.size());
  return frames;
}

LabelTable frame_table(const Dataset& data, const std::vector<Item>& items) {
  LabelTable table;
  table.classes = data.classes.size();
  table.attributes = kPaAttributes.size();
  for (const Item& item : items) {
    for (int frame = 0; item.frames && frame < item.frames->frames(); ++frame) {
      const auto labels = item.frames->all_at(frame);
      if (!labels) continue;
      table.actions.push_back(item.label);
      table.positive.insert(table.positive.end(), labels->begin(), labels->end());
    }
  }
  return table;
}

}  // namespace

LabelTable label_table(const Dataset& data, const std::vector<Item>& items) {
  LabelTable table;
  table.classes = data.classes.size();
  table.attributes = data.attributes.size();
  for (const Item& item : items) {
    table.actions.push_back(item.label);
    for (float a : item.attributes) table.positive.push_back(a > 0.5f ? 1 : 0);
    for (float a : item.actions) table.shown.push_back(a > 0.5f ? 1 : 0);
  }
  return table;
}

JudgedLabels judged_labels(const Dataset& data, const std::optional<Dataset>& frames) {
  if (!frames) return {label_table(data, data.train), label_table(data, data.test)};
  // Pictures show no action: what goes with actions is then known from the clips.
  const bool pictures = frames->train.front().still;
  return {pictures ? label_table(data, data.train) : frame_table(data, frames->train),
          frame_table(data, frames->test)};
}

JudgedLabels judged_labels(const Recipe& recipe) {
  const Dataset data = read_dataset(recipe.dataset());
  return judged_labels(data, read_frames(recipe, data));
}

std::string data_digest(const Dataset& data) {
  Digest all;
  for (const std::string& name : data.classes) all.add(name + "\n");
  for (const std::string& name : data.attributes) all.add(name + "\n");
  for (const auto* part : {&data.train, &data.test}) {
    all.add(fmt::format("{}\n", part->size()));
    for (const Item& item : *part)
      all.add(fmt::format("{}\n{}\n{}\n{}", item.name, item.label, fmt::join(item.attributes, " "),
                          fmt::join(item.actions, " ")));
    for (const int positive : frame_table(data, *part).positive) all.add(positive > 0 ? "1" : "0");
  }
  return hexadecimal(all.value());
}

Experiment::Experiment(const Recipe& experiment, const Backend& device)
    : recipe(experiment),
      data(read_dataset(experiment.dataset())),
      frames(read_frames(experiment, data)),
      footage(std::make_shared<FootageMemory>(static_cast<std::size_t>(experiment.data.cache_mb) << 20)),
      backend(device) {
  backend.multiply_in(recipe.math());
  check(data.classes.size() >= 2, "data: {} class; an action recogniser needs at least two",
        data.classes.size());
  const std::size_t batch = static_cast<std::size_t>(recipe.train.batch),
                    judged = static_cast<std::size_t>(recipe.evaluate.batch);
  check(std::max(batch, judged) <= data.train.size(),
        "data: {} training clips make no batch of {}; use a smaller {}", data.train.size(),
        std::max(batch, judged), batch >= judged ? "train.batch" : "evaluate.batch");
  check(!data.attributes.empty(), "data: no privacy labels; set data.labels to a CSV of them");
  if (recipe.rewrites()) {
    rewriter =
        std::make_unique<FrameAnonymiser>(backend, stream_id("rewriter", {seed()}), recipe.frame_anonymiser());
  } else if (recipe.trains()) {
    anonymiser = std::make_unique<Stprivacy>(backend, stream_id("anonymiser", {seed()}), recipe.stprivacy());
    start_network(anonymiser->parameters(), anonymiser->options().vit);
  }
  check_recogniser_start();
  results.attributes = frames ? frames->attributes : data.attributes;
  results.many_actions = data.many_actions;
  const JudgedLabels labels = judged_labels(data, frames);
  results.chance = chance_points(labels.train, labels.test);
  if (frames)  // actions are those of clips
    results.chance.top1 = chance_points(label_table(data, data.train), label_table(data, data.test)).top1;
}

const Parameters* Experiment::trained() const {
  if (rewriter) return &rewriter->parameters();
  return anonymiser ? &anonymiser->parameters() : nullptr;
}

std::int64_t Experiment::steps(std::int64_t given, double epochs, std::int64_t clips_of_step) const {
  if (given > 0) return given;
  const double clips = epochs * static_cast<double>(data.train.size());
  return std::max<std::int64_t>(1, std::llround(clips / static_cast<double>(clips_of_step)));
}

void Experiment::start_network(const Parameters& parameters, const VitOptions& vit) const {
  if (recipe.weights.start == "small") start_small(parameters, vit);
  if (recipe.weights.image.empty()) return;
  const SafetensorsFile file(recipe.weights.image);
  import_weights(file, parameters, vit, recipe.inflation());
}

void Experiment::check_recogniser_start() const {
  if (recipe.weights.image.empty()) return;
  const Recogniser probe(backend, 0, recipe.recogniser_for(1));
  start_network(probe.parameters(), probe.options().vit);
}

std::vector<Tensor> draw_noise(const Experiment& e, const std::string& stage, std::int64_t step, int part) {
  std::vector<Tensor> noise;
  if (!e.anonymiser->sparsifies()) return noise;
  const Shape shape = {e.recipe.train.batch, e.anonymiser->options().vit.tokens(), 2};
  for (std::size_t m = 0; m < e.anonymiser->options().keep.size(); ++m) {
    const std::uint64_t stream =
        stream_id("gumbel " + stage, {static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(part), m});
    noise.push_back(gumbel_noise(e.backend, shape, e.seed(), stream));
  }
  return noise;
}

DropPathDraw drop_draw(const Experiment& e, const std::string& network, std::int64_t step, int part) {
  return {true, e.seed(),
          stream_id("drop " + network, {static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(part)})};
}

}  // namespace stp

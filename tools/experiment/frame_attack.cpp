#include "tools/experiment/frame_attack.h"

#include <algorithm>
#include <map>
#include <span>

#include "data/pa_hmdb51.h"
#include "engine/rng.h"
#include "tools/experiment/view_average.h"

namespace stp {

namespace {

constexpr std::size_t kLabels = kPaAttributes.size();

// The labelled ones among `count` frames of each clip, evenly spread as few_frames takes them.
struct LabelledFrames {
  std::vector<int> rows;      // of the batch's frames (B T)
  std::vector<float> labels;  // (rows, A)
};

LabelledFrames labelled_frames(const std::vector<Item>& items, const ClipSources& sources, std::int64_t count) {
  LabelledFrames frames;
  const auto T = static_cast<std::int64_t>(sources.frames.size() / sources.items.size());
  for (std::size_t b = 0; b < sources.items.size(); ++b) {
    for (std::int64_t i = 0; i < std::min(count, T); ++i) {
      const auto row = static_cast<std::int64_t>(b) * T + i * T / std::min(count, T);
      const auto labels = items[sources.items[b]].frames->all_at(sources.frames[static_cast<std::size_t>(row)]);
      if (!labels) continue;
      frames.rows.push_back(static_cast<int>(row));
      frames.labels.insert(frames.labels.end(), labels->begin(), labels->end());
    }
  }
  return frames;
}

// Frames that were seen, numbered as they come.
class SeenFrames {
 public:
  // The numbers of the given rows (B T) of a batch.
  std::vector<std::uint32_t> numbers_of(const ClipSources& sources, const std::vector<int>& rows, int T) {
    std::vector<std::uint32_t> numbers;
    for (const int row : rows)
      numbers.push_back(number_of(sources.items[static_cast<std::size_t>(row / T)],
                                  sources.frames[static_cast<std::size_t>(row)]));
    return numbers;
  }
  // Item, and frame of its video.
  const std::vector<std::pair<std::uint32_t, int>>& frames() const { return frames_; }

 private:
  std::uint32_t number_of(std::uint32_t item, int frame) {
    const auto [place, fresh] = numbers_.try_emplace({item, frame}, static_cast<std::uint32_t>(frames_.size()));
    if (fresh) frames_.emplace_back(item, frame);
    return place->second;
  }

  std::map<std::pair<std::uint32_t, int>, std::uint32_t> numbers_;
  std::vector<std::pair<std::uint32_t, int>> frames_;
};

// What is true of the frames, and what is said of the actions (items, C) of their videos.
FrameAttack::Judged truth_of(const SeenFrames& known, const std::vector<Item>& items,
                             const std::vector<double>& actions, std::size_t C) {
  FrameAttack::Judged judged;
  judged.truth.classes = C;
  judged.truth.attributes = kLabels;
  std::map<std::uint32_t, std::vector<std::size_t>> of_item;
  for (const auto& [item, number] : known.frames()) {
    of_item[item].push_back(judged.truth.actions.size());
    const auto labels = items[item].frames->all_at(number);
    judged.truth.actions.push_back(items[item].label);
    judged.truth.positive.insert(judged.truth.positive.end(), labels->begin(), labels->end());
    const auto of_video = std::span(actions).subspan(item * C, C);
    judged.actions.insert(judged.actions.end(), of_video.begin(), of_video.end());
  }
  for (auto& [item, frames] : of_item) judged.videos.push_back(std::move(frames));
  return judged;
}

}  // namespace

FrameAttack::FrameAttack(const Experiment& e, const Recipe& recipe, int batch, int attackers)
    : e_(e),
      recipe_(recipe),
      batch_(std::min(batch, static_cast<int>(e.frames->train.size()))),
      feed_(e.backend, recipe, e.frames->train, batch_, stream_id("evaluate frames"), e.footage) {
  for (int i = 0; i < attackers; ++i) {
    Network network;
    network.seed = stream_id("evaluate frame level", {e.seed(), static_cast<std::uint64_t>(i)});
    network.net = std::make_unique<FrameNet>(e.backend, network.seed,
                                             frame_net_for(recipe.vit(), static_cast<std::int64_t>(kLabels)));
    network.learner = std::make_unique<Learner>(fmt::format("frame_level_{}", i), network.net->parameters(),
                                                recipe.optimizer, 1);
    networks_.push_back(std::move(network));
  }
}

// The given ones of the frames (B T) that are delivered: (rows, 3, Y, X).
Tensor FrameAttack::images_at(const Delivered& seen, const std::vector<int>& rows) const {
  const Tensor images = frames_of(nullptr, clip_of(nullptr, seen.input, recipe_.vit()));
  const Tensor flat = images.reshape({images.size(0), images.elements() / images.size(0)});
  const auto n = static_cast<std::int64_t>(rows.size());
  return gather(nullptr, flat, Indices::from(images.backend(), {n}, rows))
      .reshape({n, images.size(1), images.size(2), images.size(3)});
}

double FrameAttack::learn(std::int64_t number, const Deliver& deliver, const std::string& where, double rate) {
  const ClipInput input = feed_.batch(number).input;
  const LabelledFrames frames = labelled_frames(e_.frames->train, feed_.sources(), kFramesOfStep);
  if (frames.rows.empty()) return 0;  // clips without a labelled frame teach nothing
  const Tensor images = images_at(deliver(input), frames.rows);
  const Tensor labels =
      Tensor::from(e_.backend, {images.size(0), static_cast<std::int64_t>(kLabels)}, frames.labels);
  double sum = 0;
  for (const Network& network : networks_) {
    Tape tape;
    const Tensor loss =
        binary_cross_entropy(&tape, network.net->images(&tape, images, NormMode::training), labels);
    const double value = loss.item();
    check_finite(where, "frame-level loss", value);
    sum += value;
    tape.backward({{loss}});
    network.learner->step(where, rate);
  }
  return sum / static_cast<double>(networks_.size());
}

std::optional<FrameAttack::Judged> FrameAttack::judge(const Deliver& deliver,
                                                      const std::function<Tensor(const Delivered&)>& actions,
                                                      const Stage::Stop& stop) const {
  const std::vector<Item>& items = e_.frames->test;
  const std::size_t C = e_.data.classes.size();
  SeenFrames known;
  std::vector<ViewAverage> said(networks_.size(), ViewAverage(kLabels));
  ViewAverage acted(C);
  TestFeed test(e_.backend, recipe_, items, batch_, e_.footage);
  LabelledClips batch;
  ClipSources sources;
  while (test.next(batch, sources)) {
    if (stop()) return std::nullopt;
    const Delivered seen = deliver(batch.input);
    acted.add(actions(seen), sources.items, true);
    const LabelledFrames frames = labelled_frames(items, sources, recipe_.model.frames);
    if (frames.rows.empty()) continue;
    const std::vector<std::uint32_t> numbers = known.numbers_of(sources, frames.rows, recipe_.model.frames);
    const Tensor images = images_at(seen, frames.rows);
    for (std::size_t i = 0; i < networks_.size(); ++i)
      said[i].add(networks_[i].net->images(nullptr, images, NormMode::evaluation), numbers, false);
  }
  check(!known.frames().empty(), "evaluate: no frame of the {} test clips is labelled; check data.frame_labels",
        items.size());
  Judged judged = truth_of(known, items, acted.mean(), C);
  for (std::size_t i = 0; i < networks_.size(); ++i)
    judged.attackers.push_back({networks_[i].seed, said[i].mean()});
  return judged;
}

void FrameAttack::save(CheckpointBuilder& builder) const {
  for (const Network& network : networks_) network.learner->save(builder, true);
}

void FrameAttack::restore(const Checkpoint& checkpoint) {
  for (const Network& network : networks_) network.learner->restore(checkpoint, true);
}

}  // namespace stp

#include "tools/report/pictures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "engine/check.h"
#include "engine/file.h"
#include "models/baselines/frame_anonymiser.h"
#include "tools/experiment/feed.h"
#include "tools/experiment/run.h"
#include "tools/report/attention.h"

namespace stp {

namespace {

constexpr int kShown = 8;  // frames of a strip at most
constexpr int kGap = 2;    // white columns between frames

// A value of every token, to be drawn over the frames of its slot.
using TokenValues = std::vector<float>;

// Dark blue over green to yellow, roughly even in lightness.
std::array<double, 3> heat(double v) {
  constexpr std::array<std::array<double, 3>, 4> kStops = {
      {{48, 18, 90}, {44, 114, 142}, {53, 183, 121}, {253, 231, 37}}};
  const double at = std::clamp(v, 0.0, 1.0) * (kStops.size() - 1);
  const auto i = std::min(static_cast<std::size_t>(at), kStops.size() - 2);
  std::array<double, 3> rgb{};
  for (std::size_t c = 0; c < 3; ++c)
    rgb[c] = kStops[i][c] + (at - static_cast<double>(i)) * (kStops[i + 1][c] - kStops[i][c]);
  return rgb;
}

std::uint8_t to_byte(double v) { return static_cast<std::uint8_t>(std::clamp(std::lround(v), 0L, 255L)); }

// The frames of one clip beside each other; `pixel(t, y, x, c)` gives their values.
class StripPainter {
 public:
  explicit StripPainter(const VitOptions& vit) : vit_(vit) {
    const int frames = std::min(kShown, vit.T);
    for (int i = 0; i < frames; ++i) times_.push_back(i * vit.T / frames);
  }

  template <class Pixel>
  Strip paint(std::string caption, const Pixel& pixel) const {
    const int frames = static_cast<int>(times_.size());
    Image image;
    image.width = frames * vit_.X + (frames - 1) * kGap;
    image.height = vit_.Y;
    image.rgb.assign(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3, 255);
    for (int f = 0; f < frames; ++f)
      for (int y = 0; y < vit_.Y; ++y)
        for (int x = 0; x < vit_.X; ++x)
          for (int c = 0; c < 3; ++c) {
            const int at = (y * image.width + f * (vit_.X + kGap) + x) * 3 + c;
            image.rgb[static_cast<std::size_t>(at)] =
                to_byte(pixel(times_[static_cast<std::size_t>(f)], y, x, c));
          }
    return {std::move(caption), std::move(image)};
  }

  // Tokens as colours, from the lowest value of the clip to its highest.
  Strip paint_tokens(std::string caption, const TokenValues& values) const {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const double range = std::max(1e-12, static_cast<double>(*high) - *low);
    return paint(std::move(caption), [&, bottom = static_cast<double>(*low)](int t, int y, int x, int c) {
      return heat((values[token(t, y, x)] - bottom) / range)[static_cast<std::size_t>(c)];
    });
  }

  std::size_t token(int t, int y, int x) const {
    const int columns = vit_.X / vit_.x, rows = vit_.Y / vit_.y;
    const int at = (t / vit_.t * rows + y / vit_.y) * columns + x / vit_.x;
    return static_cast<std::size_t>(at);
  }

 private:
  VitOptions vit_;
  std::vector<int> times_;
};

// Clip b of (B, ...) values.
template <class T>
std::vector<T> clip_at(const std::vector<T>& values, std::size_t b, std::size_t B) {
  const auto each = static_cast<std::ptrdiff_t>(values.size() / B);
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(b) * each;
  return {begin, begin + each};
}

// What the network says of a batch, on the host.
struct Seen {
  std::vector<float> raw, delivered;  // (B, 3, T, Y, X) normalised; delivered is empty if nothing is redrawn
  std::vector<float> keep, scores, attention;
  std::vector<std::vector<float>> left;  // (B, N) zeros and ones after each scorer
};

// What is left after each scorer: with the ratios after it raised to its own, none but it and those before it
// drop anything.
std::vector<std::vector<float>> left_after_scorers(const Stprivacy& anonymiser, const ClipInput& input) {
  std::vector<std::vector<float>> left;
  const std::vector<double>& trained = anonymiser.options().keep;
  for (std::size_t m = 0; anonymiser.sparsifies() && m < trained.size(); ++m) {
    std::vector<double> ratios = trained;
    for (double& ratio : ratios) ratio = std::max(ratio, trained[m]);
    left.push_back(anonymiser.anonymise(input, ratios).keep.values());
  }
  return left;
}

Seen look(const Stprivacy& anonymiser, const ClipInput& input) {
  Seen seen;
  const VitOptions& vit = anonymiser.options().vit;
  const Anonymised out = anonymiser.anonymise(input, {}, [&](const std::string& name, const Tensor& x) {
    if (name == "embed") seen.attention = attention_received(anonymiser.trunk().blocks.front(), x);
  });
  seen.raw = clip_of(nullptr, input, vit).values();
  if (out.pixels) seen.delivered = clip_of(nullptr, {.pixel_tubelets = out.pixels}, vit).values();
  seen.keep = out.keep.values();
  if (!out.scores.empty()) seen.scores = out.scores.front().values();
  for (float& score : seen.scores) score = std::exp(score);
  seen.left = left_after_scorers(anonymiser, input);
  return seen;
}

std::vector<double> kept_of_slots(const TokenValues& keep, const VitOptions& vit) {
  std::vector<double> kept(static_cast<std::size_t>(vit.slots()), 0.0);
  const auto of_slot = static_cast<std::size_t>(vit.tokens_of_slot());
  for (std::size_t i = 0; i < keep.size(); ++i) kept[i / of_slot] += keep[i] / static_cast<double>(of_slot);
  return kept;
}

double mean(const TokenValues& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// A clip of (3, T, Y, X) normalised values, as bytes would show it.
class Footage {
 public:
  Footage(std::vector<float> values, const VitOptions& vit, const FrameBatch& scale)
      : values_(std::move(values)), vit_(vit), scale_(scale) {}
  double operator()(int t, int y, int x, int c) const {
    const int at = ((c * vit_.T + t) * vit_.Y + y) * vit_.X + x;
    const float v = values_[static_cast<std::size_t>(at)];
    return 255.0 * (v * scale_.deviation[c] + scale_.mean[c]);
  }

 private:
  std::vector<float> values_;
  VitOptions vit_;
  FrameBatch scale_;
};

// Clip b of B.
ClipStrips draw(const std::string& name, const Seen& seen, std::size_t b, std::size_t B,
                const StprivacyOptions& options, const FrameBatch& scale) {
  const VitOptions& vit = options.vit;
  const StripPainter painter(vit);
  const TokenValues keep = clip_at(seen.keep, b, B);
  const Footage before(clip_at(seen.raw, b, B), vit, scale),
      after(clip_at(seen.delivered.empty() ? seen.raw : seen.delivered, b, B), vit, scale);
  const auto left = [&](int t, int y, int x) { return keep[painter.token(t, y, x)] > 0.5f; };
  ClipStrips clip = {name, {}, {}};
  clip.strips.push_back(painter.paint("before", before));
  for (std::size_t m = 0; m < seen.left.size(); ++m) {
    const TokenValues after_scorer = clip_at(seen.left[m], b, B);
    clip.kept_of_slot.push_back(kept_of_slots(after_scorer, vit));
    clip.strips.push_back(painter.paint(
        fmt::format("after scorer {}, before block {}: {:.0f} % left; what is dropped is darkened", m + 1,
                    options.score_before[m] + 1, 100 * mean(after_scorer)),
        [&](int t, int y, int x, int c) {
          return before(t, y, x, c) * (after_scorer[painter.token(t, y, x)] > 0.5f ? 1 : 0.2);
        }));
  }
  clip.strips.push_back(painter.paint(
      "as delivered", [&](int t, int y, int x, int c) { return left(t, y, x) ? after(t, y, x, c) : 0; }));
  if (!seen.scores.empty()) {
    clip.strips.push_back(
        painter.paint_tokens("first scorer: probability of being kept", clip_at(seen.scores, b, B)));
  }
  clip.strips.push_back(painter.paint_tokens("attention that each tubelet receives in the first block",
                                             clip_at(seen.attention, b, B)));
  return clip;
}

// `count` of the items, spread evenly.
std::vector<Item> chosen(const std::vector<Item>& items, int count) {
  std::vector<Item> some;
  const std::size_t n = std::min(items.size(), static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < n; ++i) some.push_back(items[i * items.size() / n]);
  return some;
}

}  // namespace

std::vector<ClipStrips> draw_clips(const RunRecord& record, const Backend& backend, int count) {
  const LoadedModel model = load_model(record.folder, backend);
  check(model.anonymiser != nullptr, "{}: no STPrivacy", shown(record.folder));
  Recipe one_view = record.recipe;
  one_view.evaluate.clips = one_view.evaluate.crops = 1;
  const std::vector<Item> items = chosen(read_dataset(record.recipe.dataset()).test, count);
  const StprivacyOptions& options = model.anonymiser->options();
  TestFeed feed(backend, one_view, items, 1);
  std::vector<ClipStrips> clips;
  LabelledClips batch;
  ClipSources sources;
  while (feed.next(batch, sources)) {
    const Seen seen = look(*model.anonymiser, batch.input);
    const std::vector<std::uint32_t>& which = sources.items;
    for (std::size_t b = 0; b < which.size(); ++b)
      clips.push_back(draw(items[which[b]].name, seen, b, which.size(), options, batch.input.frames));
  }
  return clips;
}

}  // namespace stp

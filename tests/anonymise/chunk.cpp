// Chunks: which frames make which clip, and that what is delivered is what the model said.
#include "tools/anonymise/chunk.h"

#include <cmath>
#include <limits>

#include "engine/rng.h"
#include "tests/anonymise/samples.h"

namespace stp {
namespace {

using test::Models;

constexpr int kT = 4, kSide = 16, kCells = 4;
constexpr std::size_t kFrame = std::size_t{kSide} * kSide * 3;

std::vector<std::uint8_t> noise_frames(int count) {
  Random random(7, stream_id("frames"));
  std::vector<std::uint8_t> rgb(std::size_t(count) * kFrame);
  for (std::uint8_t& value : rgb) value = static_cast<std::uint8_t>(random.below(256));
  return rgb;
}

// The clip of these frames through the model, put together by the op of the golden tests: (T, Y, X, 3) pixels
// and (T, cells) decision.
AnonymisedFrames cut_by_hand(const LoadedModel& model, std::span<const std::uint8_t> rgb,
                             const std::vector<int>& frames) {
  std::vector<std::uint8_t> clip;
  for (const int frame : frames) {
    const auto picture = rgb.subspan(std::size_t(frame) * kFrame, kFrame);
    clip.insert(clip.end(), picture.begin(), picture.end());
  }
  ClipInput input;
  input.frames.pixels = Bytes::from(Backend(Device::cpu), {1, kT, kSide, kSide, 3}, clip);
  for (std::size_t c = 0; c < 3; ++c) {
    input.frames.mean[c] = static_cast<float>(model.recipe.data.mean[c]);
    input.frames.deviation[c] = static_cast<float>(model.recipe.data.deviation[c]);
  }
  const Anonymised result = model.anonymiser->anonymise(input);
  AnonymisedFrames out;
  const std::vector<float> keep = result.keep.values();
  for (int t = 0; t < kT; ++t)
    for (int cell = 0; cell < kCells; ++cell)
      out.keep.push_back(keep[std::size_t(t / 2 * kCells + cell)] > 0.5f ? 1 : 0);
  const std::vector<float> pixels =
      tubelets_to_clip(nullptr, result.pixels,
                       model.anonymiser->options().vit.geometry(1, TubeletLayout::channels_last))
          .values();  // (1, 3, T, Y, X)
  for (std::size_t i = 0; i < kT * kFrame; ++i) {
    const std::size_t c = i % 3, place = i / 3, t = place / (kSide * kSide), at = place % (kSide * kSide);
    const double level =
        pixels[(c * kT + t) * kSide * kSide + at] * model.recipe.data.deviation[c] + model.recipe.data.mean[c];
    const std::size_t cell = at / kSide / 8 * 2 + at % kSide / 8;
    const bool kept = out.keep[t * kCells + cell] == 1;
    out.rgb.push_back(static_cast<std::uint8_t>(kept ? std::lround(std::clamp(level, 0.0, 1.0) * 255) : 0));
  }
  return out;
}

// Frame `f` of a chunk is frame `t` of the clip. One level of a pixel may differ: the matrices are multiplied
// in batches of other sizes, and the bounded head rounds.
void check_same(const AnonymisedFrames& chunk, int f, const AnonymisedFrames& clip, int t) {
  CAPTURE(f);
  for (std::size_t cell = 0; cell < kCells; ++cell)
    CHECK(chunk.keep[std::size_t(f) * kCells + cell] == clip.keep[std::size_t(t) * kCells + cell]);
  int worst = 0;
  for (std::size_t i = 0; i < kFrame; ++i)
    worst = std::max(worst,
                     std::abs(chunk.rgb[std::size_t(f) * kFrame + i] - clip.rgb[std::size_t(t) * kFrame + i]));
  CHECK(worst <= 1);
}

TEST_CASE("chunk: every rate-th frame makes a clip, as if it had been cut by hand") {
  const LoadedModel model = Models::get().load();
  const ChunkAnonymiser anonymiser(*model.anonymiser, model.recipe, {});
  REQUIRE(anonymiser.frames() == 8);
  const auto rgb = noise_frames(8);
  const AnonymisedFrames chunk = anonymiser(rgb);
  REQUIRE(chunk.rgb.size() == rgb.size());
  const AnonymisedFrames even = cut_by_hand(model, rgb, {0, 2, 4, 6});
  const AnonymisedFrames odd = cut_by_hand(model, rgb, {1, 3, 5, 7});
  for (int t = 0; t < kT; ++t) {
    check_same(chunk, 2 * t, even, t);
    check_same(chunk, 2 * t + 1, odd, t);
  }
}

TEST_CASE("chunk: a short one is padded as the recipe says, and the padding is not delivered") {
  const LoadedModel model = Models::get().load();
  const auto rgb = noise_frames(5);
  const std::vector<std::pair<std::string, std::pair<std::vector<int>, std::vector<int>>>> fillings = {
      {"loop", {{0, 2, 4, 0}, {1, 3, 1, 3}}},
      {"last", {{0, 2, 4, 4}, {1, 3, 3, 3}}},
      {"mirror", {{0, 2, 4, 2}, {1, 3, 1, 3}}}};
  for (const auto& [padding, clips] : fillings) {
    CAPTURE(padding);
    Recipe recipe = model.recipe;
    recipe.data.padding = padding;
    const AnonymisedFrames chunk = ChunkAnonymiser(*model.anonymiser, recipe, {})(rgb);
    CHECK(chunk.rgb.size() == 5 * kFrame);
    CHECK(chunk.keep.size() == 5 * kCells);
    const AnonymisedFrames even = cut_by_hand(model, rgb, clips.first);
    const AnonymisedFrames odd = cut_by_hand(model, rgb, clips.second);
    for (int t = 0; t < 3; ++t) check_same(chunk, 2 * t, even, t);
    for (int t = 0; t < 2; ++t) check_same(chunk, 2 * t + 1, odd, t);
  }
  CHECK(ChunkAnonymiser(*model.anonymiser, model.recipe, {})(noise_frames(1)).rgb.size() == kFrame);
}

TEST_CASE("chunk: dropped tubelets are zeros, and the dial says how many there are") {
  const LoadedModel model = Models::get().load();
  for (const double alpha : {0.25, 0.5, 0.75, 1.0}) {
    CAPTURE(alpha);
    const AnonymisedFrames chunk = ChunkAnonymiser(*model.anonymiser, model.recipe, {alpha})(noise_frames(8));
    for (std::size_t f = 0; f < 8; ++f) {
      int kept = 0;
      for (std::size_t cell = 0; cell < kCells; ++cell) kept += chunk.keep[f * kCells + cell];
      CHECK(kept == static_cast<int>(alpha * kCells));
      for (std::size_t i = 0; i < kFrame; ++i) {
        const std::size_t at = i / 3, cell = at / kSide / 8 * 2 + at % kSide / 8;
        if (chunk.keep[f * kCells + cell] == 0) REQUIRE(chunk.rgb[f * kFrame + i] == 0);
      }
    }
  }
}

TEST_CASE("chunk: pixels that are not finite are a failure, not a picture") {
  const LoadedModel model = Models::get().load();
  for (const Parameter& p : model.anonymiser->parameters().all()) {
    if (p.name != "head_recon.bias") continue;
    p.tensor.assign(std::vector<float>(std::size_t(p.tensor.elements()), std::nanf("")));
  }
  const ChunkAnonymiser anonymiser(*model.anonymiser, model.recipe, {});
  CHECK(contains(error_of([&] { anonymiser(noise_frames(8)); }), "not finite"));
  CHECK(contains(error_of([&] { anonymiser(std::vector<std::uint8_t>(kFrame + 1)); }), "769 bytes"));
  CHECK(contains(error_of([&] { anonymiser(noise_frames(9)); }), "1 to 8 frames"));
}

}  // namespace
}  // namespace stp

#include "tools/anonymise/chunk.h"

#include <algorithm>
#include <cmath>

namespace stp {

namespace {

// Clips that pass the network together: enough to fill its matrices, few enough to bound the memory of a recipe
// with a high sampling rate.
constexpr int kClipsAtOnce = 4;

}  // namespace

ChunkAnonymiser::ChunkAnonymiser(const Stprivacy& model, const Recipe& recipe, std::vector<double> keep)
    : model_(model),
      vit_(model.options().vit),
      rate_(recipe.data.rate),
      padding_(recipe.loader(LoaderOptions::Views::even, 1, 0).padding),
      mean_(recipe.data.mean),
      deviation_(recipe.data.deviation),
      keep_(std::move(keep)) {}

ChunkAnonymiser::Places ChunkAnonymiser::places(int phase, int frames) const {
  const int own = (frames - phase + rate_ - 1) / rate_;
  Places clip = {clip_frames(own, 0, vit_.T, 1, padding_), std::min(own, vit_.T)};
  for (int& frame : clip.frames) frame = phase + frame * rate_;
  return clip;
}

AnonymisedFrames ChunkAnonymiser::operator()(std::span<const std::uint8_t> rgb) const {
  const int count = static_cast<int>(rgb.size() / frame_bytes());
  check(count >= 1 && count <= frames() && rgb.size() == std::size_t(count) * frame_bytes(),
        "anonymiser: {} bytes are not 1 to {} frames of {}x{}", rgb.size(), frames(), width(), height());
  AnonymisedFrames out;
  out.keep.resize(std::size_t(count) * frame_cells());
  if (model_.redraws()) out.rgb.resize(rgb.size());
  std::vector<Places> clips;
  for (int phase = 0; phase < std::min(rate_, count); ++phase) clips.push_back(places(phase, count));
  for (std::size_t first = 0; first < clips.size(); first += kClipsAtOnce) {
    const std::size_t part = std::min<std::size_t>(kClipsAtOnce, clips.size() - first);
    anonymise(rgb, std::span(clips).subspan(first, part), out);
  }
  return out;
}

void ChunkAnonymiser::anonymise(std::span<const std::uint8_t> rgb, std::span<const Places> clips,
                                AnonymisedFrames& out) const {
  const auto B = static_cast<std::int64_t>(clips.size());
  std::vector<std::uint8_t> pixels;
  pixels.reserve(clips.size() * std::size_t(vit_.T) * frame_bytes());
  for (const Places& clip : clips) {
    for (const int frame : clip.frames) {
      const auto picture = rgb.subspan(std::size_t(frame) * frame_bytes(), frame_bytes());
      pixels.insert(pixels.end(), picture.begin(), picture.end());
    }
  }
  ClipInput input;
  input.frames.pixels = Bytes::from(model_.parameters().backend(), {B, vit_.T, vit_.Y, vit_.X, 3}, pixels);
  for (std::size_t c = 0; c < 3; ++c) {
    input.frames.mean[c] = static_cast<float>(mean_[c]);
    input.frames.deviation[c] = static_cast<float>(deviation_[c]);
  }
  const Anonymised result = model_.anonymise(input, keep_);
  const std::vector<float> keep = result.keep.values();
  const std::vector<float> redrawn = result.pixels ? result.pixels.values() : std::vector<float>();
  const auto tokens = static_cast<std::size_t>(vit_.tokens());
  for (std::size_t b = 0; b < clips.size(); ++b) {
    deliver_keep(std::span(keep).subspan(b * tokens, tokens), clips[b], out);
    if (redrawn.empty()) continue;
    const std::size_t values = tokens * static_cast<std::size_t>(vit_.values());
    deliver_pixels(std::span(redrawn).subspan(b * values, values), clips[b], out);
  }
}

void ChunkAnonymiser::deliver_keep(std::span<const float> keep, const Places& clip,
                                   AnonymisedFrames& out) const {
  for (int t = 0; t < clip.delivered; ++t) {
    const std::size_t slot = std::size_t(t / vit_.t) * frame_cells();
    const std::size_t frame = std::size_t(clip.frames[std::size_t(t)]) * frame_cells();
    for (std::size_t cell = 0; cell < frame_cells(); ++cell)
      out.keep[frame + cell] = keep[slot + cell] > 0 ? 1 : 0;
  }
}

// Tokens are ordered (slot, row, column), the values of one (t, y, x, channel).
void ChunkAnonymiser::deliver_pixels(std::span<const float> pixels, const Places& clip,
                                     AnonymisedFrames& out) const {
  const auto values = static_cast<std::size_t>(vit_.values());
  const std::size_t line = std::size_t(vit_.x) * 3, picture_line = std::size_t(vit_.X) * 3;
  for (int t = 0; t < clip.delivered; ++t) {
    const auto frame = std::size_t(clip.frames[std::size_t(t)]);
    for (std::size_t cell = 0; cell < frame_cells(); ++cell) {
      if (out.keep[frame * frame_cells() + cell] == 0) continue;  // stays black
      const std::size_t row = cell / std::size_t(columns()), column = cell % std::size_t(columns());
      const float* from = pixels.data() + (std::size_t(t / vit_.t) * frame_cells() + cell) * values +
                          std::size_t(t % vit_.t) * std::size_t(vit_.y) * line;
      std::uint8_t* to =
          out.rgb.data() + frame * frame_bytes() + row * std::size_t(vit_.y) * picture_line + column * line;
      for (int y = 0; y < vit_.y; ++y, from += line, to += picture_line)
        for (std::size_t i = 0; i < line; ++i) to[i] = as_byte(from[i], i % 3);
    }
  }
}

std::uint8_t ChunkAnonymiser::as_byte(float value, std::size_t channel) const {
  if (!std::isfinite(value)) fail("anonymiser: the network's pixels are not finite; its weights are of no use");
  const double level = (double{value} * deviation_[channel] + mean_[channel]) * 255;
  return static_cast<std::uint8_t>(std::lround(std::clamp(level, 0.0, 255.0)));
}

}  // namespace stp

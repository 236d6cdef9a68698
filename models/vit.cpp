#include "models/vit.h"

#include "engine/rng.h"

namespace stp {

void VitOptions::validate() const {
  check(T > 0 && Y > 0 && X > 0 && t > 0 && y > 0 && x > 0,
        "model: clip {} x {} x {} and tubelet {} x {} x {} must be positive", T, Y, X, t, y, x);
  check(T % t == 0 && Y % y == 0 && X % x == 0,
        "model: a clip of {} x {} x {} is not divisible by the tubelet {} x {} x {}; choose a size of whole "
        "tubelets",
        T, Y, X, t, y, x);
  check(E > 0 && heads > 0 && E % heads == 0, "model: width {} is not divisible by {} heads", E, heads);
  check(depth > 0 && mlp_ratio > 0, "model: depth {} and mlp ratio {} must be positive", depth, mlp_ratio);
  check(drop_path >= 0 && drop_path < 1, "model: drop path {} is not in [0, 1)", drop_path);
}

TubeletGeometry VitOptions::geometry(std::int64_t B, TubeletLayout layout) const {
  return {static_cast<int>(B), 3, T, Y, X, t, y, x, layout};
}

std::int64_t ClipInput::batch() const {
  if (frames.pixels) return frames.pixels.shape()[0];
  return (clip ? clip : pixel_tubelets).size(0);
}

namespace {

// How the tubelets of an input come at the least work.
TubeletLayout layout_of(const ClipInput& input) {
  return input.pixel_tubelets ? TubeletLayout::channels_last : TubeletLayout::channels_first;
}

}  // namespace

Trunk::Trunk(const ParameterScope& scope, const VitOptions& vit) : options(vit) {
  vit.validate();
  const ParameterScope proj = scope / "patch_embed" / "proj";
  patch_embed.weight = proj.take("weight", {vit.E, 3, vit.t, vit.y, vit.x}, Init::normal(0.02));
  if (patch_embed.weight) patch_embed.weight = patch_embed.weight.reshape({vit.E, vit.values()});
  patch_embed.bias = proj.take("bias", {vit.E}, Init::zeros());
  pos_embed = scope.take("pos_embed", {1, vit.tokens(), vit.E}, Init::normal(0.02));
  for (std::int64_t i = 0; i < vit.depth; ++i) {
    blocks.emplace_back(scope / "blocks" / i, vit.E, vit.heads, vit.mlp_ratio * vit.E, vit.attention);
  }
}

Tensor Trunk::tubelets(Tape* tape, const ClipInput& input, TubeletLayout layout) const {
  const TubeletGeometry wanted = options.geometry(input.batch(), layout);
  if (input.frames.pixels) return frames_to_tubelets(input.frames, wanted);
  if (input.clip) return clip_to_tubelets(tape, input.clip, wanted);
  check(layout == TubeletLayout::channels_last, "tubelets: those of a pixel head are channels last");
  return input.pixel_tubelets;
}

Linear Trunk::patch_embed_of(Tape* tape, const ClipInput& input) const {
  if (layout_of(input) == TubeletLayout::channels_first) return patch_embed;
  // A row of the weight is a clip of one tubelet.
  TubeletGeometry single = options.geometry(options.E, TubeletLayout::channels_last);
  single.T = single.t;
  single.Y = single.y;
  single.X = single.x;
  const Tensor rows = patch_embed.weight.reshape({options.E, 3, options.t, options.y, options.x});
  Linear turned;
  turned.weight = clip_to_tubelets(tape, rows, single).reshape({options.E, options.values()});
  turned.bias = patch_embed.bias;
  return turned;
}

Tensor Trunk::embed(Tape* tape, const ClipInput& input, const Observer& observe) const {
  const Tensor values = tubelets(tape, input, layout_of(input));
  const Tensor embedded = patch_embed_of(tape, input)(tape, stored_as(tape, values, options.storage));
  show(observe, "patch_embed", embedded);
  Tensor placed = add_row(tape, embedded, pos_embed);
  show(observe, "embed", placed);
  return placed;
}

Tensor Trunk::embed_rows(Tape* tape, const ClipInput& input, const Indices& rows) const {
  const Tensor kept = gather(tape, tubelets(tape, input, layout_of(input)), rows);
  const Tensor places = gather_shared(tape, pos_embed, rows, input.batch());
  return patch_embed_of(tape, input)(tape, stored_as(tape, kept, options.storage),
                                     stored_as(tape, places, options.storage));
}

Tensor Trunk::block(Tape* tape, std::size_t index, const Tensor& x, const TokenView& view,
                    const BranchFactors& drop, Activations activations) const {
  if (options.activations == Activations::kept && activations == Activations::kept)
    return blocks[index](tape, x, view, drop);
  return checkpointed(tape,
                      [block = blocks[index], x, view, drop](Tape* t) { return block(t, x, view, drop); });
}

DropPath::DropPath(const Backend& backend, const VitOptions& options, std::int64_t B, const Packing& packing,
                   const DropPathDraw& draw)
    : backend_(backend), options_(options), draw_(draw), rows_(static_cast<std::size_t>(B), 1) {
  if (!packing || !draw.active || options.drop_path == 0) return;
  const std::vector<int> offsets = packing.offsets.values();
  for (std::size_t b = 0; b < rows_.size(); ++b) rows_[b] = offsets[b + 1] - offsets[b];
}

BranchFactors DropPath::operator()(std::size_t block) const {
  if (!draw_.active || options_.drop_path == 0 || options_.depth < 2 || block == 0) return {};
  const double rate = options_.drop_path * static_cast<double>(block) / static_cast<double>(options_.depth - 1);
  return {factors(block, 0, rate), factors(block, 1, rate)};
}

Tensor DropPath::factors(std::size_t block, std::uint64_t branch, double rate) const {
  Random random(draw_.seed, stream_id("drop path", {draw_.stream, block, branch}));
  std::vector<float> values;
  for (int rows : rows_) {
    const float factor = random.chance(rate) ? 0.0f : static_cast<float>(1 / (1 - rate));
    values.insert(values.end(), static_cast<std::size_t>(rows), factor);
  }
  return Tensor::from(backend_, {static_cast<std::int64_t>(values.size())}, values);
}

}  // namespace stp

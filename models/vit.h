// The vision transformer under every network here: tubelet embedding, position embedding, blocks. No class
// token.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/layers.h"

namespace stp {

// What a training pass keeps of each block for backward: what its ops ask for, or only its input, from which
// backward runs the block again.
enum class Activations { kept, recomputed };

struct VitOptions {
  int T = 16, Y = 112, X = 112;  // frames, rows, columns of a clip
  int t = 2, y = 16, x = 16;     // of a tubelet
  std::int64_t E = 384, heads = 6, depth = 12, mlp_ratio = 4;
  double drop_path = 0;            // rate of the last block, rising linearly from 0 at the first
  Element storage = Element::f32;  // of the blocks' activations and their gradients
  Activations activations = Activations::kept;
  AttentionOptions attention;

  // Throws Error (usage) unless sizes are positive, the clip is whole tubelets and E is whole heads.
  void validate() const;
  TubeletGeometry geometry(std::int64_t B, TubeletLayout layout) const;
  std::int64_t slots() const { return T / t; }
  std::int64_t tokens_of_slot() const { return static_cast<std::int64_t>(Y / y) * (X / x); }
  std::int64_t tokens() const { return slots() * tokens_of_slot(); }
  std::int64_t values() const { return 3LL * t * y * x; }  // of one tubelet
};

// What a network looks at; exactly one is given.
struct ClipInput {
  FrameBatch frames = {};      // as decoded
  Tensor clip = {};            // (B, 3, T, Y, X) normalised values
  Tensor pixel_tubelets = {};  // (B, N, values) from the pixel head, channels last

  std::int64_t batch() const;
};

// Called with the name and value of intermediate results ("block.0"); tests and pictures look through it.
using Observer = std::function<void(const std::string& name, const Tensor& value)>;

inline void show(const Observer& observe, const std::string& name, const Tensor& value) {
  if (observe) observe(name, value);
}
inline std::string numbered(const char* name, std::size_t index) { return name + std::to_string(index); }

struct Trunk {
  VitOptions options;
  Linear patch_embed;  // weight (E, values) of the 3-D convolution patch_embed.proj
  Tensor pos_embed;    // (1, N, E)
  std::vector<Block> blocks;

  Trunk() = default;
  Trunk(const ParameterScope& scope, const VitOptions& vit);

  // Tubelets of the input, (B, N, values). Those from a pixel head are channels last and stay so.
  Tensor tubelets(Tape* tape, const ClipInput& input, TubeletLayout layout) const;
  // Tubelet embedding plus position, as the blocks store it: (B, N, E).
  Tensor embed(Tape* tape, const ClipInput& input, const Observer& observe = {}) const;
  // The same from the input itself, for the tokens at `rows` of all B N: (count, E).
  Tensor embed_rows(Tape* tape, const ClipInput& input, const Indices& rows) const;
  // Through one block. It is recomputed in backward if the options say so, or the caller.
  Tensor block(Tape* tape, std::size_t index, const Tensor& x, const TokenView& view, const BranchFactors& drop,
               Activations activations = Activations::kept) const;

 private:
  // The patch embedding for tubelets laid out as the input's are. An anonymiser's go from its pixel head to a
  // recogniser without the way over pixels: turning the E rows of the weight spares turning B N tubelets.
  Linear patch_embed_of(Tape* tape, const ClipInput& input) const;
};

// Where drop path draws its factors; a default one draws none.
struct DropPathDraw {
  bool active = false;
  std::uint64_t seed = 0, stream = 0;
};

// Drop path of one pass over B clips: the factors of each block, or none without a rate. Packed clips get
// theirs repeated for each token.
class DropPath {
 public:
  DropPath(const Backend& backend, const VitOptions& options, std::int64_t B, const Packing& packing,
           const DropPathDraw& draw);
  BranchFactors operator()(std::size_t block) const;

 private:
  Tensor factors(std::size_t block, std::uint64_t branch, double rate) const;

  Backend backend_;
  VitOptions options_;
  DropPathDraw draw_;
  std::vector<int> rows_;  // of each clip: tokens if packed, else 1
};

}  // namespace stp

// Every op, one signature each. The first parameter is the tape to record on; without one nothing is recorded.
// Ops check their arguments at the door and throw Error (usage) with actual and wanted. An op computes no
// gradient for an input that wants none.
#pragma once

#include <limits>

#include "engine/tape.h"
#include "engine/tensor.h"
#include "kernels/linear.h"
#include "kernels/tubelet.h"
#include "kernels/window.h"

namespace stp {

// ---- attention.cpp

// Clips with different numbers of tokens, packed one after another: tensors are (tokens, ...) instead of (B, N,
// ...). An empty Packing stands for equal numbers.
struct Packing {
  Indices offsets;  // (clips + 1) first token of each clip
  std::int64_t clips = 0, longest = 0;
  explicit operator bool() const { return static_cast<bool>(offsets); }
};

// Self-attention with policy (kernels/attention.h). qkv (B, N, 3 E) or packed (tokens, 3 E); keep (B, N) or
// packed (tokens), not given: all ones. Returns (B, N, E) or (tokens, E).
struct AttentionForm {
  std::int64_t heads = 1;
  float smoothing = 0;  // at least 0
  float scale = 0;      // of the scores; 0: 1 / sqrt(E / heads)
};
Tensor attention(Tape* tape, const Tensor& qkv, const Tensor& keep, const AttentionForm& form,
                 const Packing& packing = {});

// ---- linear.cpp

// activation(x W^T + bias) + residual: x (..., I), weight (O, I), bias (O) or not given, residual (..., O) or
// not given. The result is of x's type, or of type f32 where `to_f32`.
Tensor linear(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Tensor& residual = {}, Activation activation = Activation::none, bool to_f32 = false);

// The two layers of a transformer's MLP, gelu(x W1^T + b1) W2^T + b2 + residual. Only the values before the
// GELU are kept for backward. fc1 (M, E), (M); fc2 (E, M), (E).
struct MlpWeights {
  Tensor fc1_weight, fc1_bias, fc2_weight, fc2_bias;
};
Tensor mlp(Tape* tape, const Tensor& x, const MlpWeights& weights, const Tensor& residual = {});

// ---- norm.cpp

// LayerNorm over the last dimension; weight, bias (E).
Tensor layer_norm(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias, float epsilon);

// ---- elementwise.cpp

// The same values stored in another type; x itself if it is of that type.
Tensor stored_as(Tape* tape, const Tensor& x, Element type);
// The exact (erf) GELU of every element.
Tensor gelu(Tape* tape, const Tensor& x);
// e^x of every element: probabilities from their logarithms.
Tensor exponential(Tape* tape, const Tensor& x);
// residual + factor_b branch_b for each clip b: drop path. branch, residual (B, ...); factor (B).
Tensor add_scaled(Tape* tape, const Tensor& residual, const Tensor& branch, const Tensor& factor);
// x_b + row for each clip b: the position embedding. x (B, ...), row: the elements of one clip.
Tensor add_row(Tape* tape, const Tensor& x, const Tensor& row);

// a + b, of one shape and type.
Tensor add(Tape* tape, const Tensor& a, const Tensor& b);
// max(x, 0) of every element; f32.
Tensor relu(Tape* tape, const Tensor& x);
// 1 / (1 + e^(-slope x)) of every element; f32. Slope 2 makes it (tanh x + 1) / 2.
Tensor sigmoid(Tape* tape, const Tensor& x, float slope = 1);

// ---- convolution.cpp: images (B, channels, Y, X) in f32

struct ConvolutionForm {
  int stride = 1, padding = 0;
};
// x (B, I, Y, X), weight (O, I, rows, columns), bias (O) or not given -> (B, O, out_Y, out_X), with out_Y the
// number of places of the kernel on the padded image.
Tensor convolution(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const ConvolutionForm& form);
// The convolution that goes the other way, turned round: weight (I, O, rows, columns), and out_Y = (Y - 1)
// stride
// - 2 padding + rows + extra, extra in 0 .. stride - 1.
Tensor transposed_convolution(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
                              const ConvolutionForm& form, int extra = 0);

// ---- image_norm.cpp: images (B, C, Y, X) in f32; weight, bias (C)

// What batch norm knows of all batches, each (C). A training pass moves both by `momentum` times the way to its
// batch's mean and unbiased variance.
struct RunningStatistics {
  Tensor mean, variance;
  float momentum = 0.1f;
};
enum class NormMode { training, evaluation };
// Training norms by the batch and moves `running`; evaluation norms by `running`.
Tensor batch_norm(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const RunningStatistics& running, NormMode mode, float epsilon = 1e-5f);
// Each channel of each image by itself.
Tensor instance_norm(Tape* tape, const Tensor& x, const Tensor& weight, const Tensor& bias, float epsilon);

// ---- image.cpp: images (B, C, Y, X) in f32

// Windows without an image under them are refused: padding is smaller than half of the window, or equal.
Tensor max_pool(Tape* tape, const Tensor& x, const Window& window);
Tensor average_pool(Tape* tape, const Tensor& x, const Window& window);  // padding counts as zeros
Tensor global_average(Tape* tape, const Tensor& x);                      // -> (B, C)
// Bilinear, to (B, C, Y, X). With align_corners the corners of both images are the same points, else the same
// area.
Tensor upsample(Tape* tape, const Tensor& x, std::int64_t Y, std::int64_t X, bool align_corners);
// a (B, C1, ...), b (B, C2, ...) -> (B, C1 + C2, ...)
Tensor concatenate_channels(Tape* tape, const Tensor& a, const Tensor& b);
// (A, P, Q, ...) -> (A, Q, P, ...): between the channels and the frames of clips.
Tensor swap_axes(Tape* tape, const Tensor& x);

// ---- tubelet.cpp

// The tubelets of a clip, (B, C, T, Y, X) -> (B, N, values), and back.
Tensor clip_to_tubelets(Tape* tape, const Tensor& clip, const TubeletGeometry& geometry);
Tensor tubelets_to_clip(Tape* tape, const Tensor& tubelets, const TubeletGeometry& geometry);

// Decoded frames (B, T, source_y, source_x, 3) and how to read them.
struct FrameBatch {
  Bytes pixels;
  Indices crop;  // (B, 2) first row and column; not given: 0, 0
  Bytes flip;    // (B) nonzero: mirrored; not given: none
  float mean[3] = {0, 0, 0}, deviation[3] = {1, 1, 1};
};
// The normalised tubelets of the crops, (B, N, values); frames have no gradient.
Tensor frames_to_tubelets(const FrameBatch& frames, const TubeletGeometry& geometry);

// The range of a real picture in normalised values, per colour channel.
struct PixelRange {
  float low[3] = {0, 0, 0}, high[3] = {1, 1, 1};
};
// Unbounded values (..., 3) into the range, rounded to 8 bits if asked (kernels/tubelet.h).
Tensor bound_pixels(Tape* tape, const Tensor& x, const PixelRange& range, bool rounded);

// ---- select.cpp

// Gumbel noise of a shape; element i is a pure function of (seed, stream, i).
Tensor gumbel_noise(const Backend& backend, const Shape& shape, std::uint64_t seed, std::uint64_t stream);
// The decision (equation 6): logprob, noise (B, N, 2); previous (B, N) or not given. Returns keep (B, N).
Tensor decide(Tape* tape, const Tensor& logprob, const Tensor& noise, const Tensor& previous,
              float temperature = 1.0f, bool hard = true);
// The K highest scores of each segment: scores (segments, P, stride) of which the first of every `stride`
// counts. Returns (segments, K) positions among all segments P tokens, by score or by position. K in 0 .. P.
Indices top_k(const Tensor& scores, std::int64_t segments, std::int64_t K, bool by_score);
// The kept tokens of keep (B, N), packed clip after clip.
struct Kept {
  Indices rows;  // (tokens) positions among all B N
  Packing packing;
};
Kept compact(const Tensor& keep);
// The same from positions that hold equally many tokens of each of B clips, clip after clip.
Kept equal_parts(const Indices& rows, std::int64_t B);
// All N tokens of each of B clips.
Kept every_token(const Backend& backend, std::int64_t B, std::int64_t N);
// Rows of x, seen as (total, width) with width its last dimension: (count, width). Rows must not repeat.
Tensor gather(Tape* tape, const Tensor& x, const Indices& rows);
// Rows of a table that every clip shares: table (..., E) of N rows, `rows` positions among the B N tokens of a
// batch
// -> (count, E). What add_row adds, for tokens that were gathered.
Tensor gather_shared(Tape* tape, const Tensor& table, const Indices& rows, std::int64_t B);
// The reverse of gather: x (count, width) put at `rows` of (total, width), zeros elsewhere.
Tensor scatter(Tape* tape, const Tensor& x, const Indices& rows, std::int64_t total);

// ---- reduce.cpp

// The mean over kept tokens, (B, N, E) or packed (tokens, E) -> (B, E); keep as for attention.
Tensor masked_mean(Tape* tape, const Tensor& x, const Tensor& keep, const Packing& packing = {});
// Multi-level aggregation of the scorer (kernels/reduce.h): x (B, N, E); keep (B, N) or not given; time slot of
// each token (B, N) or not given: N / S tokens each, in order.
struct AggregationLevels {
  bool spatial = true, temporal = true;
};
Tensor aggregate(Tape* tape, const Tensor& x, const Tensor& keep, std::int64_t slots,
                 const Indices& slot_of = {}, AggregationLevels levels = {});

// ---- loss.cpp

Tensor log_softmax(Tape* tape, const Tensor& x);
// Mean over clips: logits (B, A), labels (B) in 0 .. A - 1.
Tensor cross_entropy(Tape* tape, const Tensor& logits, const Indices& labels);
// Mean over clips and attributes of min(limit, binary cross-entropy): logits, targets (B, A).
Tensor binary_cross_entropy(Tape* tape, const Tensor& logits, const Tensor& targets,
                            float limit = std::numeric_limits<float>::infinity());
// Mean squared difference of tensors of the same size; target gets no gradient.
Tensor squared_error(Tape* tape, const Tensor& x, const Tensor& target);
// The ratio loss (equation 7) of one block: keep seen as (segments, P).
Tensor ratio_loss(Tape* tape, const Tensor& keep, std::int64_t segments, float ratio);

}  // namespace stp

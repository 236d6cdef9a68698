// Policy attention, the forward pass (the mathematics stands in kernels/attention.h).
//
// The plan: a thread owns one head of one clip at a time, so nothing is shared and every sum has one fixed
// order. It copies the head's keys and values once into scratch that fits its L2 cache (keys also transposed,
// so that the lanes of a vector are keys), then walks the queries in blocks of kBlock: scores of a block
// against all keys stay in L1, are turned into weights in place and multiplied into the values. Scores of more
// than one block never exist. Products are f32 by vectors or, of bf16 storage where the processor has matrix
// tiles, of bf16 operands with f32 sums (attention_products-inl.h); all else is f32 whatever the storage.
//
// A key that was dropped weighs nothing but for its own query, yet its score takes part in the maximum and its
// weight would change the loss, which is what the policy learns from. So keys are laid out with the kept ones
// first: products that weights go into (out, dq, dk, dv) stop where the kept keys end, and what a dropped token
// sees of itself is added apart. With half of the keys kept that saves a quarter of the work forward and a
// third backward. Forward notes which key has the maximum, so backward needs the scores of dropped keys only
// for the gradient of keep; where keep does not learn, it saves half.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_forward.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/attention_rows-inl.h"
// It comes first: it is read again for every instruction set.
#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

// to[index ..] = factor (row + smoothing mean)
void store_output(const Out& to, std::size_t index, const float* row, const float* mean, float smoothing,
                  float factor, std::size_t width) {
  const Floats d;
  for_vectors(width, [&](std::size_t x, std::size_t n) {
    const Vector v = hn::MulAdd(hn::Set(d, smoothing), hn::LoadU(d, mean + x), hn::LoadU(d, row + x));
    store(hn::Mul(v, hn::Set(d, factor)), to, index + x, n);
  });
}

template <class Products>
void forward_with(const AttentionForward& a, int b, int h) {
  constexpr std::size_t kBlock = Products::kBlock;
  const Head head = head_of(a, b, h);
  if (head.tokens == 0) return;
  const Pitch pitch(head);
  const std::size_t all_keys = pitch.keys * pitch.width;
  Areas scratch(thread_scratch(2 * all_keys + 3 * pitch.keys + pitch.width +
                               kBlock * (pitch.keys + 2 * pitch.width) + Products::floats(pitch, false)));
  float* const k = scratch.take(all_keys);
  float* const v = scratch.take(all_keys);
  float* const keep = scratch.take(pitch.keys);
  float* const mean = scratch.take(pitch.width);
  float* const q = scratch.take(kBlock * pitch.width);
  float* const scores = scratch.take(kBlock * pitch.keys);
  float* const sums = scratch.take(kBlock * pitch.width);
  const KeyOrder order(a.keep, head, pitch, scratch);
  Products products(head, pitch, order, scratch, false);

  copy_keys(a.qkv, head, order, 1, k, pitch.width);
  copy_keys(a.qkv, head, order, 2, v, pitch.width);
  products.load_keys(k, v);
  copy_keep(a.keep, head, order, pitch, keep);
  mean_row(v, head, pitch, mean);

  for (std::size_t begin = 0; begin < head.tokens; begin += kBlock) {
    const std::size_t rows = std::min(kBlock, head.tokens - begin);
    for (std::size_t i = 0; i < rows; ++i)
      copy_row(a.qkv, head, 0, begin + i, q + i * pitch.width, pitch.width);
    scale_rows(q, rows * pitch.width, a.scale);
    products.scores(q, rows, pitch.keys, scores);
    float z[kBlock], alone[kBlock];  // alone: what a dropped token weighs for itself
    for (std::size_t i = 0; i < rows; ++i) {
      float* const row = scores + i * pitch.keys;
      hide_padding(row, head.tokens, pitch.keys);
      const float maximum = row_maximum(row, pitch.keys);
      if (a.best) {
        const std::size_t best = order.token_at(first_key_at(row, maximum, pitch.keys));
        a.best[head.row(begin + i)] = static_cast<int>(best);
      }
      const std::size_t self = order.place_of(begin + i);
      alone[i] = order.is_kept(self) ? 0.0f : exp_of(row[self] - maximum);
      const float kept = keep[self];
      if (order.is_kept(self)) keep[self] = 1.0f;  // the diagonal: a token always sees itself
      z[i] = weigh_row(row, keep, maximum, round_up(order.kept, lanes())) + alone[i] + a.smoothing;
      keep[self] = kept;
      if (a.lse) a.lse[head.row(begin + i)] = maximum + std::log(z[i]);
      if (a.inverse_z) a.inverse_z[head.row(begin + i)] = 1.0f / z[i];
    }
    products.outputs(scores, rows, sums);
    for (std::size_t i = 0; i < rows; ++i) {
      float* const sum = sums + i * pitch.width;
      const std::size_t self = order.place_of(begin + i);
      if (!order.is_kept(self)) add_row_times(v + self * pitch.width, alone[i], sum, pitch.width);
      store_output(a.out, head.out(begin + i), sum, mean, a.smoothing, 1.0f / z[i], head.width);
    }
  }
}

void forward_head(const AttentionForward& a, int b, int h) {
  if (TileProducts::fit(a.out.type)) return forward_with<TileProducts>(a, b, h);
  forward_with<VectorProducts>(a, b, h);
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(forward_head);

void attention_forward(const AttentionForward& a) {
  parallel_for(a.B * a.H, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(forward_head)(a, static_cast<int>(i / a.H), static_cast<int>(i % a.H));
  });
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

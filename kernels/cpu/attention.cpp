// Policy attention, forward and backward (the mathematics stands in kernels/attention.h).
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
// third backward.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/attention_products-inl.h"
// It comes first: it is read again for every instruction set.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/attention.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

void scale_rows(float* x, std::size_t count, float factor) {
  const Floats d;
  for (std::size_t i = 0; i < count; i += lanes())
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
}

// The keep values of the keys in their order; padding keys are not there.
void copy_keep(const float* keep, const Head& head, const KeyOrder& order, const Pitch& pitch, float* to) {
  for (std::size_t j = 0; j < head.tokens; ++j) to[j] = keep ? keep[head.first + order.token_at(j)] : 1.0f;
  std::fill(to + head.tokens, to + pitch.keys, 0.0f);
}

// mean_j v_j
void mean_row(const float* v, const Head& head, const Pitch& pitch, float* mean) {
  const Floats d;
  for (std::size_t x = 0; x < pitch.width; x += lanes()) {
    Vector sum = hn::Zero(d);
    for (std::size_t j = 0; j < head.tokens; ++j) sum = hn::Add(sum, hn::LoadU(d, v + j * pitch.width + x));
    hn::StoreU(hn::Mul(sum, hn::Set(d, 1.0f / static_cast<float>(head.tokens))), d, mean + x);
  }
}

float dot(const float* a, const float* b, std::size_t count) {
  const Floats d;
  Vector sum = hn::Zero(d);
  for (std::size_t i = 0; i < count; i += lanes())
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// max_j s_j over the real keys; padding is overwritten so that it never wins.
float row_maximum(float* scores, std::size_t tokens, std::size_t keys) {
  const Floats d;
  std::fill(scores + tokens, scores + keys, std::numeric_limits<float>::lowest());
  Vector m = hn::Set(d, std::numeric_limits<float>::lowest());
  for (std::size_t j = 0; j < keys; j += lanes()) m = hn::Max(m, hn::LoadU(d, scores + j));
  return hn::GetLane(hn::MaxOfLanes(d, m));
}

// The first key whose score is the maximum; 0 if there is none (NaN).
std::size_t first_key_at(const float* scores, float maximum, std::size_t keys) {
  const Floats d;
  for (std::size_t j = 0; j < keys; j += lanes()) {
    const std::intptr_t lane = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, scores + j), hn::Set(d, maximum)));
    if (lane >= 0) return j + static_cast<std::size_t>(lane);
  }
  return 0;
}

// to += factor from, over a row of whole vectors
void add_row_times(const float* from, float factor, float* to, std::size_t width) {
  const Floats d;
  for (std::size_t x = 0; x < width; x += lanes())
    hn::StoreU(hn::MulAdd(hn::Set(d, factor), hn::LoadU(d, from + x), hn::LoadU(d, to + x)), d, to + x);
}

// e^x as the vectors have it.
float exp_of(float x) { return hn::GetLane(exp(hn::Set(Floats(), x))); }

// s_j -> p_j = w_j e^(s_j - m); returns sum_j p_j.
float weigh_row(float* scores, const float* weight, float maximum, std::size_t keys) {
  const Floats d;
  const Vector m = hn::Set(d, maximum);
  Vector sum = hn::Zero(d);
  for (std::size_t j = 0; j < keys; j += lanes()) {
    const Vector e = exp(hn::Sub(hn::LoadU(d, scores + j), m));
    const Vector p = hn::Mul(e, hn::LoadU(d, weight + j));
    hn::StoreU(p, d, scores + j);
    sum = hn::Add(sum, p);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

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
    products.scores(q, rows, scores);
    float z[kBlock], alone[kBlock];  // alone: what a dropped token weighs for itself
    for (std::size_t i = 0; i < rows; ++i) {
      float* const row = scores + i * pitch.keys;
      const float maximum = row_maximum(row, head.tokens, pitch.keys);
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

// What a query adds to the gradient of one key beside the products over kept keys: the share of a dropped token
// in itself, or of the gradient through the maximum.
struct Lone {
  std::size_t key = 0;
  float p = 0, ds = 0;
};

// One head's working set in backward; every area is padded to whole vectors.
template <class Products>
struct Backward {
  static constexpr std::size_t kBlock = Products::kBlock;

  const AttentionBackward& a;
  Head head;
  Pitch pitch;
  Areas scratch;
  KeyOrder order;
  std::size_t kept_keys;  // padded
  std::size_t keys_seen;  // padded: keys whose g_ij is wanted
  Products products;
  float *k, *v, *dk, *dv;                          // (tokens, width)
  float *keep, *others, *dkeep, *mean, *constant;  // (keys) three times, (width) twice
  float *q, *dout, *dq;                            // (kBlock, width)
  float *p, *ds;                                   // (kBlock, keys)

  static std::size_t floats(const Pitch& pitch) {
    const std::size_t all_keys = pitch.keys * pitch.width;
    return 4 * all_keys + 5 * pitch.keys + 2 * pitch.width + kBlock * (3 * pitch.width + 2 * pitch.keys) +
           Products::floats(pitch, true);
  }

  Backward(const AttentionBackward& args, int b, int h)
      : a(args),
        head(head_of(args, b, h)),
        pitch(head),
        scratch(thread_scratch(floats(pitch))),
        order(args.keep, head, pitch, scratch),
        kept_keys(round_up(order.kept, lanes())),
        keys_seen(args.dkeep ? pitch.keys : kept_keys),
        products(head, pitch, order, scratch, true) {
    const std::size_t all_keys = pitch.keys * pitch.width;
    k = scratch.take(all_keys);
    v = scratch.take(all_keys);
    dk = scratch.take(all_keys);
    dv = scratch.take(all_keys);
    keep = scratch.take(pitch.keys);
    others = scratch.take(pitch.keys);
    dkeep = scratch.take(pitch.keys);
    mean = scratch.take(pitch.width);
    constant = scratch.take(pitch.width);
    q = scratch.take(kBlock * pitch.width);
    dout = scratch.take(kBlock * pitch.width);
    dq = scratch.take(kBlock * pitch.width);
    p = scratch.take(kBlock * pitch.keys);
    ds = scratch.take(kBlock * pitch.keys);
  }

  void load_keys() {
    copy_keys(a.qkv, head, order, 1, k, pitch.width);
    copy_keys(a.qkv, head, order, 2, v, pitch.width);
    products.load_keys(k, v);
    copy_keep(a.keep, head, order, pitch, keep);
    mean_row(v, head, pitch, mean);
    std::fill(others, others + pitch.keys, 1.0f);
    std::fill(dkeep, dkeep + pitch.keys, 0.0f);
    std::fill(dk, dk + head.tokens * pitch.width, 0.0f);
    std::fill(dv, dv + head.tokens * pitch.width, 0.0f);
    std::fill(constant, constant + pitch.width, 0.0f);
  }

  // Scores and g = dout . v of one query become p / z and ds in place. `p` holds s_ij, `ds` holds g_ij.
  void weigh_row(float* p_row, float* ds_row, float lse, float delta) const {
    const Floats d;
    const auto share = [&](std::size_t j, Vector e, Vector slope) {
      // forward: p_ij = keep_j E_ij for j != i, so dkeep_j += (g - delta) E / z
      const Vector term = hn::Mul(hn::Mul(slope, e), hn::LoadU(d, others + j));
      hn::StoreU(hn::Add(hn::LoadU(d, dkeep + j), term), d, dkeep + j);
    };
    for (std::size_t j = 0; j < keys_seen; j += lanes()) {
      // E / z exceeds 1 when only dropped keys score high, by at most 1 / smoothing
      const Vector e = exp(hn::Sub(hn::LoadU(d, p_row + j), hn::Set(d, lse)));
      const Vector slope = hn::Sub(hn::LoadU(d, ds_row + j), hn::Set(d, delta));
      if (j < kept_keys) {
        const Vector weight = hn::Mul(e, hn::LoadU(d, keep + j));
        hn::StoreU(weight, d, p_row + j);
        hn::StoreU(hn::Mul(slope, weight), d, ds_row + j);
      }
      if (a.dkeep) share(j, e, slope);
    }
  }

  // One query: its rows of p and ds, and what goes to single keys.
  void query(std::size_t i, std::size_t token, const float* out_row, Lone& self, Lone& best) const {
    float* const p_row = p + i * pitch.keys;
    float* const ds_row = ds + i * pitch.keys;
    const float* const dout_row = dout + i * pitch.width;
    const std::size_t at = head.row(token);
    const float delta = dot(dout_row, out_row, pitch.width);
    const float maximum = row_maximum(p_row, head.tokens, pitch.keys);
    self = {order.place_of(token), 0, 0};
    best = {a.smoothing > 0 ? first_key_at(p_row, maximum, pitch.keys) : 0, 0, 0};
    const bool seen = order.is_kept(self.key);
    if (!seen) {
      self.p = exp_of(p_row[self.key] - a.lse[at]);
      self.ds = (dot(dout_row, v + self.key * pitch.width, pitch.width) - delta) * self.p;
    }
    const float kept = keep[self.key];
    if (seen) keep[self.key] = 1.0f;  // w_ii = 1, and it does not depend on keep_i
    others[self.key] = 0.0f;
    weigh_row(p_row, ds_row, a.lse[at], delta);
    keep[self.key] = kept;
    others[self.key] = 1.0f;
    if (a.smoothing > 0) {
      // forward: m_i = max_j s_ij stands in every exponential; it cancels but for the smoothing terms
      best.ds = -a.smoothing * a.inverse_z[at] * (delta - dot(dout_row, mean, pitch.width));
      // forward: out_i += smoothing / z_i mean_j v_j, so dv_j += smoothing / (N z_i) dout_i for every j
      const float share = a.smoothing * a.inverse_z[at] / static_cast<float>(head.tokens);
      add_row_times(dout_row, share, constant, pitch.width);
    }
  }

  // forward: s_ij = scale q_i . k_j, out_i = sum_j (p_ij / z_i) v_j, for the one key
  void add_lone(std::size_t i, const Lone& lone) const {
    const std::size_t row = lone.key * pitch.width;
    add_row_times(k + row, lone.ds, dq + i * pitch.width, pitch.width);
    add_row_times(q + i * pitch.width, lone.ds, dk + row, pitch.width);
    if (lone.p != 0.0f) add_row_times(dout + i * pitch.width, lone.p, dv + row, pitch.width);
  }

  void store_row(std::size_t part, std::size_t token, const float* from, const float* plus,
                 float factor) const {
    const Floats d;
    const std::size_t index = head.qkv(token, part);
    for_vectors(head.width, [&](std::size_t x, std::size_t n) {
      Vector row = hn::Mul(hn::LoadU(d, from + x), hn::Set(d, factor));
      if (plus) row = hn::Add(row, hn::LoadU(d, plus + x));
      store(row, a.dqkv, index + x, n);
    });
  }

  void load_queries(std::size_t begin, std::size_t rows) const {
    for (std::size_t i = 0; i < rows; ++i) {
      copy_row(a.qkv, head, 0, begin + i, q + i * pitch.width, pitch.width);
      load_output(a.dout, begin + i, dout + i * pitch.width);
    }
    scale_rows(q, rows * pitch.width, a.scale);
  }

  void load_output(const In& from, std::size_t token, float* to) const {
    load_row(from, head.out(token), head.width, to);
    std::fill(to + head.width, to + pitch.width, 0.0f);
  }

  void block(std::size_t begin, std::size_t rows) const {
    load_queries(begin, rows);
    products.scores(q, rows, p);
    products.slopes(dout, rows, keys_seen, ds);
    Lone self[kBlock], best[kBlock];
    for (std::size_t i = 0; i < rows; ++i) {
      load_output(a.out, begin + i, dq);  // dq is free until the products below
      query(i, begin + i, dq, self[i], best[i]);
    }
    if (!a.dqkv) return;
    // forward: s_ij = scale q_i . k_j, out_i = sum_j (p_ij / z_i) v_j
    products.gradients(p, ds, q, dout, rows, dq, dk, dv);
    for (std::size_t i = 0; i < rows; ++i) {
      if (!order.is_kept(self[i].key)) add_lone(i, self[i]);
      if (a.smoothing > 0) add_lone(i, best[i]);
      store_row(0, begin + i, dq + i * pitch.width, nullptr, a.scale);
    }
  }

  void run() {
    load_keys();
    for (std::size_t begin = 0; begin < head.tokens; begin += kBlock)
      block(begin, std::min(kBlock, head.tokens - begin));
    products.finish(dk, dv);
    for (std::size_t j = 0; j < head.tokens; ++j) {
      const std::size_t token = order.token_at(j);
      if (a.dqkv) {
        store_row(1, token, dk + j * pitch.width, nullptr, 1.0f);
        store_row(2, token, dv + j * pitch.width, constant, 1.0f);
      }
      if (a.dkeep) a.dkeep_heads[head.row(token)] = dkeep[j];
    }
  }
};

template <class Products>
void backward_with(const AttentionBackward& a, int b, int h) {
  if (head_of(a, b, h).tokens > 0) Backward<Products>(a, b, h).run();
}

void backward_head(const AttentionBackward& a, int b, int h) {
  if (TileProducts::fit(a.dout.type)) return backward_with<TileProducts>(a, b, h);
  backward_with<VectorProducts>(a, b, h);
}

// dkeep_j = sum over heads, in their order.
void sum_heads(const AttentionBackward& a, int b) {
  for (std::size_t j = 0; j < head_of(a, b, 0).tokens; ++j) {
    float sum = 0;
    for (int h = 0; h < a.H; ++h) sum += a.dkeep_heads[head_of(a, b, h).row(j)];
    float& dkeep = a.dkeep.f32()[head_of(a, b, 0).first + j];
    dkeep = a.dkeep.add ? dkeep + sum : sum;
  }
}

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stp::cpu {

HWY_EXPORT(forward_head);
HWY_EXPORT(backward_head);
HWY_EXPORT(sum_heads);

void attention_forward(const AttentionForward& a) {
  parallel_for(a.B * a.H, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(forward_head)(a, static_cast<int>(i / a.H), static_cast<int>(i % a.H));
  });
}

void attention_backward(const AttentionBackward& a) {
  parallel_for(a.B * a.H, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(backward_head)(a, static_cast<int>(i / a.H), static_cast<int>(i % a.H));
  });
  if (!a.dkeep) return;
  parallel_for(a.B, [&](std::int64_t b) { HWY_DYNAMIC_DISPATCH(sum_heads)(a, static_cast<int>(b)); });
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

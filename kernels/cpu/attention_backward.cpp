// Policy attention, the backward pass, by the plan that attention_forward.cpp tells.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_backward.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/attention_rows-inl.h"
// It comes first: it is read again for every instruction set.
#include <algorithm>
#include <utility>

#include "kernels/attention.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

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
  std::size_t keys_seen;  // padded: keys whose s_ij and g_ij are wanted
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
    hide_padding(p_row, head.tokens, pitch.keys);  // e^(0 - lse) may be infinite, and tiles take it times zero
    self = {order.place_of(token), 0, 0};
    best = {a.smoothing > 0 ? order.place_of(static_cast<std::size_t>(a.best[at])) : 0, 0, 0};
    const bool seen = order.is_kept(self.key);
    if (!seen) {
      const std::size_t row = self.key * pitch.width;
      self.p = exp_of(dot(q + i * pitch.width, k + row, pitch.width) - a.lse[at]);
      self.ds = (dot(dout_row, v + row, pitch.width) - delta) * self.p;
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
    products.scores(q, rows, keys_seen, p);
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

HWY_EXPORT(backward_head);
HWY_EXPORT(sum_heads);

void attention_backward(const AttentionBackward& a) {
  parallel_for(a.B * a.H, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(backward_head)(a, static_cast<int>(i / a.H), static_cast<int>(i % a.H));
  });
  if (!a.dkeep) return;
  parallel_for(a.B, [&](std::int64_t b) { HWY_DYNAMIC_DISPATCH(sum_heads)(a, static_cast<int>(b)); });
}

}  // namespace stp::cpu
#endif  // HWY_ONCE

// Policy attention, forward and backward (the mathematics stands in kernels/attention.h).
//
// The plan: a thread owns one head of one clip at a time, so nothing is shared and every sum has one fixed
// order. It copies the head's keys and values once into scratch that fits its L2 cache (keys also transposed,
// so that the lanes of a vector are keys), then walks the queries in blocks of kBlock: scores of a block
// against all keys stay in L1, are turned into weights in place and multiplied into the values. Scores of more
// than one block never exist. Arithmetic is f32 whatever the storage.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/attention.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

constexpr std::size_t kBlock = 4 * kTileRows;  // queries whose scores are in cache together

// Where one head of one clip lies in the packed arrays. `tokens` rows, `width` = D.
struct Head {
  std::size_t first, tokens, heads, head, width;

  std::size_t qkv(std::size_t token, std::size_t part) const {
    return (((first + token) * 3 + part) * heads + head) * width;
  }
  std::size_t out(std::size_t token) const { return ((first + token) * heads + head) * width; }
  std::size_t row(std::size_t token) const { return first * heads + head * tokens + token; }  // lse, inverse_z
};

template <class Args>
Head head_of(const Args& a, int b, int h) {
  const std::size_t N = static_cast<std::size_t>(a.N);
  const std::size_t first =
      a.offsets ? static_cast<std::size_t>(a.offsets[b]) : static_cast<std::size_t>(b) * N;
  const std::size_t tokens = a.offsets ? static_cast<std::size_t>(a.offsets[b + 1]) - first : N;
  return {first, tokens, static_cast<std::size_t>(a.H), static_cast<std::size_t>(h),
          static_cast<std::size_t>(a.D)};
}

// Sizes of the scratch copies, padded to whole vectors; the padding holds zeros.
struct Pitch {
  std::size_t keys, width;
  explicit Pitch(const Head& head)
      : keys(round_up(head.tokens, lanes())), width(round_up(head.width, lanes())) {}
};

// One part (0 q, 1 k, 2 v) of the head's tokens begin .. begin + rows - 1 as rows of `pitch` floats.
void copy_rows(const In& from, const Head& head, std::size_t part, std::size_t begin, std::size_t rows,
               float* to, std::size_t pitch) {
  for (std::size_t i = 0; i < rows; ++i) {
    load_row(from, head.qkv(begin + i, part), head.width, to + i * pitch);
    std::fill(to + i * pitch + head.width, to + (i + 1) * pitch, 0.0f);
  }
}

// (tokens, width) -> (width, keys): lane j of row d is component d of key j.
void transpose(const float* from, const Head& head, const Pitch& pitch, float* to) {
  for (std::size_t d = 0; d < head.width; ++d) {
    for (std::size_t j = 0; j < head.tokens; ++j) to[d * pitch.keys + j] = from[j * pitch.width + d];
    std::fill(to + d * pitch.keys + head.tokens, to + (d + 1) * pitch.keys, 0.0f);
  }
}

void scale_rows(float* x, std::size_t count, float factor) {
  const Floats d;
  for (std::size_t i = 0; i < count; i += lanes())
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
}

// The keep values of the clip; padding keys are not there.
void copy_keep(const float* keep, const Head& head, const Pitch& pitch, float* to) {
  for (std::size_t j = 0; j < head.tokens; ++j) to[j] = keep ? keep[head.first + j] : 1.0f;
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

void forward_head(const AttentionForward& a, int b, int h) {
  const Head head = head_of(a, b, h);
  if (head.tokens == 0) return;
  const Pitch pitch(head);
  const std::size_t all_keys = pitch.keys * pitch.width;
  Areas scratch(
      thread_scratch(3 * all_keys + pitch.keys + pitch.width + kBlock * (pitch.keys + 2 * pitch.width)));
  float* const k = scratch.take(all_keys);
  float* const v = scratch.take(all_keys);
  float* const k_transposed = scratch.take(all_keys);
  float* const keep = scratch.take(pitch.keys);
  float* const mean = scratch.take(pitch.width);
  float* const q = scratch.take(kBlock * pitch.width);
  float* const scores = scratch.take(kBlock * pitch.keys);
  float* const sums = scratch.take(kBlock * pitch.width);

  copy_rows(a.qkv, head, 1, 0, head.tokens, k, pitch.width);
  copy_rows(a.qkv, head, 2, 0, head.tokens, v, pitch.width);
  transpose(k, head, pitch, k_transposed);
  copy_keep(a.keep, head, pitch, keep);
  mean_row(v, head, pitch, mean);

  for (std::size_t begin = 0; begin < head.tokens; begin += kBlock) {
    const std::size_t rows = std::min(kBlock, head.tokens - begin);
    copy_rows(a.qkv, head, 0, begin, rows, q, pitch.width);
    scale_rows(q, rows * pitch.width, a.scale);
    product({q, pitch.width, 1}, k_transposed, pitch.keys, scores, pitch.keys, rows, pitch.keys, head.width,
            false);
    float z[kBlock];
    for (std::size_t i = 0; i < rows; ++i) {
      float* const row = scores + i * pitch.keys;
      const float maximum = row_maximum(row, head.tokens, pitch.keys);
      const float kept = std::exchange(keep[begin + i], 1.0f);  // the diagonal: a token always sees itself
      z[i] = weigh_row(row, keep, maximum, pitch.keys) + a.smoothing;
      keep[begin + i] = kept;
      if (a.lse) a.lse[head.row(begin + i)] = maximum + std::log(z[i]);
      if (a.inverse_z) a.inverse_z[head.row(begin + i)] = 1.0f / z[i];
    }
    product({scores, pitch.keys, 1}, v, pitch.width, sums, pitch.width, rows, pitch.width, head.tokens, false);
    for (std::size_t i = 0; i < rows; ++i) {
      store_output(a.out, head.out(begin + i), sums + i * pitch.width, mean, a.smoothing, 1.0f / z[i],
                   head.width);
    }
  }
}

// One head's working set in backward; every area is padded to whole vectors.
struct Backward {
  const AttentionBackward& a;
  Head head;
  Pitch pitch;
  float *k, *v, *dk, *dv;                          // (tokens, width)
  float *k_transposed, *v_transposed;              // (width, keys)
  float *keep, *others, *dkeep, *mean, *constant;  // (keys) three times, (width) twice
  float *q, *dout, *dq;                            // (kBlock, width)
  float *p, *ds;                                   // (kBlock, keys)

  Backward(const AttentionBackward& args, int b, int h) : a(args), head(head_of(args, b, h)), pitch(head) {
    const std::size_t rows = head.tokens * pitch.width, columns = pitch.width * pitch.keys;
    const std::size_t block = kBlock * pitch.width, scores = kBlock * pitch.keys;
    Areas scratch(
        thread_scratch(4 * rows + 2 * columns + 3 * pitch.keys + 2 * pitch.width + 3 * block + 2 * scores));
    k_transposed = scratch.take(columns);
    v_transposed = scratch.take(columns);
    k = scratch.take(rows);
    v = scratch.take(rows);
    dk = scratch.take(rows);
    dv = scratch.take(rows);
    keep = scratch.take(pitch.keys);
    others = scratch.take(pitch.keys);
    dkeep = scratch.take(pitch.keys);
    mean = scratch.take(pitch.width);
    constant = scratch.take(pitch.width);
    q = scratch.take(block);
    dout = scratch.take(block);
    dq = scratch.take(block);
    p = scratch.take(scores);
    ds = scratch.take(scores);
  }

  void load_keys() const {
    copy_rows(a.qkv, head, 1, 0, head.tokens, k, pitch.width);
    copy_rows(a.qkv, head, 2, 0, head.tokens, v, pitch.width);
    transpose(k, head, pitch, k_transposed);
    transpose(v, head, pitch, v_transposed);
    copy_keep(a.keep, head, pitch, keep);
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
    for (std::size_t j = 0; j < pitch.keys; j += lanes()) {
      // E / z exceeds 1 when only dropped keys score high, by at most 1 / smoothing
      const Vector e = exp(hn::Sub(hn::LoadU(d, p_row + j), hn::Set(d, lse)));
      const Vector weight = hn::Mul(e, hn::LoadU(d, keep + j));
      const Vector slope = hn::Sub(hn::LoadU(d, ds_row + j), hn::Set(d, delta));
      hn::StoreU(weight, d, p_row + j);
      hn::StoreU(hn::Mul(slope, weight), d, ds_row + j);
      // forward: p_ij = keep_j E_ij for j != i, so dkeep_j += (g - delta) E / z
      const Vector share = hn::Mul(hn::Mul(slope, e), hn::LoadU(d, others + j));
      hn::StoreU(hn::Add(hn::LoadU(d, dkeep + j), share), d, dkeep + j);
    }
  }

  void query(std::size_t i, std::size_t token, const float* out_row) const {
    float* const p_row = p + i * pitch.keys;
    float* const ds_row = ds + i * pitch.keys;
    const float* const dout_row = dout + i * pitch.width;
    const std::size_t at = head.row(token);
    const float delta = dot(dout_row, out_row, pitch.width);
    std::size_t best = 0;
    if (a.smoothing > 0) {
      best = static_cast<std::size_t>(std::max_element(p_row, p_row + head.tokens) - p_row);
    }
    std::fill(p_row + head.tokens, p_row + pitch.keys, std::numeric_limits<float>::lowest());
    const float kept = std::exchange(keep[token], 1.0f);  // w_ii = 1, and it does not depend on keep_i
    others[token] = 0.0f;
    weigh_row(p_row, ds_row, a.lse[at], delta);
    keep[token] = kept;
    others[token] = 1.0f;
    if (a.smoothing > 0) {
      // forward: m_i = max_j s_ij stands in every exponential; it cancels but for the smoothing terms
      ds_row[best] -= a.smoothing * a.inverse_z[at] * (delta - dot(dout_row, mean, pitch.width));
      // forward: out_i += smoothing / z_i mean_j v_j, so dv_j += smoothing / (N z_i) dout_i for every j
      const float share = a.smoothing * a.inverse_z[at] / static_cast<float>(head.tokens);
      const Floats d;
      for (std::size_t x = 0; x < pitch.width; x += lanes()) {
        const Vector c = hn::MulAdd(hn::Set(d, share), hn::LoadU(d, dout_row + x), hn::LoadU(d, constant + x));
        hn::StoreU(c, d, constant + x);
      }
    }
  }

  void store_rows(std::size_t part, std::size_t begin, std::size_t rows, const float* from, const float* plus,
                  float factor) const {
    const Floats d;
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t index = head.qkv(begin + i, part);
      for_vectors(head.width, [&](std::size_t x, std::size_t n) {
        Vector row = hn::Mul(hn::LoadU(d, from + i * pitch.width + x), hn::Set(d, factor));
        if (plus) row = hn::Add(row, hn::LoadU(d, plus + x));
        store(row, a.dqkv, index + x, n);
      });
    }
  }

  void block(std::size_t begin, std::size_t rows) const {
    copy_rows(a.qkv, head, 0, begin, rows, q, pitch.width);
    scale_rows(q, rows * pitch.width, a.scale);
    const auto copy_out = [&](const In& from, std::size_t i, float* to) {
      load_row(from, head.out(begin + i), head.width, to);
      std::fill(to + head.width, to + pitch.width, 0.0f);
    };
    for (std::size_t i = 0; i < rows; ++i) copy_out(a.dout, i, dout + i * pitch.width);
    product({q, pitch.width, 1}, k_transposed, pitch.keys, p, pitch.keys, rows, pitch.keys, head.width, false);
    product({dout, pitch.width, 1}, v_transposed, pitch.keys, ds, pitch.keys, rows, pitch.keys, head.width,
            false);
    for (std::size_t i = 0; i < rows; ++i) {
      copy_out(a.out, i, dq);  // dq is free until the products below
      query(i, begin + i, dq);
    }
    if (!a.dqkv) return;
    // forward: s_ij = scale q_i . k_j
    product({ds, pitch.keys, 1}, k, pitch.width, dq, pitch.width, rows, pitch.width, head.tokens, false);
    product({ds, 1, pitch.keys}, q, pitch.width, dk, pitch.width, head.tokens, pitch.width, rows, true);
    // forward: out_i = sum_j (p_ij / z_i) v_j
    product({p, 1, pitch.keys}, dout, pitch.width, dv, pitch.width, head.tokens, pitch.width, rows, true);
    store_rows(0, begin, rows, dq, nullptr, a.scale);
  }

  void run() const {
    load_keys();
    for (std::size_t begin = 0; begin < head.tokens; begin += kBlock)
      block(begin, std::min(kBlock, head.tokens - begin));
    if (a.dqkv) {
      store_rows(1, 0, head.tokens, dk, nullptr, 1.0f);
      store_rows(2, 0, head.tokens, dv, constant, 1.0f);
    }
    if (a.dkeep) std::copy(dkeep, dkeep + head.tokens, a.dkeep_heads + head.row(0));
  }
};

void backward_head(const AttentionBackward& a, int b, int h) {
  const Backward work(a, b, h);
  if (work.head.tokens > 0) work.run();
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

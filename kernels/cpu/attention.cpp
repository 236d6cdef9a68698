// Policy attention, forward and backward (the mathematics stands in kernels/attention.h).
//
// The plan: a thread owns one head of one clip at a time, so nothing is shared and every sum has one fixed
// order. It copies the head's keys and values once into scratch that fits its L2 cache (keys also transposed,
// so that the lanes of a vector are keys), then walks the queries in blocks of kBlock: scores of a block
// against all keys stay in L1, are turned into weights in place and multiplied into the values. Scores of more
// than one block never exist. Arithmetic is f32 whatever the storage.
//
// A key that was dropped weighs nothing but for its own query, yet its score takes part in the maximum and its
// weight would change the loss, which is what the policy learns from. So keys are laid out with the kept ones
// first: products that weights go into (out, dq, dk, dv) stop where the kept keys end, and what a dropped token
// sees of itself is added apart. With half of the keys kept that saves a quarter of the work forward and a
// third backward.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include <hwy/foreach_target.h>

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/attention.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/tiles.h"

HWY_BEFORE_NAMESPACE();
namespace stp::cpu::HWY_NAMESPACE {

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

// The order in which keys lie in scratch: those that are kept, then those that were dropped.
struct KeyOrder {
  std::int32_t *token, *place;  // (tokens) of the key at a place, and the other way round
  std::size_t kept;             // keys that weigh something

  KeyOrder(const float* keep, const Head& head, const Pitch& pitch, Areas& scratch)
      : token(scratch.take_integers(pitch.keys)), place(scratch.take_integers(pitch.keys)), kept(0) {
    const auto dropped = [&](std::size_t j) { return keep && keep[head.first + j] == 0.0f; };
    for (std::size_t j = 0; j < head.tokens; ++j) kept += dropped(j) ? 0 : 1;
    std::size_t next_kept = 0, next_dropped = kept;
    for (std::size_t j = 0; j < head.tokens; ++j) {
      const std::size_t at = dropped(j) ? next_dropped++ : next_kept++;
      token[at] = static_cast<std::int32_t>(j);
      place[j] = static_cast<std::int32_t>(at);
    }
  }
  std::size_t place_of(std::size_t j) const { return static_cast<std::size_t>(place[j]); }
  std::size_t token_at(std::size_t at) const { return static_cast<std::size_t>(token[at]); }
  bool is_kept(std::size_t at) const { return at < kept; }  // so that other queries see the key there
};

// One row of a part (0 q, 1 k, 2 v) as `pitch` floats.
void copy_row(const In& from, const Head& head, std::size_t part, std::size_t token, float* to,
              std::size_t pitch) {
  load_row(from, head.qkv(token, part), head.width, to);
  std::fill(to + head.width, to + pitch, 0.0f);
}

// Keys or values in their order.
void copy_keys(const In& from, const Head& head, const KeyOrder& order, std::size_t part, float* to,
               std::size_t pitch) {
  for (std::size_t j = 0; j < head.tokens; ++j)
    copy_row(from, head, part, order.token_at(j), to + j * pitch, pitch);
}

// ---- the products of one head, in two kinds of arithmetic
//
// Rows of queries, and of what belongs to them, come in blocks of kBlock. `keys` below are in their order, and
// sums over keys end with those that are kept.

// f32, by vectors.
struct VectorProducts {
  static constexpr std::size_t kBlock = 4 * kTileRows;  // queries whose scores are in cache together

  const Head& head;
  const Pitch& pitch;
  const KeyOrder& order;
  const float *k, *v;                  // (keys, width)
  float *k_transposed, *v_transposed;  // (width, keys)

  static std::size_t floats(const Pitch& pitch, bool backward) {
    return (backward ? 2 : 1) * pitch.keys * pitch.width;
  }

  VectorProducts(const Head& of, const Pitch& padded, const KeyOrder& keys_in, Areas& scratch, bool backward)
      : head(of),
        pitch(padded),
        order(keys_in),
        k(nullptr),
        v(nullptr),
        k_transposed(scratch.take(pitch.keys * pitch.width)),
        v_transposed(backward ? scratch.take(pitch.keys * pitch.width) : nullptr) {}

  void load_keys(const float* keys, const float* values) {
    k = keys;
    v = values;
    transpose(k, k_transposed);
    if (v_transposed) transpose(v, v_transposed);
  }

  // s_ij = q_i . k_j for all keys; g_ij = dout_i . v_j for the first `keys` of them
  void scores(const float* q, std::size_t rows, float* s) const {
    product({q, pitch.width, 1}, k_transposed, pitch.keys, s, pitch.keys, rows, pitch.keys, head.width, false);
  }
  void slopes(const float* dout, std::size_t rows, std::size_t keys, float* g) const {
    product({dout, pitch.width, 1}, v_transposed, pitch.keys, g, pitch.keys, rows, keys, head.width, false);
  }
  // out_i = sum_j p_ij v_j
  void outputs(const float* p, std::size_t rows, float* out) const {
    product({p, pitch.keys, 1}, v, pitch.width, out, pitch.width, rows, pitch.width, order.kept, false);
  }
  // dq_i = sum_j ds_ij k_j, dk_j += sum_i ds_ij q_i, dv_j += sum_i p_ij dout_i
  void gradients(const float* p, const float* ds, const float* q, const float* dout, std::size_t rows,
                 float* dq, float* dk, float* dv) const {
    product({ds, pitch.keys, 1}, k, pitch.width, dq, pitch.width, rows, pitch.width, order.kept, false);
    product({ds, 1, pitch.keys}, q, pitch.width, dk, pitch.width, order.kept, pitch.width, rows, true);
    product({p, 1, pitch.keys}, dout, pitch.width, dv, pitch.width, order.kept, pitch.width, rows, true);
  }
  // After the last block: what is still to be added to dk and dv.
  void finish(float*, float*) const {}

 private:
  // (tokens, width) -> (width, keys): lane j of row d is component d of key j.
  void transpose(const float* from, float* to) const {
    for (std::size_t d = 0; d < head.width; ++d) {
      for (std::size_t j = 0; j < head.tokens; ++j) to[d * pitch.keys + j] = from[j * pitch.width + d];
      std::fill(to + d * pitch.keys + head.tokens, to + (d + 1) * pitch.keys, 0.0f);
    }
  }
};

// bf16 operands and f32 sums, by matrix tiles. What flows along the queries of a block (p, ds) is rounded as it
// is put in order for the tiles; what is summed over queries is kept transposed, (width, keys), for then it is
// q and dout that have to be turned and not p and ds, which are larger.
struct TileProducts {
  static constexpr std::size_t kBlock = tiles::kDepth;  // queries are what dk and dv are summed over

  const Head& head;
  const KeyOrder& order;
  std::size_t keys, width, kept;               // padded to whole tiles
  std::size_t deep_width, deep_kept;           // padded to whole depths
  std::size_t key_pitch, width_pitch;          // of the f32 areas
  std::uint16_t *left, *turned;                // (kBlock, deepest) of a block; (width, kBlock)
  std::uint32_t *k_transposed, *v_transposed;  // (deep_width / 2, keys)
  std::uint32_t *k, *v;                        // (deep_kept / 2, width)
  std::uint32_t* right;                        // (kBlock / 2, keys) of a block
  float *dk_transposed, *dv_transposed;        // (width, keys)
  tiles::Session session;

  static bool fit(Element type) {
    return type == Element::bf16 && lanes() == tiles::kSide && tiles::available();
  }

  static std::size_t floats(const Pitch& pitch, bool backward) {
    const std::size_t k = pitch.keys + tiles::kDepth, w = pitch.width + tiles::kDepth;
    return kBlock * (k + w) + (backward ? 4 : 1) * k * w;
  }

  TileProducts(const Head& of, const Pitch& padded, const KeyOrder& keys_in, Areas& scratch, bool backward)
      : head(of),
        order(keys_in),
        keys(padded.keys),
        width(padded.width),
        kept(round_up(keys_in.kept, tiles::kSide)),
        deep_width(round_up(padded.width, tiles::kDepth)),
        deep_kept(round_up(keys_in.kept, tiles::kDepth)),
        key_pitch(padded.keys),
        width_pitch(padded.width),
        left(halves(scratch, kBlock * std::max(deep_width, deep_kept))),
        turned(backward ? halves(scratch, width * kBlock) : nullptr),
        k_transposed(words(scratch, deep_width / 2 * keys)),
        v_transposed(backward ? words(scratch, deep_width / 2 * keys) : nullptr),
        k(backward ? words(scratch, deep_kept / 2 * width) : nullptr),
        v(backward ? nullptr : words(scratch, deep_kept / 2 * width)),
        right(backward ? words(scratch, kBlock / 2 * keys) : nullptr),
        dk_transposed(backward ? scratch.take(width * keys) : nullptr),
        dv_transposed(backward ? scratch.take(width * keys) : nullptr) {}

  void load_keys(const float* key_rows, const float* value_rows) {
    turn(key_rows, k_transposed);
    if (v) interleave(value_rows, width_pitch, order.kept, deep_kept, width, v, width);
    if (!k) return;
    turn(value_rows, v_transposed);
    interleave(key_rows, width_pitch, order.kept, deep_kept, width, k, width);
    std::fill(dk_transposed, dk_transposed + width * keys, 0.0f);
    std::fill(dv_transposed, dv_transposed + width * keys, 0.0f);
  }

  void scores(const float* q, std::size_t rows, float* s) const {
    row_by_row(q, width_pitch, rows, width, deep_width);
    tiles::product({left, deep_width}, {k_transposed, keys}, s, key_pitch, padded(rows), keys, deep_width,
                   false);
  }
  void slopes(const float* dout, std::size_t rows, std::size_t wanted, float* g) const {
    row_by_row(dout, width_pitch, rows, width, deep_width);
    tiles::product({left, deep_width}, {v_transposed, keys}, g, key_pitch, padded(rows), wanted, deep_width,
                   false);
  }
  void outputs(const float* p, std::size_t rows, float* out) const {
    row_by_row(p, key_pitch, rows, kept, deep_kept);
    tiles::product({left, deep_kept}, {v, width}, out, width_pitch, padded(rows), width, deep_kept, false);
  }
  void gradients(const float* p, const float* ds, const float* q, const float* dout, std::size_t rows,
                 float* dq, float*, float*) const {
    row_by_row(ds, key_pitch, rows, kept, deep_kept);
    tiles::product({left, deep_kept}, {k, width}, dq, width_pitch, padded(rows), width, deep_kept, false);
    add_transposed(q, ds, rows, dk_transposed);
    add_transposed(dout, p, rows, dv_transposed);
  }
  void finish(float* dk, float* dv) const {
    for (std::size_t j = 0; j < order.kept; ++j) {
      for (std::size_t d = 0; d < head.width; ++d) {
        dk[j * width_pitch + d] += dk_transposed[d * keys + j];
        dv[j * width_pitch + d] += dv_transposed[d * keys + j];
      }
    }
  }

 private:
  static std::uint16_t* halves(Areas& scratch, std::size_t count) {
    return reinterpret_cast<std::uint16_t*>(scratch.take(round_up(count, 32) / 2));
  }
  static std::uint32_t* words(Areas& scratch, std::size_t count) {
    return reinterpret_cast<std::uint32_t*>(scratch.take(round_up(count, 16)));
  }
  static std::size_t padded(std::size_t rows) { return round_up(rows, tiles::kSide); }

  // A left operand: rows as they are, `columns` (whole vectors) of each and zeros up to `pitch`.
  void row_by_row(const float* x, std::size_t x_pitch, std::size_t rows, std::size_t columns,
                  std::size_t pitch) const {
    const Floats d;
    for (std::size_t i = 0; i < padded(rows); ++i) {
      std::uint16_t* const to = left + i * pitch;
      std::size_t c = 0;
      for (; i < rows && c < columns; c += lanes()) narrow(hn::LoadU(d, x + i * x_pitch + c), to + c);
      std::fill(to + c, to + pitch, std::uint16_t{0});
    }
  }
  // A right operand: pairs of rows interleaved, `columns` (whole vectors) of each, zeros from `rows` to
  // `depth`.
  static void interleave(const float* x, std::size_t x_pitch, std::size_t rows, std::size_t depth,
                         std::size_t columns, std::uint32_t* to, std::size_t to_pitch) {
    const Floats d;
    for (std::size_t k = 0; k < depth; k += 2) {
      for (std::size_t c = 0; c < columns; c += lanes()) {
        const Vector low = k < rows ? hn::LoadU(d, x + k * x_pitch + c) : hn::Zero(d);
        const Vector high = k + 1 < rows ? hn::LoadU(d, x + (k + 1) * x_pitch + c) : hn::Zero(d);
        hn::StoreU(paired(low, high), Words(), to + k / 2 * to_pitch + c);
      }
    }
  }
  // (tokens, width) -> the right operand (deep_width, keys). The rows hold bf16 already: nothing is rounded.
  void turn(const float* from, std::uint32_t* to) const {
    for (std::size_t d = 0; d < deep_width; d += 2) {
      std::uint32_t* const row = to + d / 2 * keys;
      std::fill(row, row + keys, 0u);
      if (d >= width) continue;
      for (std::size_t j = 0; j < head.tokens; ++j) {
        std::uint32_t pair[2];
        std::memcpy(pair, from + j * width_pitch + d, sizeof pair);
        row[j] = pair[0] >> 16 | (pair[1] & 0xFFFF0000);
      }
    }
  }
  // to (width, keys) += transposed x (width, rows) y (rows, keys)
  void add_transposed(const float* x, const float* y, std::size_t rows, float* to) const {
    for (std::size_t d = 0; d < width; ++d) {
      for (std::size_t i = 0; i < kBlock; ++i)
        turned[d * kBlock + i] = i < rows ? to_bf16(x[i * width_pitch + d]) : std::uint16_t{0};
    }
    interleave(y, key_pitch, rows, kBlock, kept, right, keys);
    tiles::product({turned, kBlock}, {right, keys}, to, keys, width, kept, kBlock, true);
  }
};

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

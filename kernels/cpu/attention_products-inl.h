// Where the tokens of one attention head lie, in which order its keys are taken, and its products in two kinds
// of arithmetic. Included once per instruction set, as simd-inl.h is; attention_forward.cpp
// tells the plan.
#if defined(STP_KERNELS_CPU_ATTENTION_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STP_KERNELS_CPU_ATTENTION_PRODUCTS_INL_H_
#undef STP_KERNELS_CPU_ATTENTION_PRODUCTS_INL_H_
#else
#define STP_KERNELS_CPU_ATTENTION_PRODUCTS_INL_H_
#endif

#include "kernels/cpu/simd-inl.h"
// simd-inl.h comes first: it is read again for every instruction set.
#include <algorithm>
#include <cstring>

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
inline void copy_row(const In& from, const Head& head, std::size_t part, std::size_t token, float* to,
                     std::size_t pitch) {
  load_row(from, head.qkv(token, part), head.width, to);
  std::fill(to + head.width, to + pitch, 0.0f);
}

// Keys or values in their order.
inline void copy_keys(const In& from, const Head& head, const KeyOrder& order, std::size_t part, float* to,
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

  // s_ij = q_i . k_j and g_ij = dout_i . v_j for the first `keys`
  void scores(const float* q, std::size_t rows, std::size_t keys, float* s) const {
    product({q, pitch.width, 1}, k_transposed, pitch.keys, s, pitch.keys, rows, keys, head.width, false);
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
    transposed(from, pitch.width, head.tokens, head.width, to, pitch.keys);
    for (std::size_t d = 0; d < head.width; ++d)
      std::fill(to + d * pitch.keys + head.tokens, to + (d + 1) * pitch.keys, 0.0f);
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

  void scores(const float* q, std::size_t rows, std::size_t wanted, float* s) const {
    row_by_row(q, width_pitch, rows, width, deep_width);
    tiles::product({left, deep_width}, {k_transposed, keys}, s, key_pitch, padded(rows), wanted, deep_width,
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

}  // namespace stp::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // STP_KERNELS_CPU_ATTENTION_PRODUCTS_INL_H_

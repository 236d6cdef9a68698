#include <cmath>

#include "engine/ops.h"

namespace stp {

namespace {

// (B, N) of a dense or packed batch.
struct Layout {
  std::int64_t clips, longest;
};

Layout layout_of(const Tensor& qkv, std::int64_t heads, const Packing& packing) {
  const int rank = packing ? 2 : 3;
  check(qkv.shape().rank() == rank && heads > 0 && qkv.size(-1) % (3 * heads) == 0,
        "attention: qkv is {}, wanted {} with E divisible by heads {}", qkv.shape(),
        packing ? "(tokens, 3 E)" : "(B, N, 3 E)", heads);
  if (packing) return {packing.clips, packing.longest};
  return {qkv.size(0), qkv.size(1)};
}

}  // namespace

Tensor attention(Tape* tape, const Tensor& qkv, const Tensor& keep, const AttentionForm& form,
                 const Packing& packing) {
  const std::int64_t heads = form.heads;
  const Layout layout = layout_of(qkv, heads, packing);
  const std::int64_t tokens = qkv.shape().rows(), width = qkv.size(-1) / 3, head_width = width / heads;
  check(!keep || keep.elements() == tokens, "attention: keep is {}, wanted one value for each of {} tokens",
        keep.shape(), tokens);
  check(qkv.backend().device() == Device::cpu || head_width <= AttentionForward::kMaxWidth,
        "attention: heads are {} wide, at most {} on {}; take more heads", head_width,
        AttentionForward::kMaxWidth, name_of(qkv.backend().device()));
  check(form.smoothing >= 0, "attention: smoothing {} is negative", form.smoothing);

  const Backend& backend = qkv.backend();
  const bool recording = records(tape, {qkv, keep});
  Shape out_shape = packing ? Shape{tokens, width} : Shape{layout.clips, layout.longest, width};
  Tensor out(backend, out_shape, qkv.type()), lse, inverse_z;
  Indices best;
  if (recording) {
    lse = Tensor(backend, {heads, tokens});
    inverse_z = Tensor(backend, {heads, tokens});
    if (backend.device() == Device::cpu && form.smoothing > 0) best = Indices(backend, {heads, tokens});
  }
  const AttentionForward forward = {
      .qkv = qkv.in(),
      .keep = keep.f32(),
      .offsets = packing.offsets.data(),
      .out = out.out(),
      .lse = lse.out().f32(),
      .inverse_z = inverse_z.out().f32(),
      .best = best.mutable_data(),
      .B = static_cast<int>(layout.clips),
      .N = static_cast<int>(layout.longest),
      .H = static_cast<int>(heads),
      .D = static_cast<int>(head_width),
      .scale = form.scale > 0 ? form.scale : 1.0f / std::sqrt(static_cast<float>(head_width)),
      .smoothing = form.smoothing,
      .math = backend.math(),
  };
  backend.run(&KernelTable::attention_forward, forward);
  if (!recording) return out;

  tape->record({out}, [qkv, keep, packing, out, lse, inverse_z, best, forward, heads, tokens] {
    const Tensor dkeep_heads = keep.wants_gradient() ? Tensor(qkv.backend(), {heads, tokens}) : Tensor();
    const Tensor rows(qkv.backend(), {heads, tokens, AttentionBackward::kRowFloats});
    const AttentionBackward backward = {
        .qkv = qkv.in(),
        .keep = keep.f32(),
        .offsets = packing.offsets.data(),
        .out = out.in(),
        .dout = out.gradient(),
        .lse = lse.f32(),
        .inverse_z = inverse_z.f32(),
        .best = best.data(),
        .dqkv = qkv.grad(),
        .dkeep = keep.grad(),
        .dkeep_heads = dkeep_heads.out().f32(),
        .rows = rows.out().f32(),
        .B = forward.B,
        .N = forward.N,
        .H = forward.H,
        .D = forward.D,
        .scale = forward.scale,
        .smoothing = forward.smoothing,
        .math = forward.math,
    };
    qkv.backend().run(&KernelTable::attention_backward, backward);
  });
  return out;
}

}  // namespace stp

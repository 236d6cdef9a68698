#include "engine/ops.h"

namespace stp {

Tensor masked_mean(Tape* tape, const Tensor& x, const Tensor& keep, const Packing& packing) {
  check(x.shape().rank() == (packing ? 2 : 3), "masked_mean: x is {}, wanted {}", x.shape(),
        packing ? "(tokens, E)" : "(B, N, E)");
  check(!keep || keep.elements() == x.shape().rows(),
        "masked_mean: keep is {}, wanted one value for each of {} tokens", keep.shape(), x.shape().rows());
  const Backend& backend = x.backend();
  const std::int64_t B = packing ? packing.clips : x.size(0), N = packing ? packing.longest : x.size(1),
                     E = x.size(-1);
  Tensor out(backend, {B, E}), total(backend, {B});
  const MaskedMeanForward forward = {
      .x = x.in(),
      .keep = keep.f32(),
      .offsets = packing.offsets.data(),
      .out = out.out().f32(),
      .total = total.out().f32(),
      .B = static_cast<int>(B),
      .N = static_cast<int>(N),
      .E = static_cast<int>(E),
  };
  backend.run(&KernelTable::masked_mean_forward, forward);
  if (!records(tape, {x, keep})) return out;
  // The values of x and out matter only to keep's gradient.
  const bool policy_learns = keep.wants_gradient();
  tape->record({out}, [x = policy_learns ? x : x.slot(), keep, out, total, packing, forward] {
    const MaskedMeanBackward backward = {
        .x = x.in(),
        .keep = keep.f32(),
        .offsets = packing.offsets.data(),
        .out = out.f32(),
        .total = total.f32(),
        .dout = out.gradient().f32(),
        .dx = x.grad(),
        .dkeep = keep.grad(),
        .B = forward.B,
        .N = forward.N,
        .E = forward.E,
    };
    out.backend().run(&KernelTable::masked_mean_backward, backward);
  });
  return out;
}

Tensor aggregate(Tape* tape, const Tensor& x, const Tensor& keep, std::int64_t slots, const Indices& slot_of,
                 AggregationLevels levels) {
  check(x.shape().rank() == 3 && x.size(2) % 3 == 0,
        "aggregate: x is {}, wanted (B, N, E) with E divisible by 3", x.shape());
  const std::int64_t B = x.size(0), N = x.size(1), E = x.size(2);
  check(slots > 0 && (slot_of || N % slots == 0), "aggregate: {} tokens in {} time slots", N, slots);
  check(!keep || keep.shape() == Shape{B, N}, "aggregate: keep is {}, wanted ({}, {})", keep.shape(), B, N);
  check(!slot_of || slot_of.shape().elements() == B * N, "aggregate: slots are {}, wanted ({}, {})",
        slot_of.shape(), B, N);
  const Backend& backend = x.backend();
  Tensor out(backend, x.shape()), means(backend, {B, slots + 1, E / 3}), totals(backend, {B, slots + 1});
  const AggregateForward forward = {
      .x = x.f32(),
      .keep = keep.f32(),
      .slots = slot_of.data(),
      .out = out.out().f32(),
      .means = means.out().f32(),
      .totals = totals.out().f32(),
      .B = static_cast<int>(B),
      .N = static_cast<int>(N),
      .S = static_cast<int>(slots),
      .E = static_cast<int>(E),
      .spatial = levels.spatial,
      .temporal = levels.temporal,
  };
  backend.run(&KernelTable::aggregate_forward, forward);
  if (!records(tape, {x, keep})) return out;
  tape->record({out}, [x, keep, slot_of, out = out.slot(), means, totals, forward] {
    const Tensor sums(x.backend(), means.shape());
    const AggregateBackward backward = {
        .x = x.f32(),
        .keep = keep.f32(),
        .slots = slot_of.data(),
        .means = means.f32(),
        .totals = totals.f32(),
        .dout = out.gradient().f32(),
        .dx = x.grad(),
        .dkeep = keep.grad(),
        .sums = sums.out().f32(),
        .B = forward.B,
        .N = forward.N,
        .S = forward.S,
        .E = forward.E,
        .spatial = forward.spatial,
        .temporal = forward.temporal,
    };
    x.backend().run(&KernelTable::aggregate_backward, backward);
  });
  return out;
}

}  // namespace stp

#include <algorithm>
#include <numeric>

#include "engine/ops.h"

namespace stp {

namespace {

// Where each of `total` rows went, -1 for those that were not chosen.
Indices inverse_of(const Indices& rows, std::int64_t total) {
  Indices inverse(rows.backend(), {total});
  const InvertRows args = {
      .rows = rows.data(), .inverse = inverse.mutable_data(), .count = rows.shape().elements(), .total = total};
  rows.backend().run(&KernelTable::invert_rows, args);
  return inverse;
}

void gather_into(const In& from, const Indices& rows, const Grad& to, std::int64_t total, std::int64_t width) {
  const GatherRows args = {.from = from,
                           .rows = rows.data(),
                           .to = to,
                           .count = rows.shape().elements(),
                           .total = total,
                           .width = static_cast<int>(width)};
  rows.backend().run(&KernelTable::gather_rows, args);
}

void scatter_into(const In& from, const Indices& inverse, const Grad& to, std::int64_t count,
                  std::int64_t width) {
  const ScatterRows args = {.from = from,
                            .inverse = inverse.data(),
                            .to = to,
                            .count = count,
                            .total = inverse.shape().elements(),
                            .width = static_cast<int>(width)};
  inverse.backend().run(&KernelTable::scatter_rows, args);
}

}  // namespace

Tensor gumbel_noise(const Backend& backend, const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
  Tensor out(backend, shape);
  const GumbelNoise args = {.out = out.out().f32(), .count = shape.elements(), .seed = seed, .stream = stream};
  backend.run(&KernelTable::gumbel_noise, args);
  return out;
}

Tensor decide(Tape* tape, const Tensor& logprob, const Tensor& noise, const Tensor& previous, float temperature,
              bool hard) {
  const Shape& s = logprob.shape();
  check(s.rank() == 3 && s[2] == 2 && noise.shape() == s,
        "decide: logprob is {}, noise {}, wanted (B, N, 2) twice", s, noise.shape());
  check(!previous || previous.shape() == Shape{s[0], s[1]}, "decide: previous is {}, wanted ({}, {})",
        previous.shape(), s[0], s[1]);
  check(temperature > 0, "decide: temperature {} is not positive", temperature);
  const Backend& backend = logprob.backend();
  const bool recording = records(tape, {logprob, previous});
  Tensor keep(backend, {s[0], s[1]}), soft;
  if (recording) soft = Tensor(backend, {s[0], s[1]});
  const DecideForward forward = {
      .logprob = logprob.f32(),
      .noise = noise.f32(),
      .previous = previous.f32(),
      .keep = keep.out().f32(),
      .soft = soft.out().f32(),
      .tokens = keep.elements(),
      .temperature = temperature,
      .hard = hard,
  };
  backend.run(&KernelTable::decide_forward, forward);
  if (!recording) return keep;
  tape->record({keep}, [logprob = logprob.slot(), previous, keep = keep.slot(), soft, temperature, hard] {
    const DecideBackward backward = {
        .soft = soft.f32(),
        .previous = previous.f32(),
        .dkeep = keep.gradient().f32(),
        .dlogprob = logprob.grad(),
        .dprevious = previous.grad(),
        .tokens = soft.elements(),
        .temperature = temperature,
        .hard = hard,
    };
    soft.backend().run(&KernelTable::decide_backward, backward);
  });
  return keep;
}

Indices top_k(const Tensor& scores, std::int64_t segments, std::int64_t K, bool by_score) {
  const std::int64_t stride = scores.shape().rank() > 0 ? scores.size(-1) : 0;
  check(segments > 0 && stride > 0 && scores.shape().rows() % segments == 0,
        "top_k: scores are {}, wanted (tokens, stride) with tokens divisible by {} segments", scores.shape(),
        segments);
  const std::int64_t P = scores.shape().rows() / segments;
  check(K >= 0 && K <= P, "top_k: {} of {} tokens of a segment", K, P);
  Indices chosen(scores.backend(), {segments, K});
  const TopK args = {
      .scores = scores.f32(),
      .chosen = chosen.mutable_data(),
      .segments = static_cast<int>(segments),
      .P = static_cast<int>(P),
      .K = static_cast<int>(K),
      .stride = static_cast<int>(stride),
      .by_score = by_score,
  };
  scores.backend().run(&KernelTable::top_k, args);
  return chosen;
}

Kept compact(const Tensor& keep) {
  check(keep.shape().rank() == 2, "compact: keep is {}, wanted (B, N)", keep.shape());
  const Backend& backend = keep.backend();
  const std::int64_t B = keep.size(0), N = keep.size(1);
  Indices room(backend, {B * N}), offsets(backend, {B + 1});
  const Compact args = {.keep = keep.f32(),
                        .rows = room.mutable_data(),
                        .offsets = offsets.mutable_data(),
                        .B = static_cast<int>(B),
                        .N = static_cast<int>(N)};
  backend.run(&KernelTable::compact, args);
  const std::vector<int> begins = offsets.values();
  Kept kept;
  kept.packing = {offsets, B, 0};
  for (std::size_t b = 0; b + 1 < begins.size(); ++b) {
    kept.packing.longest = std::max<std::int64_t>(kept.packing.longest, begins[b + 1] - begins[b]);
  }
  kept.rows = room.first(begins.back());
  return kept;
}

Kept equal_parts(const Indices& rows, std::int64_t B) {
  const std::int64_t count = rows.shape().elements() / B;
  check(count * B == rows.shape().elements(), "equal_parts: {} tokens of {} clips", rows.shape(), B);
  std::vector<int> offsets;
  for (std::int64_t b = 0; b <= B; ++b) offsets.push_back(static_cast<int>(b * count));
  return {rows.reshape({B * count}), {Indices::from(rows.backend(), {B + 1}, offsets), B, count}};
}

Kept every_token(const Backend& backend, std::int64_t B, std::int64_t N) {
  std::vector<int> rows(static_cast<std::size_t>(B * N));
  std::iota(rows.begin(), rows.end(), 0);
  return equal_parts(Indices::from(backend, {B * N}, rows), B);
}

Tensor gather(Tape* tape, const Tensor& x, const Indices& rows) {
  const std::int64_t count = rows.shape().elements(), total = x.shape().rows(), width = x.size(-1);
  Tensor out(x.backend(), {count, width}, x.type());
  gather_into(x.in(), rows, out.overwritten(), total, width);
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), rows, out = out.slot(), count, total, width] {
    scatter_into(out.gradient(), inverse_of(rows, total), x.grad(), count, width);
  });
  return out;
}

Tensor gather_shared(Tape* tape, const Tensor& table, const Indices& rows, std::int64_t B) {
  const std::int64_t count = rows.shape().elements(), N = table.shape().rows(), width = table.size(-1);
  Tensor out(table.backend(), {count, width}, table.type());
  gather_into(table.in(), rows, out.overwritten(), N, width);
  if (!records(tape, {table})) return out;
  tape->record({out}, [table = table.slot(), rows, out = out.slot(), B, count, N, width] {
    // forward: out_i = table_(rows[i] mod N), so every clip contributes: put in place, then sum over clips
    const Tensor placed(out.backend(), {B, N * width});
    scatter_into(out.gradient(), inverse_of(rows, B * N), placed.overwritten(), count, width);
    out.backend().run(&KernelTable::sum_rows, {.x = placed.in(), .sum = table.grad(), .B = B, .n = N * width});
  });
  return out;
}

Tensor scatter(Tape* tape, const Tensor& x, const Indices& rows, std::int64_t total) {
  check(x.shape().rank() == 2 && x.size(0) == rows.shape().elements(),
        "scatter: x is {}, rows {}, wanted (count, width) and count", x.shape(), rows.shape());
  const std::int64_t count = x.size(0), width = x.size(1);
  Tensor out(x.backend(), {total, width}, x.type());
  scatter_into(x.in(), inverse_of(rows, total), out.overwritten(), count, width);
  if (!records(tape, {x})) return out;
  tape->record({out}, [x = x.slot(), rows, out = out.slot(), total, width] {
    gather_into(out.gradient(), rows, x.grad(), total, width);
  });
  return out;
}

}  // namespace stp

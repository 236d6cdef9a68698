// Policy attention against its definition (kernels/attention.h), and plain attention as its special case.
#include "tests/op_case.h"

namespace stp::test {

namespace {

struct AttentionSizes {
  std::int64_t B, N, H, D;
};

// One clip of n tokens that begins at token `first`.
void attend(const Doubles& qkv, const Doubles* keep, std::int64_t first, std::int64_t n, std::int64_t H,
            std::int64_t D, double smoothing, Doubles& out) {
  const double scale = 1 / std::sqrt(static_cast<double>(D));
  const auto at = [&](std::int64_t token, int part, std::int64_t h, std::int64_t d) {
    return qkv[static_cast<std::size_t>((((first + token) * 3 + part) * H + h) * D + d)];
  };
  for (std::int64_t h = 0; h < H; ++h) {
    for (std::int64_t i = 0; i < n; ++i) {
      Doubles s(static_cast<std::size_t>(n), 0.0);
      double m = -1e300;
      for (std::int64_t j = 0; j < n; ++j) {
        double& score = s[static_cast<std::size_t>(j)];
        for (std::int64_t d = 0; d < D; ++d) score += scale * at(i, 0, h, d) * at(j, 1, h, d);
        m = std::max(m, score);
      }
      double z = smoothing;
      Doubles sum(static_cast<std::size_t>(D), 0.0);
      for (std::int64_t j = 0; j < n; ++j) {
        const double w = i == j || !keep ? 1 : (*keep)[static_cast<std::size_t>(first + j)];
        const double p = w * std::exp(s[static_cast<std::size_t>(j)] - m);
        z += p;
        for (std::int64_t d = 0; d < D; ++d) {
          sum[static_cast<std::size_t>(d)] += (p + smoothing / static_cast<double>(n)) * at(j, 2, h, d);
        }
      }
      for (std::int64_t d = 0; d < D; ++d) {
        out[static_cast<std::size_t>(((first + i) * H + h) * D + d)] = sum[static_cast<std::size_t>(d)] / z;
      }
    }
  }
}

OpCase dense(const AttentionSizes& s, double smoothing, std::vector<float> keep, const std::string& note,
             double spread = 1) {
  OpCase c;
  c.name = fmt::format("attention B {} N {} H {} D {} smoothing {}{}", s.B, s.N, s.H, s.D, smoothing, note);
  const Shape qkv_shape = {s.B, s.N, 3 * s.H * s.D};
  c.inputs = {activation("qkv", qkv_shape, normal_values(c.name, qkv_shape, spread))};
  const bool masked = !keep.empty();
  if (masked) c.inputs.push_back(input("keep", {s.B, s.N}, std::move(keep)));
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out(in[0].size() / 3);
    for (std::int64_t b = 0; b < s.B; ++b)
      attend(in[0], masked ? &in[1] : nullptr, b * s.N, s.N, s.H, s.D, smoothing, out);
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    const Tensor none;
    return std::vector<Tensor>{attention(tape, in[0], masked ? in[1] : none,
                                         {.heads = s.H, .smoothing = static_cast<float>(smoothing)})};
  };
  return c;
}

// The same with a keep that does not learn, as recognisers are shown masked tokens.
OpCase fixed(OpCase c) {
  c.name += " fixed";
  c.inputs[1].differentiable = false;
  return c;
}

// Clips of 3, 0, 9 and 26 tokens, packed.
OpCase packed(std::int64_t H, std::int64_t D, double smoothing) {
  OpCase c;
  const std::vector<int> offsets = {0, 3, 3, 12, 38};
  const std::int64_t tokens = offsets.back();
  c.name = fmt::format("attention packed H {} D {} smoothing {}", H, D, smoothing);
  const Shape qkv_shape = {tokens, 3 * H * D};
  c.inputs = {activation("qkv", qkv_shape, normal_values(c.name, qkv_shape)),
              input("keep", {tokens}, binary_values(c.name, {tokens}, 0.6))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out(in[0].size() / 3);
    for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
      attend(in[0], &in[1], offsets[b], offsets[b + 1] - offsets[b], H, D, smoothing, out);
    }
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    const Packing packing = {Indices::from(in[0].backend(), {5}, offsets), 4, 26};
    return std::vector<Tensor>{
        attention(tape, in[0], in[1], {.heads = H, .smoothing = static_cast<float>(smoothing)}, packing)};
  };
  return c;
}

std::vector<OpCase> attention_cases(Scale scale) {
  const auto policy = [](const AttentionSizes& s, double kept) {
    return binary_values(fmt::format("keep {} {}", s.B, s.N), {s.B, s.N}, kept);
  };
  if (const std::int64_t B = real_clips(scale)) {
    const AttentionSizes s = {B, 392, 6, 64}, gathered = {B, 128, 6, 64};
    return {dense(s, 1e-6, policy(s, 0.5), " kept 0.5"), dense(gathered, 0, {}, " plain")};
  }
  std::vector<OpCase> cases;
  // AttentionSizes around the tiles: one token, one short of a vector and one over, whole query blocks and one
  // more; tiles of 64, 32 and 16 tokens with every width that chooses between them.
  for (const AttentionSizes& s :
       {AttentionSizes{1, 1, 1, 1}, AttentionSizes{2, 7, 2, 5}, AttentionSizes{1, 15, 3, 16},
        AttentionSizes{2, 17, 1, 24}, AttentionSizes{1, 24, 2, 33}, AttentionSizes{1, 25, 1, 64},
        AttentionSizes{1, 63, 1, 16}, AttentionSizes{1, 64, 1, 17}, AttentionSizes{1, 65, 2, 32},
        AttentionSizes{1, 33, 1, 96}, AttentionSizes{1, 17, 1, 130}}) {
    cases.push_back(dense(s, 1e-6, policy(s, 0.6), " kept 0.6"));
    cases.push_back(fixed(dense(s, 1e-6, policy(s, 0.3), " kept 0.3")));
    cases.push_back(dense(s, 0, {}, " plain"));
  }
  const AttentionSizes s = {2, 19, 2, 8};
  cases.push_back(dense(s, 1e-2, policy(s, 0.5), " kept 0.5"));
  cases.push_back(dense(s, 1e-6, std::vector<float>(38, 0.0f), " none kept"));
  cases.push_back(dense(s, 1e-6, uniform_values("fractions", {38}, 0, 1), " fractions"));
  cases.push_back(packed(2, 12, 1e-6));
  cases.push_back(packed(1, 16, 0));
  cases.push_back(fixed(packed(2, 12, 1e-2)));

  // A dropped key that outscores all others by far: kept weights come near the smoothing, and the gradient
  // through the row maximum matters.
  OpCase dominated = dense({1, 9, 1, 4}, 1e-3, std::vector<float>(9, 1.0f), " dominated by a dropped key", 2.0);
  dominated.inputs[1].values[0] = 0;
  for (int d = 0; d < 4; ++d) dominated.inputs[0].values[static_cast<std::size_t>(4 + d)] *= 5;
  dominated.tolerance.relative = 1e-4;
  dominated.tolerance.absolute = 1e-5;
  dominated.tolerance.reason =
      "weights are e^-8 and less, so roundings of the scores weigh a hundred times more";
  cases.push_back(dominated);
  cases.push_back(fixed(dominated));

  // Scores of about -98: the padding of a row, taken for a score of 0, would be e^98 times as much.
  OpCase low = dense({1, 9, 1, 4}, 0, {}, " scores far below zero");
  for (std::size_t i = 0; i < low.inputs[0].values.size(); ++i) {
    float& value = low.inputs[0].values[i];
    if (i % 12 < 4) value = 7;
    if (i % 12 >= 4 && i % 12 < 8) value = 0.05f * value - 7;
  }
  low.tolerance.relative = low.tolerance.absolute = 1e-4;
  low.tolerance.reason = "a rounding of scores of 98 is 4e-6, and weights take it relatively";
  cases.push_back(low);
  return cases;
}

OP_CASES(attention_cases);

}  // namespace

}  // namespace stp::test

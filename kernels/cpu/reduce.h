// The tokens of a clip and how much they count, for reductions over kept tokens.
#pragma once

#include <cstdint>

namespace stp::cpu {

// The tokens of clip b: first and one past the last.
struct Span {
  std::int64_t begin, end;
};
template <class Args>
Span tokens_of(const Args& a, std::int64_t b) {
  if (a.offsets) return {a.offsets[b], a.offsets[b + 1]};
  return {b * a.N, (b + 1) * a.N};
}

inline float kept(const float* keep, std::int64_t token) { return keep ? keep[token] : 1.0f; }
inline float inverse_or_zero(float total) { return total > 0 ? 1.0f / total : 0.0f; }

}  // namespace stp::cpu

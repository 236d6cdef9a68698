// Every op, one signature each. The first parameter is the tape to record on; without one nothing is recorded.
// Ops check their arguments at the door and throw Error (usage) with actual and wanted. An op whose input wants
// no gradient computes none for it.
#pragma once

#include "engine/tape.h"
#include "engine/tensor.h"

namespace stp {

// Clips with different numbers of tokens, packed one after another: tensors are (tokens, ...) instead of (B, N,
// ...). An empty Packing stands for equal numbers.
struct Packing {
  Indices offsets;  // (clips + 1) first token of each clip, on the device
  std::int64_t clips = 0, longest = 0;
  explicit operator bool() const { return static_cast<bool>(offsets); }
};

// Self-attention with policy (kernels/attention.h). qkv (B, N, 3 E) or packed (tokens, 3 E); keep (B, N) or
// packed (tokens), not given: all ones; smoothing >= 0. Returns (B, N, E) or (tokens, E).
Tensor attention(Tape* tape, const Tensor& qkv, const Tensor& keep, std::int64_t heads, float smoothing,
                 const Packing& packing = {});

// The exact (erf) GELU of every element.
Tensor gelu(Tape* tape, const Tensor& x);

}  // namespace stp

// The two inner loops of Resizer, a row at a time, in SIMD: integers, so that every instruction set gives the
// same bits. For resize.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace stp {

// The source rows or columns first, first + 1, ... of one output row or column, and their weights in units of
// 2^-14, which sum to exactly 1.
struct Taps {
  int first = 0;
  std::vector<std::int16_t> weights;
};

constexpr int kWeightBits = 14, kLineBits = 7;

// line[j] = sum_k weight_k rows_k[j] in units of 2^-kLineBits; rows are `stride` bytes apart.
void blend_rows(const std::uint8_t* rows, std::ptrdiff_t stride, std::span<const std::int16_t> weights,
                std::span<std::int32_t> line);

// out (columns, 3) from a line of the source columns low, low + 1, ... as far as they are in use, 3 values
// each, and one value more. The line is used up.
void blend_columns(std::span<std::int32_t> line, int low, std::span<const Taps> columns, std::uint8_t* out);

}  // namespace stp

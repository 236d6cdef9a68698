// The processor's matrix tiles beside plain sums, in every shape of a block of tiles. Operands are small whole
// numbers, so every sum is exact and has to be equal.
#include "kernels/cpu/tiles.h"

#include <doctest/doctest.h>

#include <vector>

#include "kernels/element.h"

using namespace stp;
using namespace stp::cpu;

namespace {

constexpr float kBefore = 7;

float left_value(std::size_t r, std::size_t k) { return static_cast<float>((r * 31 + k * 7) % 11) - 5; }
float right_value(std::size_t k, std::size_t c) { return static_cast<float>((k * 13 + c * 5) % 9) - 4; }

std::vector<float> by_tiles(std::size_t rows, std::size_t columns, std::size_t depth, std::size_t c_pitch,
                            bool add) {
  std::vector<std::uint16_t> left(rows * depth);
  std::vector<std::uint32_t> right(depth / 2 * columns);
  std::vector<float> c(rows * c_pitch, kBefore);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t k = 0; k < depth; ++k) left[r * depth + k] = to_bf16(left_value(r, k));
  for (std::size_t k = 0; k < depth; ++k)
    for (std::size_t x = 0; x < columns; ++x)
      right[k / 2 * columns + x] |= std::uint32_t{to_bf16(right_value(k, x))} << (k % 2 == 0 ? 0 : 16);
  const tiles::Session session;
  tiles::product({left.data(), depth}, {right.data(), columns}, c.data(), c_pitch, rows, columns, depth, add);
  return c;
}

}  // namespace

TEST_CASE("tiles: products of every shape of a block, set and added, and nothing beside them is touched") {
  if (!tiles::available()) {
    MESSAGE("this processor has no matrix tiles: skipped");
    return;
  }
  for (const std::size_t rows : {16u, 32u, 48u}) {
    for (const std::size_t columns : {16u, 32u, 80u}) {
      for (const std::size_t depth : {32u, 96u}) {
        for (const bool add : {false, true}) {
          CAPTURE(rows);
          CAPTURE(columns);
          CAPTURE(depth);
          const std::size_t c_pitch = columns + 3;
          const std::vector<float> c = by_tiles(rows, columns, depth, c_pitch, add);
          std::size_t wrong = 0;
          for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t x = 0; x < c_pitch; ++x) {
              float sum = add || x >= columns ? kBefore : 0;
              for (std::size_t k = 0; x < columns && k < depth; ++k)
                sum += left_value(r, k) * right_value(k, x);
              wrong += c[r * c_pitch + x] == sum ? 0 : 1;
            }
          }
          CHECK(wrong == 0);
        }
      }
    }
  }
}

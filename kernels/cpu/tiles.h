// Products of bf16 operands by the matrix tiles of x86 processors (AMX: amx-tile, amx-bf16), for operands that
// lie in cache. A tile is 16 rows of 64 bytes; its sums are f32, each over k in order, so the bits of a sum do
// not depend on where it lies. For AVX-512's own bf16 dot product there is no second version: where there are
// no tiles but dot products (Zen 4), arithmetic stays f32.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stp::cpu::tiles {

// Rows of the left operand and of the sums, and columns of the right operand and of the sums, are padded to
// whole multiples of kSide; the depth of both to whole multiples of kDepth, with zeros.
inline constexpr std::size_t kSide = 16, kDepth = 32;

// Whether the processor has tiles and the system lets this process use them, and instructions are not held down
// (hold_instructions).
bool available();

// The tiles of the calling thread are set up while it lives.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

// bf16, row by row; `pitch` elements from one row to the next.
struct Left {
  const std::uint16_t* data;
  std::size_t pitch;
};
// Rows 2 r and 2 r + 1 interleaved: word (r, c) holds element (2 r, c) in its lower half and (2 r + 1, c) in
// the upper; `pitch` words from one r to the next.
struct Right {
  const std::uint32_t* data;
  std::size_t pitch;
};

// c = a b, or c += a b: (rows, columns) from (rows, depth) and (depth, columns), all padded. Needs a Session.
void product(Left a, Right b, float* c, std::size_t c_pitch, std::size_t rows, std::size_t columns,
             std::size_t depth, bool add);

}  // namespace stp::cpu::tiles

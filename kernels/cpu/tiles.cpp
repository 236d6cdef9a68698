#include "kernels/cpu/tiles.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#define STP_TILES 1
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#include <hwy/highway.h>

#include <cstdlib>

namespace stp::cpu::tiles {

#ifdef STP_TILES

// Only these functions hold tile instructions, and only available() leads to them.
#define STP_TILE_CODE __attribute__((target("amx-tile,amx-bf16")))

namespace {

bool processor_has_tiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kBf16) != 0 && (d & kTile) != 0;
}

// Linux gives the state of tiles only to processes that ask for it.
bool system_allows_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct alignas(64) Configuration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

STP_TILE_CODE void configure(const Configuration& all) {
  // g++ 12 believes that the instruction reads eight bytes, and would leave the others out.
  asm volatile("" : : "r"(&all) : "memory");
  _tile_loadconfig(&all);
}
STP_TILE_CODE void release() { _tile_release(); }

// Up to two by two tiles of sums. Tiles 0 to 3 are the sums, 4 and 5 the left operand, 6 and 7 the right one;
// the instructions take their numbers as literals.
template <bool two_rows, bool two_columns>
STP_TILE_CODE void sums(Left a, Right b, float* c, std::size_t c_pitch, std::size_t depth, bool add) {
  const std::size_t a_bytes = a.pitch * sizeof(std::uint16_t), b_bytes = b.pitch * sizeof(std::uint32_t),
                    c_bytes = c_pitch * sizeof(float);
  float* const below = c + kSide * c_pitch;
  if (add) {
    _tile_loadd(0, c, c_bytes);
    if (two_columns) _tile_loadd(1, c + kSide, c_bytes);
    if (two_rows) _tile_loadd(2, below, c_bytes);
    if (two_rows && two_columns) _tile_loadd(3, below + kSide, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::size_t k = 0; k < depth; k += kDepth) {
    const std::uint32_t* const right = b.data + k / 2 * b.pitch;
    _tile_loadd(4, a.data + k, a_bytes);
    _tile_loadd(6, right, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if (two_columns) {
      _tile_loadd(7, right + kSide, b_bytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (two_rows) {
      _tile_loadd(5, a.data + kSide * a.pitch + k, a_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if (two_columns) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, c_bytes);
  if (two_columns) _tile_stored(1, c + kSide, c_bytes);
  if (two_rows) _tile_stored(2, below, c_bytes);
  if (two_rows && two_columns) _tile_stored(3, below + kSide, c_bytes);
}

template <bool two_rows>
void row_of_sums(Left a, Right b, float* c, std::size_t c_pitch, std::size_t columns, std::size_t depth,
                 bool add) {
  std::size_t x = 0;
  const auto at = [&](std::size_t column) { return Right{b.data + column, b.pitch}; };
  for (; x + 2 * kSide <= columns; x += 2 * kSide) sums<two_rows, true>(a, at(x), c + x, c_pitch, depth, add);
  if (x < columns) sums<two_rows, false>(a, at(x), c + x, c_pitch, depth, add);
}

}  // namespace

bool available() {
  static const bool there = processor_has_tiles() && system_allows_tiles();
  // Every processor with tiles has the instructions of AVX3_DL; hold_instructions takes those away first.
  return there && (hwy::SupportedTargets() & HWY_AVX3_DL) != 0;
}

Session::Session() {
  Configuration all;
  for (int tile = 0; tile < 8; ++tile) {
    all.rows[tile] = kSide;
    all.row_bytes[tile] = kDepth * sizeof(std::uint16_t);
  }
  configure(all);
}

Session::~Session() { release(); }

void product(Left a, Right b, float* c, std::size_t c_pitch, std::size_t rows, std::size_t columns,
             std::size_t depth, bool add) {
  std::size_t r = 0;
  const auto at = [&](std::size_t row) { return Left{a.data + row * a.pitch, a.pitch}; };
  for (; r + 2 * kSide <= rows; r += 2 * kSide)
    row_of_sums<true>(at(r), b, c + r * c_pitch, c_pitch, columns, depth, add);
  if (r < rows) row_of_sums<false>(at(r), b, c + r * c_pitch, c_pitch, columns, depth, add);
}

#else

bool available() { return false; }
Session::Session() = default;
Session::~Session() = default;
void product(Left, Right, float*, std::size_t, std::size_t, std::size_t, std::size_t, bool) { std::abort(); }

#endif

}  // namespace stp::cpu::tiles

// What the checker remembers of memory: for every two bytes who wrote them last, who read them since, and
// whether anybody ever wrote them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace stp::simt {

// An access: which thread, and between which of its synchronisations. `era` numbers what separates everything:
// launches for device memory, blocks for shared memory; 0 is never.
struct Mark {
  std::uint32_t era = 0, block = 0;
  std::uint32_t barriers = 0;  // passed by the block
  std::uint16_t fences = 0;    // passed by the warp
  std::uint16_t thread = 0;
  std::uint32_t site = 0;  // index into the checker's list

  int warp() const { return thread / 32; }
};

// Whether nothing orders two accesses of one era.
inline bool unordered(const Mark& a, const Mark& b) {
  if (a.era != b.era) return false;
  if (a.block != b.block) return true;
  if (a.thread == b.thread || a.barriers != b.barriers) return false;
  return a.warp() != b.warp() || a.fences == b.fences;
}

// The readers of two bytes since they were written. One is kept whole; of the others, how far they are spread.
struct Readers {
  enum Spread : std::uint8_t { one, lanes, warps, blocks };
  Mark last;
  Spread spread = one;

  void add(const Mark& m) {
    if (last.era != m.era || (spread != blocks && last.block == m.block && last.barriers != m.barriers)) {
      spread = one;  // a barrier orders the earlier ones before whatever comes
    } else if (last.block != m.block) {
      spread = blocks;
    } else if (last.warp() != m.warp()) {
      if (spread < warps) spread = warps;
    } else if (last.thread != m.thread && spread < lanes) {
      spread = lanes;
    }
    if (spread == lanes && last.fences != m.fences) spread = one;
    last = m;
  }

  // Whether one of them is not ordered with a write.
  bool race_with(const Mark& m) const {
    if (last.era != m.era) return false;
    if (spread == blocks || last.block != m.block) return true;
    if (last.barriers != m.barriers) return false;
    if (spread == warps || last.warp() != m.warp()) return true;
    return last.fences == m.fences && (spread == lanes || last.thread != m.thread);
  }
};

struct Shadow {
  static constexpr std::size_t kBytes = 2;  // the smallest element that two threads write side by side

  Mark writer;
  Readers readers;
  bool written = false;  // in any era
  bool pending = false;  // an asynchronous copy is on its way here
};

using Shadows = std::vector<Shadow>;

}  // namespace stp::simt

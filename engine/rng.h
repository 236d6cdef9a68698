// Named random streams over Philox (kernels/philox.h): a value is a pure function of (seed, stream, index), so
// nothing has to be saved to resume, and no consumer can disturb another's numbers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "kernels/philox.h"

namespace stp {

// Folds a name and the coordinates of a draw (phase, epoch, step, layer, ...) into one 64-bit stream id.
std::uint64_t stream_id(std::string_view name, std::initializer_list<std::uint64_t> coordinates = {});

// A sequence of draws from one stream. A value type: copy it to replay it.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  std::uint32_t bits();                     // uniform over 32 bits
  double uniform();                         // in (0, 1)
  double uniform(double low, double high);  // in (low, high)
  double normal();                       // mean 0, standard deviation 1 (Box-Muller, one value per two draws)
  bool chance(double probability);       // true with that probability
  std::uint64_t below(std::uint64_t n);  // uniform over 0 .. n-1, unbiased; n >= 1

 private:
  std::uint64_t seed_, stream_, index_ = 0;
};

}  // namespace stp

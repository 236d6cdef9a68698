// The scalar form of a contribution to a gradient stored in f32.
#pragma once

#include <cstdint>

#include "kernels/element.h"

namespace stp::cpu {

inline void contribute(const Grad& to, std::int64_t index, float value) {
  float& gradient = to.f32()[index];
  gradient = to.add ? gradient + value : value;
}

}  // namespace stp::cpu

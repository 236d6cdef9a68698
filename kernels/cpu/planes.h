// The planes of images, and which of them share statistics.
#pragma once

#include <cstdint>

namespace stp::cpu {

// The planes of a group: first, first + C, ... `count` of them.
struct GroupOfPlanes {
  std::int64_t first;
  int count;
};
template <class Args>
std::int64_t groups_of(const Args& a) {
  return a.instance ? std::int64_t{1} * a.B * a.C : a.C;
}
template <class Args>
GroupOfPlanes planes_of(const Args& a, std::int64_t group) {
  return {group, a.instance ? 1 : a.B};
}
template <class Args>
std::int64_t group_of(const Args& a, std::int64_t plane) {
  return a.instance ? plane : plane % a.C;
}

// dx = scale (dout - mean_g - (x - mean) slope).
struct PlaneSlopes {
  float mean, scale, mean_g, slope;
};

}  // namespace stp::cpu

// The roofline of a device as one SVG file: what kernels reach, over their flops a byte, under what was
// measured to be possible (Williams, Waterman, Patterson: Roofline, CACM 2009).
#pragma once

#include <string>
#include <vector>

#include "engine/profile.h"

namespace stp::bench {

struct RooflinePoint {
  std::string name;
  Cost cost;
  double seconds = 0;
};

// Points without flops or bytes have no place in it and are left out. The file needs nothing else.
std::string roofline_svg(const std::string& title, const Peak& peak, const std::vector<RooflinePoint>& points);

}  // namespace stp::bench

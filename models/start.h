// How a network starts that learns from nothing. The released start, 0.02 for every matrix and every position,
// suits wide networks and image weights; in a narrow one signals and positions are then too faint to be used
// for hundreds of steps.
#pragma once

#include "engine/parameters.h"
#include "models/vit.h"

namespace stp {

// Rescales what is already drawn: matrices of the patch embedding and of the blocks to a normal of deviation
// 1 / sqrt(inputs), cut at twice that (LeCun et al., Efficient BackProp, 1998, section 4.6), and sets
// pos_embed, which goes on learning, to waves (see wave_positions). Heads and scorers keep their start.
void start_small(const Parameters& parameters, const VitOptions& vit);

// (N, E) sines and cosines of slot, row and column (Vaswani et al., 2017, section 3.5, on three axes). Of each
// axis the frequencies fall geometrically from pi, which tells neighbours apart, to pi / (2 size), which never
// repeats. Dimensions left over when 6 does not divide E are 0. Throws Error (usage) for an E below
// kSmallestWaves, which holds one frequency of each axis and tells even places from odd ones only.
constexpr std::int64_t kSmallestWaves = 12;
std::vector<float> wave_positions(const VitOptions& vit);

}  // namespace stp

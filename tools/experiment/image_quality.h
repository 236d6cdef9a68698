// How alike two pictures are: what a reconstruction is judged by. Values in [0, 1].
#pragma once

#include <cstdint>
#include <span>

namespace stp {

// Peak signal-to-noise ratio in dB, 10 log10(1 / mean squared difference); infinite if they are equal.
double psnr(std::span<const float> a, std::span<const float> b);

// Structural similarity of two planes (Y, X) of one colour (Wang et al., TIP 2004): Gaussian window of 11 x 11,
// sigma 1.5, K1 = 0.01, K2 = 0.03, mean over the places where the window fits. 1 if they are equal. Throws
// Error (usage) unless both have Y x X >= 11 x 11 values.
double ssim(std::span<const float> a, std::span<const float> b, std::int64_t Y, std::int64_t X);

}  // namespace stp

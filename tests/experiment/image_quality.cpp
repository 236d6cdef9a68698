// PSNR and SSIM beside scikit-image's (image_quality_skimage.py).
#include "tools/experiment/image_quality.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "engine/check.h"

namespace stp {
namespace {

std::vector<float> plane(std::int64_t Y, std::int64_t X, double phase, double scale = 0.4) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < Y * X; ++i) {
    const auto at = static_cast<double>(i);
    values.push_back(static_cast<float>(0.5 + scale * std::sin(0.37 * at + phase) * std::cos(0.011 * at)));
  }
  return values;
}

struct Fact {
  std::int64_t Y, X;
  double psnr, ssim;
};

TEST_CASE("image quality: PSNR and SSIM as scikit-image has them") {
  constexpr Fact kFacts[] = {
      {11, 11, 15.457969988188, 0.692261765273}, {11, 11, 25.332562712878, 0.960469189440},
      {11, 11, 5.174660635760, 0.000007303181},  {16, 24, 15.741699128582, 0.705138173269},
      {16, 24, 25.621861409230, 0.961071100726}, {16, 24, 5.295428666661, 0.000016397683},
      {48, 31, 16.021483368564, 0.695976852138}, {48, 31, 25.900272025055, 0.960296073091},
      {48, 31, 5.355772098115, 0.000013383224},
  };
  // Both sum in double precision; what differs is the rounding of two languages' sines to float, 6e-8 each.
  constexpr double kTolerance = 1e-6;
  for (std::size_t i = 0; i < std::size(kFacts); ++i) {
    const auto& [Y, X, wanted_psnr, wanted_ssim] = kFacts[i];
    const std::vector<float> a = plane(Y, X, 0),
                             b = i % 3 == 0   ? plane(Y, X, 0.8)
                                 : i % 3 == 1 ? plane(Y, X, 0, 0.3)
                                              : std::vector<float>(static_cast<std::size_t>(Y * X), 0.0f);
    CAPTURE(i);
    CHECK(!!(std::abs(psnr(a, b) - wanted_psnr) <= kTolerance));
    CHECK(!!(std::abs(ssim(a, b, Y, X) - wanted_ssim) <= kTolerance));
  }
}

TEST_CASE("image quality: equal planes, and planes too small for the window") {
  const std::vector<float> a = plane(12, 12, 0);
  CHECK(std::isinf(psnr(a, a)));
  CHECK(ssim(a, a, 12, 12) == doctest::Approx(1));
  CHECK_THROWS_AS(ssim(plane(10, 20, 0), plane(10, 20, 0), 10, 20), Error);
}

}  // namespace
}  // namespace stp

#include "engine/schedule.h"

#include <doctest/doctest.h>

#include <limits>

#include "tests/temporary.h"

namespace stp {
namespace {

TEST_CASE("warm-up and cosine: the ends are exact, the way between is monotone") {
  const WarmupCosine s{.start = 1e-6, .peak = 1e-3, .end = 1e-5, .warmup = 10, .steps = 110};
  CHECK(warmup_cosine(0, s) == 1e-6);
  CHECK(warmup_cosine(10, s) == 1e-3);
  CHECK(warmup_cosine(110, s) == 1e-5);
  CHECK(warmup_cosine(1000, s) == 1e-5);
  // Half-way up, and half-way down where the cosine is 0; 1e-15 allows the rounding of a few operations.
  CHECK(warmup_cosine(5, s) == doctest::Approx((1e-6 + 1e-3) / 2).epsilon(1e-15));
  CHECK(warmup_cosine(60, s) == doctest::Approx((1e-3 + 1e-5) / 2).epsilon(1e-15));
  for (int step = 0; step < 10; ++step) CHECK(warmup_cosine(step, s) < warmup_cosine(step + 1, s));
  for (int step = 10; step < 110; ++step) CHECK(warmup_cosine(step, s) > warmup_cosine(step + 1, s));
  // The last step that is trained, 109 of 0 .. 109, is one step above the end.
  CHECK(warmup_cosine(109, s) > 1e-5);
}

TEST_CASE("warm-up and cosine: none of either, and one step") {
  CHECK(warmup_cosine(0, {.start = 9, .peak = 1, .end = 0, .warmup = 0, .steps = 4}) == 1.0);
  CHECK(warmup_cosine(2, {.peak = 1, .end = 0, .warmup = 0, .steps = 4}) ==
        doctest::Approx(0.5).epsilon(1e-15));
  const WarmupCosine rise{.start = 0, .peak = 1, .end = 0.25, .warmup = 4, .steps = 4};
  CHECK(warmup_cosine(3, rise) == 0.75);
  CHECK(warmup_cosine(4, rise) == 0.25);
  CHECK(warmup_cosine(0, {.peak = 2, .end = 1, .warmup = 0, .steps = 1}) == 2.0);
  const WarmupCosine constant{.start = 3, .peak = 3, .end = 3, .warmup = 2, .steps = 7};
  for (int step = 0; step < 9; ++step) CHECK(warmup_cosine(step, constant) == 3.0);
}

TEST_CASE("ramps: constant outside, exact at the ends, up and down") {
  const Ramp up{.from = 0, .to = 0.5, .begin = 100, .end = 200}, down{.from = 2, .to = 1, .begin = 0, .end = 4};
  for (const auto ramp : {linear_ramp, cosine_ramp}) {
    CHECK(ramp(0, up) == 0.0);
    CHECK(ramp(100, up) == 0.0);
    CHECK(ramp(150, up) == doctest::Approx(0.25).epsilon(1e-15));
    CHECK(ramp(200, up) == 0.5);
    CHECK(ramp(std::numeric_limits<std::int64_t>::max(), up) == 0.5);
    CHECK(ramp(0, down) == 2.0);
    CHECK(ramp(2, down) == doctest::Approx(1.5).epsilon(1e-15));
    CHECK(ramp(4, down) == 1.0);
  }
  CHECK(linear_ramp(1, down) == 1.75);
  CHECK(cosine_ramp(1, down) > 1.75);  // flat at the beginning
  const Ramp jump{.from = 1, .to = 2, .begin = 5, .end = 5};
  CHECK(linear_ramp(4, jump) == 1.0);
  CHECK(linear_ramp(5, jump) == 2.0);
}

TEST_CASE("two rates: the backbone rests, then follows below its cap") {
  CHECK(frozen_then_capped(0, 1e-3, 2, 1e-4) == 0.0);
  CHECK(frozen_then_capped(1, 1e-3, 2, 1e-4) == 0.0);
  CHECK(frozen_then_capped(2, 1e-3, 2, 1e-4) == 1e-4);
  CHECK(frozen_then_capped(70, 1e-5, 2, 1e-4) == 1e-5);
  CHECK(frozen_then_capped(0, 1e-5, 0, 1e-4) == 1e-5);
}

TEST_CASE("layer-wise decay: full at the top, the highest power at the embedding") {
  CHECK(layer_scale(13, 13, 0.75) == 1.0);
  CHECK(layer_scale(12, 13, 0.75) == 0.75);
  CHECK(layer_scale(0, 2, 0.5) == 0.25);
  CHECK(layer_scale(0, 13, 1.0) == 1.0);
}

TEST_CASE("schedules: bounds that make no sense are refused") {
  CHECK(contains(error_of([] { warmup_cosine(0, {.warmup = 5, .steps = 4}); }), "warm-up of 5 in 4 steps"));
  CHECK(contains(error_of([] { warmup_cosine(0, {.steps = 0}); }), "warm-up of 0 in 0 steps"));
  CHECK(contains(error_of([] { linear_ramp(0, {.begin = 3, .end = 2}); }), "wanted 0 <= begin <= end"));
  CHECK(contains(error_of([] { linear_ramp(0, {.from = std::numeric_limits<double>::quiet_NaN()}); }),
                 "wanted finite"));
  CHECK(contains(error_of([] { frozen_then_capped(0, 1, -1, 1); }), "frozen for -1 steps"));
  CHECK(contains(error_of([] { layer_scale(3, 2, 0.5); }), "layer 3 of 2"));
  CHECK(contains(error_of([] { layer_scale(0, 2, 0); }), "wanted above 0, at most 1"));
}

}  // namespace
}  // namespace stp

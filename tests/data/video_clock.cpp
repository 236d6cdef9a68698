#include "data/video_clock.h"

#include <doctest/doctest.h>

#include <vector>

namespace stp {
namespace {

constexpr std::int64_t kNone = INT64_MIN;
using Times = std::vector<std::int64_t>;

// What becomes of `said` at 25 frames a second in units of 1/1000 s (a frame takes 40), and how many were
// repaired.
std::pair<Times, std::int64_t> repaired(const Times& said) {
  VideoClock clock({1, 1000}, {25, 1});
  Times times;
  for (const std::int64_t time : said) {
    const auto given = time == kNone ? std::nullopt : std::optional(time);
    times.push_back(clock.next(given).value());
  }
  return {times, clock.repaired()};
}

TEST_CASE("video times: what increases is kept") {
  const Times steady{0, 40, 80}, uneven{7, 8, 5000, 5001};
  CHECK(repaired(steady) == std::pair(steady, std::int64_t{0}));
  CHECK(repaired(uneven) == std::pair(uneven, std::int64_t{0}));
}

TEST_CASE("video times: missing ones come a frame after the last") {
  CHECK(repaired({kNone, kNone, 100, kNone, 200}) == std::pair(Times{0, 40, 100, 140, 200}, std::int64_t{3}));
  CHECK(repaired({100, INT64_MAX, INT64_MIN + 1}) == std::pair(Times{100, 140, 180}, std::int64_t{2}));
}

TEST_CASE("video times: equal and slightly backward ones come a unit after the last") {
  CHECK(repaired({0, 40, 40, 80}) == std::pair(Times{0, 40, 41, 80}, std::int64_t{1}));
  CHECK(repaired({0, 400, 300, 350, 440}) == std::pair(Times{0, 400, 401, 402, 440}, std::int64_t{2}));
  CHECK(repaired({0, 0, 0, 0}) == std::pair(Times{0, 1, 2, 3}, std::int64_t{3}));
}

TEST_CASE("video times: after a jump back the rest is shifted") {
  CHECK(repaired({5000, 5040, 0, 40, 80}) == std::pair(Times{5000, 5040, 5080, 5120, 5160}, std::int64_t{1}));
  CHECK(repaired({5000, 4001}) == std::pair(Times{5000, 5001}, std::int64_t{1}));  // less than a second
  CHECK(repaired({5000, 4000}) == std::pair(Times{5000, 5040}, std::int64_t{1}));
}

TEST_CASE("video times: a file that begins before 0 is shifted to 0") {
  CHECK(repaired({-500, -460, 0}) == std::pair(Times{0, 40, 500}, std::int64_t{1}));
}

TEST_CASE("video times: extremes neither overflow nor stop the clock early") {
  const std::int64_t far = std::int64_t{1} << 60;
  VideoClock clock({1, 1000}, {0, 1});
  CHECK(clock.next(far).value() == far);
  CHECK(clock.next(far).value() == far + 1);
  CHECK(clock.next(std::nullopt).value() == far + 2);
  // Back to the beginning and on to the far end again and again: every time is later, until there is none.
  std::int64_t last = far + 2;
  bool ended = false;
  for (int i = 0; i < 10 && !ended; ++i)
    for (const std::int64_t said : {-far, far}) {
      const auto time = clock.next(said);
      ended = ended || !time;
      if (time) CHECK(*time > last);
      if (time) last = *time;
    }
  CHECK(ended);
  VideoClock coarse({1000, 1}, {1, 1000000}), fine({1, 2147483647}, {90000, 1});
  CHECK(coarse.next(3).value() == 3);
  CHECK(coarse.next(std::nullopt).value() == 1003);
  CHECK(fine.next(3).value() == 3);
  CHECK(fine.next(std::nullopt).value() == 3 + 23861);
}

}  // namespace
}  // namespace stp

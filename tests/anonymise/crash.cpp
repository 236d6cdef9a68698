// Killed, without power, or failing at every call that touches a file: no output, or a complete pair.
#include <omp.h>

#include <cerrno>

#include "tests/anonymise/samples.h"
#include "tests/engine/faults.h"

namespace stp {
namespace {

using test::Bench;
using test::count_to;
using test::Models;
using test::video_spec;
using test::write_moving;

// Threads do not survive a fork: with one, the children can compute.
const bool kOneThread = (omp_set_num_threads(1), true);

AnonymiseOptions forced(double alpha) {
  AnonymiseOptions options;
  options.alpha = alpha;
  options.force = options.preview = true;
  return options;
}

struct Pair {
  std::string video, sidecar;
  bool operator==(const Pair&) const = default;
};
Pair pair_of(const Bench& bench) { return {content(bench.job.output), content(bench.job.sidecar())}; }

// What a run with alpha makes when nothing goes wrong.
Pair whole(double alpha) {
  Bench bench;
  write_moving(bench.job.input, video_spec(), count_to(9));
  bench.run(forced(alpha));
  return pair_of(bench);
}

// What is there after `spoil`ed runs: with an old pair of alpha 0.25 that is to be replaced, or with none.
// `spoil` runs its action until the nth call and says whether it got that far.
template <class Spoil>
std::map<std::string, int> outcomes(bool old, const Spoil& spoil) {
  REQUIRE(kOneThread);
  const LoadedModel model = Models::get().load();
  const Pair before = whole(0.25), after = whole(0.75);
  std::map<std::string, int> seen;
  for (int nth = 1;; ++nth) {
    Bench bench;
    write_moving(bench.job.input, video_spec(), count_to(9));
    if (old) bench.run(forced(0.25));
    const bool spoilt = spoil(nth, [&] { anonymise_video(model, forced(0.75), bench.job, bench.console); });
    CAPTURE(nth);
    const bool video = std::filesystem::exists(bench.job.output);
    const Pair found = pair_of(bench);
    const bool complete = found == before || found == after;
    CHECK((!video || complete));
    CHECK((spoilt || found == after));
    if (!spoilt) return seen;
    ++seen[!video ? (found.sidecar.empty() ? "nothing" : "sidecar") : (found == before ? "old" : "new")];
  }
}

TEST_CASE("anonymise: killed after any call, there is a complete pair or no video") {
  auto seen =
      outcomes(false, [](int nth, const auto& action) { return faults::run_until_killed(nth, action); });
  for (const auto& [what, times] : seen) MESSAGE(what, ": ", times);
  CHECK(seen["nothing"] > 10);
  CHECK(seen["new"] > 0);
  CHECK(seen["old"] == 0);
  seen = outcomes(true, [](int nth, const auto& action) { return faults::run_until_killed(nth, action); });
  CHECK(seen["old"] > 10);
  CHECK(seen["new"] > 0);
}

TEST_CASE("anonymise: after a loss of power at any call, there is a complete pair or no video") {
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    CAPTURE(seed);
    auto seen = outcomes(
        false, [&](int nth, const auto& action) { return faults::run_until_power_loss(nth, seed, action); });
    CHECK(seen["nothing"] > 10);
  }
}

TEST_CASE("anonymise: whatever call fails, nothing is left") {
  const LoadedModel model = Models::get().load();
  for (const int error : {ENOSPC, EIO}) {
    bool failed = true;
    for (int nth = 1; failed; ++nth) {
      Bench bench;
      write_moving(bench.job.input, video_spec(), count_to(9));
      AnonymiseOptions options = forced(0.75);
      options.force = false;
      {
        const faults::Armed armed({.call = {}, .nth = nth, .error = error, .lasting = true});
        failed = !error_of([&] { anonymise_video(model, options, bench.job, bench.console); }).empty();
      }
      CAPTURE(nth);
      const auto left = bench.folder.names();
      CHECK((failed ? left == std::set<std::string>{"in.mp4"} : left.size() == 4));
    }
  }
}

}  // namespace
}  // namespace stp

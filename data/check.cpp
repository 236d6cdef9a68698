#include "data/check.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "data/frames.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

Verdict verdict_on(const Item& item, const CheckOptions& options) {
  Verdict verdict;
  try {
    const auto source = open_frames(item.path, {.still = item.still});
    Frame frame;
    while (source->next(frame)) {
      verdict.width = frame.width;
      verdict.height = frame.height;
      ++verdict.frames;
    }
    verdict.damaged = source->damaged();
    verdict.cause = source->damage();
    check(verdict.frames > 0, "{}: no frame decodes; replace or remove the file", shown(item.path));
    verdict.too_short = verdict.frames <= std::int64_t{options.T - 1} * options.rate;
    verdict.ok = true;
  } catch (const std::exception& error) {
    verdict.cause = error.what();
  }
  return verdict;
}

}  // namespace

CheckReport check_items(std::span<const Item> items, const CheckOptions& options,
                        const CheckProgress& progress) {
  check(options.T >= 1 && options.rate >= 1, "data check: T {} and rate {}, wanted 1 or more", options.T,
        options.rate);
  check(options.threads >= 1 && options.threads <= 256, "data check: {} threads, wanted 1 to 256",
        options.threads);
  CheckReport report;
  report.items.resize(items.size());
  std::atomic<std::size_t> next = 0;
  std::mutex telling;  // guards done and progress
  std::int64_t done = 0;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < items.size();) {
      report.items[i] = verdict_on(items[i], options);
      const std::lock_guard lock(telling);
      ++done;
      if (progress) progress(done, static_cast<std::int64_t>(items.size()));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int t = 1; t < options.threads; ++t) threads.emplace_back(work);
    work();
  }
  for (const Verdict& verdict : report.items) {
    report.bad += !verdict.ok;
    report.damaged += verdict.damaged > 0;
    report.too_short += verdict.too_short;
    report.frames += verdict.frames;
  }
  return report;
}

}  // namespace stp

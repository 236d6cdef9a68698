#include "tools/experiment/profiler.h"

#include <fmt/format.h>

#include <utility>

#include "engine/durable.h"

namespace stp {

namespace {

constexpr std::size_t kSteps = 3;

}  // namespace

Profiler::Profiler(Backend backend, std::optional<std::int64_t> after, std::filesystem::path trace,
                   Console& console)
    : backend_(std::move(backend)), after_(after), trace_(std::move(trace)), console_(console) {}

void Profiler::begin(const std::string& stage) {
  if (!after_) return;
  profiles_.push_back({.label = stage, .steps = {}, .events = {}});
  done_ = 0;
  told_ = false;
}

void Profiler::step(std::int64_t number, const std::function<void()>& work) {
  if (told_ || done_ < *after_) {
    work();
  } else {
    profile_step(profiles_.back(), backend_, number, work);
    if (profiles_.back().steps.size() == kSteps) tell();
  }
  ++done_;
}

void Profiler::finish() {
  if (!told_) tell();
}

void Profiler::tell() {
  told_ = true;
  console_.result(profile_table(profiles_.back()));
  write_file(trace_, profile_trace(profiles_));
  console_.note(fmt::format("{}: open it at ui.perfetto.dev or chrome://tracing", trace_.string()));
}

}  // namespace stp

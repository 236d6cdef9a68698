// Where the time of a run's steps goes: a few steps of each stage, once it has warmed up.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "engine/console.h"
#include "engine/profile.h"

namespace stp {

class Profiler {
 public:
  // Without `after` it only does the steps. With it, it takes a profile of the next steps once so many of a
  // stage are done here, prints its table, and writes the trace of all stages so far to `trace`.
  Profiler(Backend backend, std::optional<std::int64_t> after, std::filesystem::path trace, Console& console);

  void begin(const std::string& stage);
  void step(std::int64_t number, const std::function<void()>& work);
  void finish();  // the stage is over: tells what there is if that is less than it wanted

 private:
  void tell();

  Backend backend_;
  std::optional<std::int64_t> after_;
  std::filesystem::path trace_;
  Console& console_;
  std::vector<StepProfile> profiles_;  // the last is of the stage under way
  std::int64_t done_ = 0;              // steps of it
  bool told_ = true;
};

}  // namespace stp

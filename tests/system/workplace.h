// Training as a user runs it, in a folder of its own.
#pragma once

#include <map>

#include "data/synthetic.h"
#include "tests/program.h"

namespace stp::test {

// The clips that tools/recipes/tiny.toml asks for, below a folder.
inline void make_tiny_clips(const std::filesystem::path& folder) {
  SyntheticOptions options;
  options.seed = 1;
  options.clips = 48;
  options.width = options.height = 32;
  options.frames = 12;
  synthesize(folder / "runs/data/tiny", options);
}

// A place to train in, with those clips.
class Workplace {
 public:
  Workplace() { make_tiny_clips(folder_.path()); }

  // One thread: neighbours on the machine then cost time, not patience.
  Ended train(const std::string& run, std::vector<std::string> more = {},
              const std::function<void(pid_t)>& meanwhile = {}) const {
    std::vector<std::string> arguments = {"train", "--run", run, "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, meanwhile, folder_.path());
  }
  Ended begin(const std::string& run, std::vector<std::string> more = {},
              const std::function<void(pid_t)>& meanwhile = {}) const {
    more.emplace_back(STP_SOURCE_DIR "/tools/recipes/tiny.toml");
    return train(run, more, meanwhile);
  }
  Ended resume(const std::string& run, const std::function<void(pid_t)>& meanwhile = {}) const {
    return train(run, {"--resume"}, meanwhile);
  }

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path operator/(const std::string& run) const { return folder_ / run; }

  // Every file of a run with its content, but for its clocks and its lock.
  std::map<std::string, std::string> files(const std::string& run) const {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / run)) {
      const std::string name = std::filesystem::relative(entry.path(), folder_ / run).string();
      if (entry.is_regular_file() && name != "timing.jsonl" && name != ".lock")
        found[name] = content(entry.path());
    }
    return found;
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace stp::test

// Bad input, row by row: each is told in one line that says what, where and the cure, with its exit code, and
// leaves every file as it was.
#pragma once

#include <algorithm>
#include <map>

#include "tests/system/workplace.h"

namespace stp::test {

// Where a row runs: clips, recipe r.toml for them, and a run "done" of it, finished.
class Place {
 public:
  Place() {
    make_tiny_clips(folder_.path());
    put(folder_ / "r.toml", content(STP_SOURCE_DIR "/tools/recipes/tiny.toml"));
    put(folder_ / "text.txt", "no video at all, only a line of text\n");
    REQUIRE(run({"train", "r.toml", "--run", "done", "--set", "init.steps=1", "--set", "adversarial.steps=1",
                 "--set", "evaluate.steps=1", "--set", "evaluate.attackers=1"})
                .code == 0);
    REQUIRE(run({"train", "r.toml", "--run", "begun", "--phase", "init", "--set", "init.steps=1"}).code == 0);
  }

  Ended run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--threads", "1", "-q"});
    return run_program(arguments, {}, folder_.path());
  }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  std::filesystem::path clip() const { return folder_ / "runs/data/tiny/videos/squat/squat_000007.mp4"; }

  // Puts `to` in the place of the first `from`.
  void edit(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = content(folder_ / name);
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    put(folder_ / name, text.replace(at, from.size(), to));
  }
  void recipe(const std::string& from, const std::string& to) const { edit("r.toml", from, to); }
  void cut(const std::string& name, std::size_t bytes) const {
    put(folder_ / name, content(folder_ / name).substr(0, bytes));
  }

  // Every file but the locks, with what it holds.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path()))
      if (entry.path().filename() != ".lock")
        found[entry.path().string()] = entry.is_regular_file() ? content(entry.path()) : "";
    return found;
  }

 private:
  TemporaryFolder folder_;
};

// A fresh copy of a place for each row would cost most of the time: rows put back what they break.
class Restored {
 public:
  explicit Restored(const Place& place) : place_(place), before_(place.files()) {}
  ~Restored() {
    for (const auto& [name, bytes] : place_.files())
      if (!before_.contains(name)) std::filesystem::remove_all(name);
    for (const auto& [name, bytes] : before_)
      if (!std::filesystem::exists(name) && bytes.empty())
        std::filesystem::create_directories(name);
      else if (!bytes.empty() && content(name) != bytes)
        put(name, bytes);
  }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  const Place& place_;
  std::map<std::string, std::string> before_;
};
using Words = std::vector<std::string>;

struct Row {
  const char* what;
  std::function<void(const Place&)> spoil;  // may be empty
  Words arguments;
  int code;
  Words told;  // parts of the message: what, where, the cure
};

inline const Words kTrain = {"train", "r.toml", "--run", "new"};

inline Words train_with(const std::string& setting) {
  return {"train", "r.toml", "--run", "new", "--set", setting};
}

inline std::function<void(const Place&)> recipe(const std::string& from, const std::string& to) {
  return [=](const Place& p) { p.recipe(from, to); };
}

inline const char* const kSplit = "runs/data/tiny/splits/squat_test_split1.txt";
inline const char* const kLabels = "runs/data/tiny/labels.csv";
inline const char* const kLatest = "begun/checkpoints/latest.safetensors";
inline const char* const kModel = "done/anonymiser.safetensors";
inline const char* const kOther = "runs/data/tiny/videos/kick/kick_000004.mp4";
inline const char* const kClip = "runs/data/tiny/videos/squat/squat_000007.mp4";

inline void check_rows(const std::vector<Row>& rows) {
  const Place place;
  for (const Row& row : rows) {
    CAPTURE(std::string(row.what));
    const Restored restored(place);
    if (row.spoil) row.spoil(place);
    const auto before = place.files();
    const Ended ended = place.run(row.arguments);
    CAPTURE(ended.messages);
    CHECK(ended.code == row.code);
    CHECK(ended.messages.starts_with("error: "));
    CHECK(std::ranges::count(ended.messages, '\n') == 1);
    for (const std::string& part : row.told) {
      CAPTURE(part);
      CHECK(contains(ended.messages, part));
    }
    CHECK((place.files() == before));
  }
}

}  // namespace stp::test

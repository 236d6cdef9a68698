#include "tools/anonymise/plan.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "data/video.h"
#include "engine/file.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

bool looks_like_video(const fs::path& path) {
  constexpr std::array<std::string_view, 17> kExtensions = {".mp4", ".m4v",  ".mov", ".mkv",  ".webm", ".avi",
                                                            ".mpg", ".mpeg", ".mts", ".m2ts", ".ts",   ".3gp",
                                                            ".wmv", ".flv",  ".ogv", ".vob",  ".gif"};
  std::string extension = path.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at is refused where it is opened
  return fs::is_directory(path, ignored);
}

// What a file is, under whatever name.
struct Identity {
  dev_t device;
  ino_t number;
  auto operator<=>(const Identity&) const = default;
};

std::optional<Identity> identity_of(const fs::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

// The last part of a path, also of "a/b/" and "..".
std::string own_name(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::canonical(path, error);
  check(!error && whole.has_filename(), "{}: it has no name of its own; name a folder below it", shown(path));
  return whole.filename().string();
}

bool lies_in(const fs::path& path, const fs::path& folder) {
  std::error_code error;
  const fs::path inner = fs::weakly_canonical(path, error), outer = fs::canonical(folder, error);
  if (error) return true;  // in doubt
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

class Planner {
 public:
  Planner(const fs::path& output, const AnonymiseOptions& options)
      : output_(output.has_filename() ? output : output.parent_path()),
        options_(options),
        into_folder_(!output.has_filename()) {}

  AnonymisePlan plan(const std::vector<fs::path>& inputs, const fs::path& model) {
    check(!inputs.empty(), "anonymize: name a video or a folder");
    check(!output_.empty(), "anonymize: name the output with -o; \".\" is this folder");
    for (const fs::path& input : inputs) {
      std::error_code error;
      const fs::file_status status = fs::status(input, error);
      check(fs::exists(status), "{}: there is no such file or folder", shown(input));
      check(fs::is_regular_file(status) || fs::is_directory(status), "{}: it is neither a file nor a folder",
            shown(input));
    }
    const bool many = inputs.size() > 1;
    into_folder_ = into_folder_ || many || is_folder(inputs.front()) || is_folder(output_);
    check_output_kind(many || is_folder(inputs.front()));
    for (const fs::path& input : inputs) add(input, many);
    check(!plan_.jobs.empty(), "anonymize: no video in {}; name videos or a folder that holds some",
          shown(inputs.front()));
    protect(model);
    for (const AnonymiseJob& job : plan_.jobs) check_outputs(job);
    for (const AnonymiseJob& job : plan_.jobs) const VideoReader probe(job.input);  // refuses what is no video
    return std::move(plan_);
  }

 private:
  void check_output_kind(bool several) const {
    check(!several || is_folder(output_) || !looks_like_video(output_),
          "anonymize: several inputs do not go into one file {}; name a folder with -o", shown(output_));
    std::error_code ignored;
    check(!into_folder_ || is_folder(output_) || !fs::exists(fs::symlink_status(output_, ignored)),
          "{}: it is there and is no folder; name another with -o", shown(output_));
    const fs::path folder = output_.has_parent_path() ? output_.parent_path() : fs::path(".");
    check(into_folder_ || is_folder(folder), "{}: its folder is not there; make it first", shown(output_));
  }

  void add(const fs::path& input, bool many) {
    if (is_folder(input)) {
      check(!lies_in(output_, input), "{}: it lies in the input {}; choose a folder outside", shown(output_),
            shown(input));
      add_tree(input, many ? output_ / own_name(input) : output_);
    } else {
      const fs::path name = fs::path(input.filename()).replace_extension(".mp4");
      plan_.jobs.push_back({input, into_folder_ ? output_ / name : output_});
    }
  }

  // In order of names, so that the same folder makes the same plan.
  void add_tree(const fs::path& folder, const fs::path& to) {
    std::vector<fs::path> found;
    std::error_code error;
    for (auto entry = fs::recursive_directory_iterator(folder, error);
         !error && entry != fs::recursive_directory_iterator(); entry.increment(error))
      if (!fs::is_directory(entry->symlink_status())) found.push_back(entry->path());
    check(!error, "{}: cannot be listed: {}", shown(folder), system_message(error.value()));
    std::ranges::sort(found);
    for (const fs::path& path : found) {
      std::error_code ignored;
      if (looks_like_video(path) && fs::is_regular_file(path, ignored))
        plan_.jobs.push_back({path, to / path.lexically_relative(folder).replace_extension(".mp4")});
      else
        plan_.left_aside.push_back(path);
    }
  }

  // What must not be written over: all inputs and the model.
  void protect(const fs::path& model) {
    const fs::path file = is_folder(model) ? model / "anonymiser.safetensors" : model;
    if (const auto identity = identity_of(file)) protected_.emplace(*identity, file);
    for (const AnonymiseJob& job : plan_.jobs)
      if (const auto identity = identity_of(job.input)) protected_.emplace(*identity, job.input);
  }

  void check_outputs(const AnonymiseJob& job) {
    for (const fs::path& path : {job.output, job.sidecar(), job.preview()}) {
      const auto [other, first] = taken_.emplace(path.lexically_normal(), job.input);
      check(first, "{}: both {} and {} would be written there; anonymise them apart", shown(path),
            shown(other->second), shown(job.input));
      const auto identity = identity_of(path);
      const auto victim = identity ? protected_.find(*identity) : protected_.end();
      check(victim == protected_.end(),
            "{}: it is the same file as {}, which is never written over; choose "
            "another output",
            shown(path), victim == protected_.end() ? "" : shown(victim->second));
      check_free(path, path == job.preview() && !options_.preview);
    }
  }

  void check_free(const fs::path& path, bool stale) const {
    std::error_code ignored;
    const fs::file_status status = fs::symlink_status(path, ignored);
    if (status.type() == fs::file_type::not_found) return;
    check(fs::is_regular_file(status), "{}: it is there and is no regular file; choose another output",
          shown(path));
    check(options_.force, "{}: it is there already; choose another output, or replace it with --force",
          shown(path));
    check(!stale, "{}: the preview of an earlier run would not fit the new video; remove it or add --preview",
          shown(path));
  }

  fs::path output_;
  AnonymiseOptions options_;
  bool into_folder_;
  AnonymisePlan plan_;
  std::map<Identity, fs::path> protected_;
  std::map<fs::path, fs::path> taken_;  // output to input
};

}  // namespace

AnonymisePlan plan_anonymisation(const std::vector<fs::path>& inputs, const fs::path& output,
                                 const fs::path& model, const AnonymiseOptions& options) {
  return Planner(output, options).plan(inputs, model);
}

}  // namespace stp

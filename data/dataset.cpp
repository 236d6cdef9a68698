#include "data/dataset.h"

#include <algorithm>
#include <set>

#include "data/labels.h"
#include "data/names.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

namespace fs = std::filesystem;

bool is_clip(const fs::directory_entry& entry) {
  std::error_code error;
  return entry.is_directory(error) || known_extension(entry.path().extension().string());
}

// The folders CLASS (or deeper) that the listed paths name; "" for clips directly below the data set's folder.
std::set<std::string> folders_of(const Listing& listing) {
  std::set<std::string> folders;
  for (const Listed& clip : listing.clips) {
    const std::size_t slash = clip.path.rfind('/');
    folders.insert(slash == std::string::npos ? "" : clip.path.substr(0, slash));
  }
  return folders;
}

// The clips on disk, as paths below the data set's folder: media files, and folders (of frames, one hopes).
std::vector<std::string> scan(const fs::path& root, const Listing& listing) {
  std::vector<std::string> present;
  for (const std::string& folder : folders_of(listing)) {
    std::error_code error;
    if (!fs::is_directory(root / folder, error)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(root / folder, error))
      if (is_clip(entry))
        present.push_back((folder.empty() ? "" : folder + "/") + entry.path().filename().string());
    if (error) refuse("{}: cannot be read ({})", shown(root / folder), error.message());
  }
  // A folder's entries come in no fixed order, and a folder may hold clips and folders of clips.
  std::ranges::sort(present);
  return present;
}

std::vector<std::string> paths_of(const Listing& listing) {
  std::vector<std::string> paths;
  for (const Listed& clip : listing.clips) paths.push_back(clip.path);
  return paths;
}

// A clip of the lists with its labels and its file, as far as there are any.
struct Joined {
  Listed listed;
  std::vector<float> attributes;  // by a table of labels
  std::string file;               // below the data set's folder

  bool used() const { return listed.part != Part::unused; }
  bool missing() const { return used() && file.empty(); }
};

std::vector<Joined> join(Listing& listing, std::vector<std::vector<float>> attributes,
                         const std::vector<std::string>& present, const std::string& where) {
  const std::vector<int> index = match_names(paths_of(listing), present, where);
  std::vector<Joined> clips(index.size());
  for (std::size_t i = 0; i < index.size(); ++i) {
    clips[i].listed = std::move(listing.clips[i]);
    if (!attributes.empty()) clips[i].attributes = std::move(attributes[i]);
    if (index[i] >= 0) clips[i].file = present[static_cast<std::size_t>(index[i])];
  }
  return clips;
}

bool has_folder(const DatasetSpec& spec, const Listed& clip) {
  std::error_code error;
  return fs::is_directory(spec.videos / fs::path(clip.path).parent_path(), error);
}

[[noreturn]] void refuse_missing(const DatasetSpec& spec, const std::vector<Joined>& clips, int count) {
  const Listed& first = std::ranges::find_if(clips, &Joined::missing)->listed;
  refuse(
      "{}: '{}' is not on disk{} ({} clips of the lists are missing); complete {} or allow missing clips "
      "(data.skip_missing)",
      first.where, brief(first.path), has_folder(spec, first) ? "" : ", nor is its folder", count,
      shown(spec.videos));
}

// Leaves out the labels without a number; returns how many.
int leave_out(std::vector<std::string>& labels, const std::vector<int>& numbers) {
  const std::size_t before = labels.size();
  labels = kept_of(labels, numbers);
  return static_cast<int>(before - labels.size());
}

// Leaves out the classes that have no folder on disk and numbers the others anew; returns how many it left out.
// A folder without a clip of its class stays: that is an oversight, and refused later.
int drop_absent_classes(const DatasetSpec& spec, std::vector<std::string>& classes,
                        std::vector<Joined>& clips) {
  std::vector<bool> present(classes.size(), false);
  for (const Joined& clip : clips) {
    const auto c = static_cast<std::size_t>(clip.listed.label);
    present[c] = present[c] || !clip.file.empty() || has_folder(spec, clip.listed);
  }
  const std::vector<int> label = renumbered(present);
  for (Joined& clip : clips) clip.listed.label = label[static_cast<std::size_t>(clip.listed.label)];
  std::erase_if(clips, [](const Joined& clip) { return clip.listed.label < 0; });
  return leave_out(classes, label);
}

std::vector<float> as_floats(const Marks& marks) { return {marks.begin(), marks.end()}; }

// The clips that are used and on disk, as items of the two parts.
void add_items(const DatasetSpec& spec, std::vector<Joined>& clips, Dataset& dataset) {
  for (Joined& clip : clips) {
    if (!clip.used() || clip.missing()) continue;
    if (!spec.labels.empty() && clip.attributes.empty())
      refuse("{}: no labels for '{}' ({}); add its line or leave the clip out of the split", shown(spec.labels),
             brief(clip.listed.path), clip.listed.where);
    if (clip.attributes.empty()) clip.attributes = as_floats(clip.listed.attributes);
    std::vector<Item>& items = clip.listed.part == Part::train ? dataset.train : dataset.test;
    items.push_back({spec.videos / clip.file, clip_name(clip.listed.path), clip.listed.label,
                     std::move(clip.attributes), as_floats(clip.listed.actions),
                     std::move(clip.listed.frames)});
  }
}

// Leaves out of the listing's own labels those that no training clip on disk has; returns how many.
int drop_unlearnable(std::vector<Joined>& clips, Marks Listed::*marks, std::vector<std::string>& labels) {
  std::vector<bool> learnable(labels.size(), false);
  for (const Joined& clip : clips) {
    if (clip.listed.part != Part::train || clip.file.empty()) continue;
    for (std::size_t l = 0; l < labels.size(); ++l)
      if ((clip.listed.*marks)[l] != 0) learnable[l] = true;
  }
  const std::vector<int> numbers = renumbered(learnable);
  for (Joined& clip : clips) clip.listed.*marks = kept_of(clip.listed.*marks, numbers);
  return leave_out(labels, numbers);
}

void require_complete(const Dataset& dataset, const DatasetSpec& spec) {
  const std::string where = fmt::format("{}: split {}", shown(spec.splits), spec.split);
  if (dataset.train.empty())
    refuse("{}: no training clip is in {}; check both folders", where, shown(spec.videos));
  if (dataset.test.empty()) refuse("{}: no test clip is in {}; check both folders", where, shown(spec.videos));
  // Of several actions those that no training clip shows were left out; PA-HMDB51's classes are not learnt.
  if (dataset.many_actions || spec.layout == Layout::pa_hmdb51) return;
  std::vector<int> clips(dataset.classes.size(), 0);
  for (const Item& item : dataset.train) ++clips[static_cast<std::size_t>(item.label)];
  for (std::size_t c = 0; c < clips.size(); ++c)
    if (clips[c] == 0)
      refuse("{}: class '{}' has no training clip; add clips or leave the class out (classes = [...])", where,
             brief(dataset.classes[c]));
}

}  // namespace

std::vector<std::vector<float>> attributes_of(const Listing& listing, const Labels& labels) {
  const std::vector<int> line = labels.find(paths_of(listing));
  std::vector<std::vector<float>> attributes(listing.clips.size());
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] < 0) continue;
    const auto values = labels.values(static_cast<std::size_t>(line[i]));
    attributes[i].assign(values.begin(), values.end());
  }
  return attributes;
}

Dataset read_dataset(const DatasetSpec& spec) {
  std::error_code error;
  if (!fs::is_directory(spec.videos, error))
    refuse("{}: no such folder; give the folder that holds CLASS/VIDEO", shown(spec.videos));
  Listing listing = read_listing(spec.layout, spec.splits, spec.split);
  if (!spec.classes.empty()) listing = select_classes(std::move(listing), spec.classes);

  Dataset dataset;
  // Labels are matched with the whole list, not with what is on disk: an absent clip keeps its label to itself.
  std::vector<std::vector<float>> attributes;
  dataset.attributes = std::move(listing.attributes);
  if (!spec.labels.empty()) {
    if (!dataset.attributes.empty())
      refuse("{}: {} has labels of its own; leave data.labels empty", shown(spec.labels), shown(spec.splits));
    const Labels labels(spec.labels);
    dataset.attributes = labels.attributes();
    attributes = attributes_of(listing, labels);
  }
  const std::vector<std::string> present = scan(spec.videos, listing);
  std::vector<Joined> clips = join(listing, std::move(attributes), present, shown(spec.videos));
  dataset.classes = std::move(listing.classes);
  dataset.missing_clips = static_cast<int>(std::ranges::count_if(clips, &Joined::missing));
  if (spec.missing == Missing::refuse && dataset.missing_clips > 0)
    refuse_missing(spec, clips, dataset.missing_clips);
  dataset.many_actions = listing.many_actions;
  if (dataset.many_actions) {
    dataset.absent_labels = drop_unlearnable(clips, &Listed::actions, dataset.classes) +
                            drop_unlearnable(clips, &Listed::attributes, dataset.attributes);
  } else if (spec.missing == Missing::skip && spec.classes.empty()) {
    dataset.missing_classes = drop_absent_classes(spec, dataset.classes, clips);
  }
  add_items(spec, clips, dataset);
  dataset.unused_clips = static_cast<int>(present.size() - dataset.train.size() - dataset.test.size());
  require_complete(dataset, spec);
  return dataset;
}

}  // namespace stp

#include "data/listing.h"

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <unordered_map>

#include "data/names.h"
#include "data/pa_hmdb51.h"
#include "data/tags.h"
#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"
#include "engine/text.h"

namespace stp {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kClasses = 10'000;

void require_folder(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    refuse("{}: no such folder; give the folder of the split lists", shown(folder));
}

// Collects clips and sees that none is listed twice.
class Collector {
 public:
  explicit Collector(Listing& listing) : listing_(listing) {}

  void add(const TextFile& file, const TextFile::Line& line, std::string path, int label, Part part) {
    const std::string name = brief(path);
    if (!stays_below(path))
      refuse("{}: '{}' leaves the data set's folder; write CLASS/VIDEO", file.at(line), name);
    const auto [first, fresh] = seen_.emplace(clip_name(path), listing_.clips.size());
    if (!fresh) {
      const Listed& other = listing_.clips[first->second];
      refuse("{}: '{}' is listed {}in {}; keep one of them", file.at(line), name,
             other.part == part ? "" : "for another use ", other.where);
    }
    listing_.clips.push_back({std::move(path), label, part, file.at(line)});
  }

 private:
  Listing& listing_;
  std::unordered_map<std::string, std::size_t> seen_;  // clip_name -> index
};

// CLASS -> CLASS_test_splitN.txt, in alphabetical order of the classes.
std::map<std::string, fs::path> hmdb51_lists(const fs::path& folder, int split) {
  const std::string ending = fmt::format("_test_split{}.txt", split);
  std::map<std::string, fs::path> lists;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() > ending.size() && name.ends_with(ending))
      lists.emplace(name.substr(0, name.size() - ending.size()), entry.path());
  }
  if (error) refuse("{}: cannot be read ({})", shown(folder), error.message());
  if (lists.empty()) refuse("{}: no CLASS{} there; HMDB51 has the splits 1, 2 and 3", shown(folder), ending);
  return lists;
}

void read_hmdb51(const fs::path& folder, int split, Listing& listing) {
  constexpr Part kParts[] = {Part::unused, Part::train, Part::test};
  Collector collector(listing);
  for (const auto& [name, path] : hmdb51_lists(folder, split)) {
    const int label = static_cast<int>(listing.classes.size());
    listing.classes.push_back(name);
    const TextFile file(path, "split list");
    for (const TextFile::Line& line : file.lines()) {
      const auto fields = words(line.text);
      const int use = fields.size() == 2 ? whole_number(fields[1], 2) : -1;
      if (use < 0)
        refuse("{}: '{}', wanted VIDEO and 1 (train), 2 (test) or 0 (unused)", file.at(line), brief(line.text));
      if (fields[0].find('/') != std::string_view::npos)
        refuse("{}: '{}' leaves the class's folder; write the name of the video alone", file.at(line),
               brief(fields[0]));
      collector.add(file, line, name + "/" + std::string(fields[0]), label, kParts[use]);
    }
  }
}

void read_class_index(const fs::path& path, Listing& listing) {
  const TextFile file(path, "class list");
  for (const TextFile::Line& line : file.lines()) {
    const auto fields = words(line.text);
    const int wanted = static_cast<int>(listing.classes.size()) + 1;
    if (fields.size() != 2 || whole_number(fields[0], static_cast<int>(kClasses)) != wanted)
      refuse("{}: '{}', wanted '{} CLASS'; classes are numbered from 1 without gaps", file.at(line),
             brief(line.text), wanted);
    if (std::ranges::find(listing.classes, fields[1]) != listing.classes.end())
      refuse("{}: class '{}' occurs twice; keep one of them", file.at(line), brief(fields[1]));
    if (listing.classes.size() == kClasses) refuse("{}: more than {} classes", file.at(line), kClasses);
    listing.classes.emplace_back(fields[1]);
  }
  if (listing.classes.empty()) refuse("{}: no class; wanted lines 'NUMBER CLASS'", file.name());
}

// The label of a line "CLASS/VIDEO" or "CLASS/VIDEO NUMBER" by its folder; the number, if any, must say the
// same.
int ucf101_label(const TextFile& file, const TextFile::Line& line, const std::vector<std::string_view>& fields,
                 const std::unordered_map<std::string_view, int>& labels) {
  const std::string_view folder = fields[0].substr(0, fields[0].find('/'));
  const auto label = labels.find(folder);
  if (label == labels.end())
    refuse("{}: class '{}' is not in classInd.txt; mend the line or add the class", file.at(line),
           brief(folder));
  if (fields.size() == 2 && whole_number(fields[1], static_cast<int>(kClasses)) != label->second + 1)
    refuse("{}: class '{}' has number {} in classInd.txt, not '{}'; mend the line", file.at(line),
           brief(folder), label->second + 1, brief(fields[1]));
  return label->second;
}

void read_ucf101(const fs::path& folder, int split, Listing& listing) {
  read_class_index(folder / "classInd.txt", listing);
  std::unordered_map<std::string_view, int> labels;
  for (std::size_t c = 0; c < listing.classes.size(); ++c)
    labels.emplace(listing.classes[c], static_cast<int>(c));
  Collector collector(listing);
  for (const Part part : {Part::train, Part::test}) {
    const bool train = part == Part::train;
    const fs::path path = folder / fmt::format("{}list{:02}.txt", train ? "train" : "test", split);
    std::error_code error;
    if (!fs::exists(path, error)) refuse("{}: no such list; UCF101 has the splits 1, 2 and 3", shown(path));
    const TextFile file(path, "split list");
    for (const TextFile::Line& line : file.lines()) {
      const auto fields = words(line.text);
      const bool video = fields[0].find('/') != std::string_view::npos;
      if (!video || fields.size() > 2 || (train && fields.size() != 2))
        refuse("{}: '{}', wanted 'CLASS/VIDEO{}'", file.at(line), brief(line.text), train ? " NUMBER" : "");
      const int label = ucf101_label(file, line, fields, labels);
      collector.add(file, line, std::string(fields[0]), label, part);
    }
  }
}

// Numbers by value, names by their bytes.
void sort_classes(std::vector<std::string>& classes) {
  std::ranges::sort(classes);
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  const auto number = [](const std::string& name) { return whole_number(name, INT32_MAX); };
  if (std::ranges::all_of(classes, [&](const std::string& name) { return number(name) >= 0; }))
    std::ranges::stable_sort(classes, {}, number);
}

// The classes of the clips, by name, become those of the listing.
void take_classes(const std::vector<std::string>& names, Listing& listing) {
  listing.classes = names;
  sort_classes(listing.classes);
  std::unordered_map<std::string_view, int> labels;
  for (std::size_t c = 0; c < listing.classes.size(); ++c)
    labels.emplace(listing.classes[c], static_cast<int>(c));
  for (std::size_t i = 0; i < names.size(); ++i) listing.clips[i].label = labels.at(names[i]);
}

void read_lists(const fs::path& folder, int split, Listing& listing) {
  if (split != 1) refuse("{}: split {}; train.txt and test.txt are the only split, 1", shown(folder), split);
  std::vector<std::string> names;  // (clips)
  Collector collector(listing);
  for (const Part part : {Part::train, Part::test}) {
    const TextFile file(folder / (part == Part::train ? "train.txt" : "test.txt"), "split list");
    for (const TextFile::Line& line : file.lines()) {
      const std::size_t gap = line.text.find_last_of(" \t");  // a path may hold blanks, a class not
      const auto path = words(line.text.substr(0, gap));
      if (gap == std::string_view::npos || path.empty())
        refuse("{}: '{}', wanted 'PATH CLASS'", file.at(line), brief(line.text));
      const std::string_view whole(path.front().begin(), path.back().end());
      collector.add(file, line, std::string(whole), 0, part);
      names.emplace_back(line.text.substr(gap + 1));
    }
  }
  take_classes(names, listing);
}

// The column of a split in the heading of a table.
std::size_t split_column(const TextFile& file, int split) {
  if (file.lines().empty()) refuse("{}: empty; wanted a table of clips and splits", file.name());
  const TextFile::Line& heading = file.lines().front();
  const std::vector<std::string_view> columns = stp::split(heading.text, ',');
  const std::string wanted = fmt::format("split_{}", split);
  const auto column = std::ranges::find(columns, wanted);
  if (columns.front() != "video" || column == columns.end())
    refuse("{}: no columns 'video' and '{}'; give a table of clips and splits", file.at(heading), wanted);
  return static_cast<std::size_t>(column - columns.begin());
}

void read_split_table(const fs::path& path, int split, Listing& listing) {
  constexpr Part kParts[] = {Part::unused, Part::train, Part::test};
  const TextFile file(path, "table of clips and splits");
  const std::size_t column = split_column(file, split),
                    columns = stp::split(file.lines().front().text, ',').size();
  std::vector<std::string> names;  // (clips)
  Collector collector(listing);
  for (const TextFile::Line& line : std::span(file.lines()).subspan(1)) {
    const std::vector<std::string_view> fields = stp::split(line.text, ',');
    const std::size_t slash = fields.front().find('/');
    const int use = fields.size() == columns ? whole_number(fields[column], 2) : -1;
    if (use < 0 || slash == std::string_view::npos)
      refuse("{}: '{}', wanted CLASS/VIDEO and {} fields, 1 (train), 2 (test) or 0 (unused) for a split",
             file.at(line), brief(line.text), columns - 1);
    collector.add(file, line, std::string(fields.front()), 0, kParts[use]);
    names.emplace_back(fields.front().substr(0, slash));
  }
  take_classes(names, listing);
}

// Parts of data sets whose authors publish none: of every 100 clips 60 for training, drawn from the split's
// number.
std::vector<Part> drawn_parts(std::size_t clips, int split) {
  std::vector<Part> parts;
  for (const bool training : pa_training_videos(clips, static_cast<std::uint64_t>(split)))
    parts.push_back(training ? Part::train : Part::test);
  return parts;
}

void read_celebv(const fs::path& file, int split, Listing& listing) {
  CelebvHq all = read_celebv_hq(file);
  listing.classes = std::move(all.expressions);
  listing.attributes = std::move(all.attributes.labels);
  const std::vector<Part> parts = drawn_parts(all.expression.size(), split);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    TagTable::Row& row = all.attributes.rows[i];
    listing.clips.push_back({.path = std::move(row.name),
                             .label = all.expression[i],
                             .part = parts[i],
                             .where = listing.source,
                             .attributes = std::move(row.values)});
  }
}

void refuse_repeated(const std::vector<Listed>& clips) {
  std::unordered_map<std::string_view, const Listed*> seen;
  for (const Listed& clip : clips)
    if (const auto [other, fresh] = seen.emplace(clip.path, &clip); !fresh)
      refuse("{}: clip '{}' is in {} too; keep one of the lines", clip.where, brief(clip.path),
             other->second->where);
}

// One of the two lists: a table for each category, over the same clips.
void read_hvu_part(const fs::path& file, const fs::path& categories, Part part, Listing& listing) {
  std::vector<std::pair<std::string, TagTable>> tables = read_hvu(file, categories);
  listing.attributes.clear();  // both lists have the same
  const std::size_t first = listing.clips.size();
  for (const TagTable::Row& row : tables.front().second.rows)
    listing.clips.push_back({.path = row.name, .part = part, .where = shown(file)});
  for (auto& [category, table] : tables) {
    const bool actions = category == "action";
    if (actions) listing.classes = table.labels;
    for (std::size_t l = 0; !actions && l < table.labels.size(); ++l)
      listing.attributes.push_back(category + "/" + table.labels[l]);
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      Listed& clip = listing.clips[first + i];
      Marks& marks = actions ? clip.actions : clip.attributes;
      marks.insert(marks.end(), table.rows[i].values.begin(), table.rows[i].values.end());
      table.rows[i] = {};  // there are half a million of them
    }
  }
}

void read_hvu_lists(const fs::path& folder, int split, Listing& listing) {
  if (split != 1) refuse("{}: split {}; HVU has one, 1", shown(folder), split);
  listing.many_actions = true;
  const fs::path categories = folder / "HVU_Tags_Categories_V1.0.csv";
  read_hvu_part(folder / "HVU_Train_V1.0.csv", categories, Part::train, listing);
  read_hvu_part(folder / "HVU_Val_V1.0.csv", categories, Part::test, listing);
  refuse_repeated(listing.clips);
}

void read_pa(const fs::path& folder, int split, Listing& listing) {
  std::vector<PaVideo> videos = read_pa_hmdb51(folder);
  const std::vector<Part> parts = drawn_parts(videos.size(), split);
  std::vector<std::string> names;  // (clips)
  for (std::size_t i = 0; i < videos.size(); ++i) {
    names.push_back(videos[i].name.substr(0, videos[i].name.find('/')));
    listing.clips.push_back({.path = videos[i].name, .part = parts[i], .where = listing.source});
    listing.clips.back().frames = std::make_shared<const PaVideo>(std::move(videos[i]));
  }
  take_classes(names, listing);
}

// How a layout is read, in the order of Layout; and whether its lists are a folder, or else one file.
struct Reader {
  void (*read)(const fs::path&, int, Listing&);
  bool of_folder;
};
constexpr Reader kReaders[] = {
    {read_hmdb51, true},  {read_ucf101, true},    {read_lists, true}, {read_split_table, false},
    {read_celebv, false}, {read_hvu_lists, true}, {read_pa, true}};

// The classes that `name` was probably meant to be, or else some there are.
std::string suggestion(const std::string& name, const std::vector<std::string>& classes) {
  constexpr std::size_t kShown = 12;
  std::vector<std::string> names = nearest_names(name, classes);
  const bool near = !names.empty();
  if (!near)
    names.assign(classes.begin(),
                 classes.begin() + static_cast<std::ptrdiff_t>(std::min(classes.size(), kShown)));
  std::string text = near ? "nearest are" : "there are";
  for (std::size_t i = 0; i < names.size(); ++i) text += (i > 0 ? ", " : " ") + brief(names[i]);
  return near || names.size() == classes.size() ? text
                                                : fmt::format("{}, ... ({} in all)", text, classes.size());
}

}  // namespace

Listing read_listing(Layout layout, const fs::path& folder, int split) {
  const auto [read, of_folder] = kReaders[static_cast<std::size_t>(layout)];
  if (of_folder) require_folder(folder);
  if (split < 1) refuse("{}: split {}; splits are numbered from 1", shown(folder), split);
  Listing listing;
  listing.source = shown(folder);
  read(folder, split, listing);
  if (listing.classes.size() > kClasses)
    refuse("{}: {} classes, the limit is {}", listing.source, listing.classes.size(), kClasses);
  return listing;
}

Listing select_classes(Listing listing, const std::vector<std::string>& classes) {
  for (const std::string& name : classes)
    if (std::ranges::find(listing.classes, name) == listing.classes.end())
      refuse("{}: no class '{}'; {}", listing.source, brief(name), suggestion(name, listing.classes));
  std::vector<bool> wanted;
  for (const std::string& name : listing.classes)
    wanted.push_back(std::ranges::find(classes, name) != classes.end());
  const std::vector<int> label = renumbered(wanted);
  if (listing.many_actions) {
    for (Listed& clip : listing.clips) clip.actions = kept_of(clip.actions, label);
    std::erase_if(listing.clips, [](const Listed& clip) { return std::ranges::count(clip.actions, 1) == 0; });
  } else {
    for (Listed& clip : listing.clips) clip.label = label[static_cast<std::size_t>(clip.label)];
    std::erase_if(listing.clips, [](const Listed& clip) { return clip.label < 0; });
  }
  listing.classes = kept_of(listing.classes, label);
  return listing;
}

std::vector<int> renumbered(const std::vector<bool>& keep) {
  std::vector<int> numbers;
  numbers.reserve(keep.size());
  int next = 0;
  for (const bool kept : keep) numbers.push_back(kept ? next++ : -1);
  return numbers;
}

}  // namespace stp

// A data set as its authors publish it, made ready for the loader: the official lists, the clips that are on
// disk, and their privacy labels, joined by name. What does not fit together is an error, unless it is asked
// for and counted.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/listing.h"

namespace stp {

class Labels;

// One clip: a video file, a folder of frames, a strip image, or a single picture (what open_frames takes).
struct Item {
  std::filesystem::path path;
  std::string name;                 // CLASS/VIDEO as the list writes it, without the extension
  int label = 0;                    // index into Dataset::classes; 0 where clips show several actions
  std::vector<float> attributes;    // (A) 0 or 1; empty without labels
  std::vector<float> actions = {};  // (classes) 0 or 1 where clips show several; else empty
  std::shared_ptr<const PaVideo> frames = {};  // labels of its frames, of Layout::pa_hmdb51 and VISPR
  bool still = false;                          // a picture is one frame, whatever its sides, and no strip
};

struct Dataset {
  std::vector<std::string> classes;     // in the data set's own order
  std::vector<std::string> attributes;  // (A) names; empty without labels
  std::vector<Item> train, test;        // in the order of the lists
  int missing_clips = 0;                // listed for training or test, not on disk (Missing::skip)
  int missing_classes = 0;              // whose folder is not on disk, left out (Missing::skip)
  int unused_clips = 0;                 // on disk, but in no list or listed as unused
  // A clip may show several actions. Of actions and attributes those are here that a training clip has:
  // others could not be learnt.
  bool many_actions = false;
  int absent_labels = 0;  // left out for that reason
};

// What to do about clips of the lists that are not on disk.
enum class Missing { refuse, skip };

struct DatasetSpec {
  Layout layout = Layout::hmdb51;
  std::filesystem::path videos;  // below it CLASS/VIDEO: files or folders of frames
  std::filesystem::path splits;  // the folder of the official lists
  std::filesystem::path labels;  // CSV of privacy labels; empty: those of the lists, if they have some
  int split = 1;
  std::vector<std::string> classes;  // only these; empty: all
  Missing missing = Missing::refuse;
};

// Throws Error (usage), one line with the cure: a missing folder or list, a clip that is listed and not on
// disk, two files for one clip, a class without a training clip, an empty split, a clip without labels.
Dataset read_dataset(const DatasetSpec& spec);

// For each clip of the listing its attributes (A), as far as the table has them; empty where it has not.
std::vector<std::vector<float>> attributes_of(const Listing& listing, const Labels& labels);

}  // namespace stp

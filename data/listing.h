// The official lists of a data set: which clips there are, of which class, and which are for training or test.
// Read as their authors publish them; the videos are not needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace stp {

struct PaVideo;

enum class Part : std::uint8_t { unused, train, test };

// Which of several labels a clip has: a 0 or 1 each.
using Marks = std::vector<std::uint8_t>;

struct Listed {
  std::string path;  // CLASS/VIDEO below the data set's folder, as the list writes it
  int label = 0;     // index into Listing::classes; 0 where clips show several actions
  Part part = Part::unused;
  std::string where = {};                      // "FILE:LINE"
  Marks actions = {};                          // (classes) if clips show several
  Marks attributes = {};                       // (Listing::attributes)
  std::shared_ptr<const PaVideo> frames = {};  // labels of its frames, of Layout::pa_hmdb51
};

struct Listing {
  std::string source;                   // the folder of the lists, for messages
  std::vector<std::string> classes;     // in the data set's own order
  std::vector<Listed> clips;            // class by class or line by line, as the lists have them
  std::vector<std::string> attributes;  // of annotations that hold them beside the classes; else empty
  bool many_actions = false;            // a clip may show several
};

enum class Layout : std::uint8_t {  // kReaders of listing.cpp has the same order
  hmdb51,  // CLASS_test_splitN.txt, lines "VIDEO 1|2|0" (train, test, unused); classes in alphabetical order
  ucf101,  // classInd.txt "1 CLASS", trainlist0N.txt "CLASS/VIDEO 1", testlist0N.txt "CLASS/VIDEO"
  lists,   // train.txt and test.txt, lines "PATH CLASS"; classes in alphabetical order, or by number if all are
           // numbers
  table,   // one CSV file (annotations/), columns "video" (CLASS/VIDEO) and "split_N" (1 train, 2 test, 0
           // unused), others are passed over; classes in alphabetical order
  celebv_hq,  // celebvhq_info.json (tags.h), clips CLIP: eight expressions and five attributes. Its authors
              // publish no split, nor does the paper: split N is a random 60 % for training, drawn from N
  hvu,  // HVU_Train_V1.0.csv, HVU_Val_V1.0.csv and HVU_Tags_Categories_V1.0.csv (tags.h), clips ID_START_END:
        // actions, of which a clip may show several, and the attributes "object/..." and "scene/..."
  pa_hmdb51  // CLASS.json (pa_hmdb51.h): labels frame by frame; split N is the paper's 60 % drawn from N
};

// The lists of split `split` in `folder` (of a table, and of CelebV-HQ: the file). Throws Error (usage) with
// file, line and cure: a missing list, an unknown split number, a line that cannot be read, a path that leaves
// the folder, a clip listed twice, in training and test too.
Listing read_listing(Layout layout, const std::filesystem::path& folder, int split);

// The listing reduced to `classes`, in the listing's own order; where clips show several actions, to the clips
// that show one of them. Throws Error (usage) for a class it does not have.
Listing select_classes(Listing listing, const std::vector<std::string>& classes);

// Labels are left out by their new numbers: 0, 1, ... for those to keep, -1 for the others.
std::vector<int> renumbered(const std::vector<bool>& keep);
// The values (one a label) of those that are kept, in their order.
template <class T>
std::vector<T> kept_of(const std::vector<T>& values, const std::vector<int>& numbers) {
  std::vector<T> kept;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (numbers[i] >= 0) kept.push_back(values[i]);
  return kept;
}

}  // namespace stp

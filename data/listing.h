// The official lists of a data set: which clips there are, of which class, and which are for training or test.
// Read as their authors publish them; the videos are not needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace stp {

enum class Part : std::uint8_t { unused, train, test };

struct Listed {
  std::string path;  // CLASS/VIDEO below the data set's folder, as the list writes it
  int label = 0;     // index into Listing::classes
  Part part = Part::unused;
  std::string where;  // "FILE:LINE"
};

struct Listing {
  std::string source;                // the folder of the lists, for messages
  std::vector<std::string> classes;  // in the data set's own order
  std::vector<Listed> clips;         // class by class or line by line, as the lists have them
};

enum class Layout : std::uint8_t {
  hmdb51,  // CLASS_test_splitN.txt, lines "VIDEO 1|2|0" (train, test, unused); classes in alphabetical order
  ucf101,  // classInd.txt "1 CLASS", trainlist0N.txt "CLASS/VIDEO 1", testlist0N.txt "CLASS/VIDEO"
  lists,   // train.txt and test.txt, lines "PATH CLASS"; classes in alphabetical order, or by number if all are
           // numbers
  table    // one CSV file (annotations/), columns "video" (CLASS/VIDEO) and "split_N" (1 train, 2 test, 0 unused),
           // others are passed over; classes in alphabetical order
};

// The lists of split `split` in `folder` (of a table: the file). Throws Error (usage) with file, line and cure: a missing list, an
// unknown split number, a line that cannot be read, a path that leaves the folder, a clip listed twice, in
// training and test too.
Listing read_listing(Layout layout, const std::filesystem::path& folder, int split);

// The listing reduced to `classes`, in the listing's own order. Throws Error (usage) for a class it does not
// have.
Listing select_classes(Listing listing, const std::vector<std::string>& classes);

}  // namespace stp

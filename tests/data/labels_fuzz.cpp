// Label tables and split lists with random damage: each is read or refused with one line, and nothing else
// happens.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "data/labels.h"
#include "data/listing.h"
#include "engine/rng.h"
#include "tests/data/files.h"

namespace stp {
namespace {

// `text` with one to eight bytes changed, taken out, doubled or put in, some of them bytes that mean something.
std::string damaged(std::string text, Random& random) {
  constexpr std::string_view kTelling("\0\n\r,/.\\ \t01\xFF\x80\"", 14);
  for (std::uint64_t i = 0, n = 1 + random.below(8); i < n && !text.empty(); ++i) {
    const std::size_t at = random.below(text.size());
    const char byte =
        random.chance(0.5) ? kTelling[random.below(kTelling.size())] : static_cast<char>(random.bits());
    switch (random.below(4)) {
      case 0:
        text[at] = byte;
        break;
      case 1:
        text.erase(at, 1 + random.below(6));
        break;
      case 2:
        text.insert(at, text.substr(at, 1 + random.below(40)));
        break;
      default:
        text.insert(at, 1, byte);
    }
  }
  return text;
}

// How many of `rounds` damaged texts `read` accepted; it must throw Errors of one line only.
template <class Read>
int accepted(const std::string& text, int rounds, std::uint64_t stream, const Read& read) {
  Random random(1, stream);
  int count = 0;
  for (int i = 0; i < rounds; ++i) {
    try {
      read(damaged(text, random));
      ++count;
    } catch (const Error& error) {
      const std::string message = error.what();
      CHECK(error.fault() == Fault::usage);
      CHECK(message.find_first_of("\n\r") == std::string::npos);
      CHECK(message.size() > 10);
    }
  }
  return count;
}

TEST_CASE("labels: damaged tables are read or refused") {
  const test::TemporaryFolder folder;
  const std::string text = "video,face,gender\nwave/a_#1.mp4,1,0\nwave/b.mp4,0,1\ngolf/c!.mp4,1,1\n";
  const int count = accepted(text, 1500, 1, [&](const std::string& bad) {
    const Labels labels(folder.write("labels.csv", bad));
    for (std::size_t i = 0; i < labels.size(); ++i)
      for (const std::uint8_t value : labels.values(i)) CHECK(value <= 1);
  });
  CHECK((count > 0 && count < 1350));  // the damage is neither always fatal nor never noticed
}

TEST_CASE("dataset: damaged lists are read or refused") {
  const test::TemporaryFolder folder;
  const auto check_listing = [&](Layout layout) {
    const Listing listing = read_listing(layout, folder.path(), 1);
    for (const Listed& clip : listing.clips) {
      CHECK((clip.label >= 0 && clip.label < static_cast<int>(listing.classes.size())));
      CHECK(clip.path.find("..") != 0);
    }
  };
  int count = accepted("a_#1.avi 1 \nb.avi 2 \nc.avi 0 \n", 1000, 2, [&](const std::string& bad) {
    folder.write("wave_test_split1.txt", bad);
    check_listing(Layout::hmdb51);
  });
  CHECK((count > 0 && count < 900));
  folder.write("testlist01.txt", "wave/t.avi\r\n");
  folder.write("classInd.txt", "1 wave\r\n2 golf\r\n");
  count = accepted("wave/a.avi 1\r\ngolf/b.avi 2\r\n", 1000, 3, [&](const std::string& bad) {
    folder.write("trainlist01.txt", bad);
    check_listing(Layout::ucf101);
  });
  CHECK((count > 0 && count < 900));
  folder.write("trainlist01.txt", "wave/a.avi 1\r\n");
  count = accepted("1 wave\r\n2 golf\r\n", 1000, 4, [&](const std::string& bad) {
    folder.write("classInd.txt", bad);
    check_listing(Layout::ucf101);
  });
  CHECK((count > 0 && count < 900));
  folder.write("test.txt", "golf/t.avi golf\n");
  count = accepted("wave/a b.avi wave\ngolf/b.avi golf\n", 1000, 5, [&](const std::string& bad) {
    folder.write("train.txt", bad);
    check_listing(Layout::lists);
  });
  CHECK((count > 0 && count < 900));
}

}  // namespace
}  // namespace stp

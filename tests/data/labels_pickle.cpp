// Published label pickles: what is read, that nothing is run, and that every damage is refused.
#include "data/pickle.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/labels.h"
#include "engine/rng.h"
#include "tests/data/files.h"

namespace stp {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  Bytes bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

// pickle.dumps({"wave/a_#1.mp4": numpy.array([[1, 0, 1, 0, 0]]), "golf/b.mp4": numpy.array([[0, 1, 1, 1, 0]])},
// protocol=4), with the module's name of numpy 1, as the published files have it.
Bytes two_clips() {
  constexpr std::string_view kHex =
      "8004951b010000000000007d94288c0d776176652f615f23312e6d7034948c156e756d70792e636f72652e6d756c746961727261"
      "79948c0c5f7265636f6e7374727563749493948c056e756d7079948c076e6461727261799493944b008594430162948794529428"
      "4b014b014b05869468058c0564747970659493948c02693894898887945294284b038c013c944e4e4e4affffffff4affffffff4b"
      "0074946289432801000000000000000000000000000000010000000000000000000000000000000000000000000000947494628c"
      "0a676f6c662f622e6d703494680468074b008594680987945294284b014b014b0586946811894328000000000000000001000000"
      "0000000001000000000000000100000000000000000000000000000094749462752e";
  Bytes bytes;
  for (std::size_t i = 0; i < kHex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(kHex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

std::string refusal(const Bytes& bytes) {
  try {
    read_pickled_labels(bytes, "x.pickle");
  } catch (const Error& error) {
    CHECK(error.fault() == Fault::usage);
    const std::string message = error.what();
    CHECK(message.starts_with("x.pickle: byte "));
    CHECK(message.find("; fetch the published file again") != std::string::npos);
    CHECK(message.find_first_of("\n\r") == std::string::npos);
    return message;
  }
  return "";
}

TEST_CASE("labels: a pickle as it is published") {
  const PickledLabels labels = read_pickled_labels(two_clips(), "x.pickle");
  REQUIRE(labels.clips.size() == 2);
  CHECK(labels.clips[0].name == "wave/a_#1.mp4");
  CHECK(labels.clips[0].values == std::vector<std::int64_t>{1, 0, 1, 0, 0});
  CHECK(labels.clips[1].name == "golf/b.mp4");
  CHECK(labels.clips[1].values == std::vector<std::int64_t>{0, 1, 1, 1, 0});
}

TEST_CASE("labels: a pickle cut anywhere, or with something behind it, is refused") {
  const Bytes whole = two_clips();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}) != "");
  }
  Bytes longer = whole;
  longer.push_back(std::byte{'.'});
  CHECK(refusal(longer).find("the pickle has ended, the file goes on") != std::string::npos);
}

TEST_CASE("labels: a pickle that wants more than labels is refused, and nothing runs") {
  using namespace std::string_literals;
  struct Case {
    std::string text, words;
  };
  const Case cases[] = {
      // os.system("..."), in protocols 0, 2 and 4
      {"cposix\nsystem\n(S'true'\ntR.", "not a pickle of protocol 4"},
      {"\x80\x02"s + "cposix\nsystem\n", "not a pickle of protocol 4"},
      {"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "names 'posix.system'"},
      {"\x80\x04\x8c\x08"s + "builtins\x8c\x04" + "eval\x93", "names 'builtins.eval'"},
      {"\x80\x04" + "cposix\nsystem\n"s, "opcode 0x63"},
      {"\x80\x04}}.", "a second dictionary"},
      {"\x80\x04N.", "without a dictionary"},
      {"\x80\x04}(K\x01K\x02u.", "not a clip with its labels"},
      {"\x80\x04}\x8c\x01" + "aK\x02s."s, "not a clip with its labels"},
      {"\x80\x04h\x05.", "nothing was remembered as number 5"},
      {"\x80\x04)", "opcode 0x29"},
      {"\x80\x04K\x01\x85\x85\x85\x85", "tuples in tuples in tuples"},
      {"\x80\x04t", "a mark is missing"},
      {"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff", "the file ends too soon"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.words);
    CHECK(refusal(bytes_of(c.text)).find(c.words) != std::string::npos);
  }
  // What is waiting on the stack is bounded.
  CHECK(refusal(bytes_of("\x80\x04" + std::string(100'000, 'N'))).find("are waiting") != std::string::npos);
}

TEST_CASE("labels: a pickle with random damage is read or refused") {
  const Bytes whole = two_clips();
  Random random(1, stream_id("pickles"));
  int read = 0;
  for (int i = 0; i < 5000; ++i) {
    Bytes bad = whole;
    for (std::uint64_t n = 1 + random.below(4); n > 0; --n)
      bad[random.below(bad.size())] = static_cast<std::byte>(random.below(256));
    read += refusal(bad).empty() ? 1 : 0;
  }
  CHECK((read > 0 && read < 2500));  // names and label values may change unnoticed; little else
}

TEST_CASE("labels: values, names and doubles in a pickle are held to what a table may hold") {
  const test::TemporaryFolder folder;
  const auto error = [&](const Bytes& bytes) {
    std::string text;
    for (const std::byte b : bytes) text += static_cast<char>(b);
    const auto path = folder.write("labels.pickle", text);
    return folder.error_of([&] { const Labels labels(path); });
  };
  const auto changed = [](std::string_view from, std::string_view to) {
    Bytes bytes = two_clips();
    const Bytes a = bytes_of(from), b = bytes_of(to);
    const auto found = std::search(bytes.begin(), bytes.end(), a.begin(), a.end());
    REQUIRE(found != bytes.end());
    std::copy(b.begin(), b.end(), found);
    return bytes;
  };
  CHECK(error(two_clips()) == "");
  CHECK(error(changed(std::string("C\x28\x01", 3), std::string("C\x28\x02", 3))).find("is 2, wanted 0 or 1") !=
        std::string::npos);
  CHECK(error(changed("golf/b.mp4", "../../.mp4")).find("is no clip") != std::string::npos);
  CHECK(error(changed("golf/b.mp4",
                      "golf\xff"
                      "b.mp4"))
            .find("is no clip") != std::string::npos);
  std::filesystem::resize_file(folder.write("large.pickle", "x"), std::uintmax_t{4} << 30);
  CHECK(folder.error_of([&] { const Labels labels(folder / "large.pickle"); }).find("the limit") !=
        std::string::npos);
}

}  // namespace
}  // namespace stp

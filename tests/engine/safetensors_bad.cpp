// Files that must be refused, each with the message it must get. Every entry is one file: a header (its length
// is put before it unless the entry says otherwise) and a number of data bytes.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>

#include "engine/safetensors.h"
#include "tests/temporary.h"

namespace stp {
namespace {

struct BadFile {
  const char* name;
  std::string header;
  std::size_t data;
  const char* message;  // part of it
};

std::string with_length(const std::string& header, std::uint64_t length) {
  std::string prefix(8, '\0');
  std::memcpy(prefix.data(), &length, 8);
  return prefix + header;
}

std::string file_of(const std::string& header, std::size_t data) {
  return with_length(header, header.size()) + std::string(data, '\0');
}

// {"a": {...}} with the given dtype, shape and offsets.
std::string one(const std::string& shape, const std::string& offsets, const std::string& type = "F32") {
  return R"({"a":{"dtype":")" + type + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}}";
}

// Two tensors of float with two elements at the given offsets.
std::string two(const std::string& a, const std::string& b) {
  return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[)" + a +
         R"(]},"b":{"dtype":"F32","shape":[2],"data_offsets":[)" + b + "]}}";
}

std::string many_tensors(int count) {
  std::string header = "{";
  for (int i = 0; i < count; ++i)
    header += (i ? ",\"t" : "\"t") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  return header + "}";
}

std::string many_metadata(int count) {
  std::string header = R"({"__metadata__":{)";
  for (int i = 0; i < count; ++i) header += (i ? ",\"" : "\"") + std::to_string(i) + R"(":"")";
  return header + "}}";
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

const char* const kNotJson = "header: no valid JSON at byte";
const char* const kMisplaced = "where the format has none";

std::vector<BadFile> bad_files() {
  return {
      // The text of the header.
      {"empty header", "", 0, "header: it does not start with '{'"},
      {"space first", " {}", 0, "header: it does not start with '{'"},
      {"byte order mark", "\xEF\xBB\xBF{}", 0, "header: it does not start with '{'"},
      {"list", "[]", 0, "header: it does not start with '{'"},
      {"cut", R"({"a":)", 0, kNotJson},
      {"unclosed", "{", 0, kNotJson},
      {"trailing text", "{} x", 0, kNotJson},
      {"two objects", "{}{}", 0, kNotJson},
      {"trailing comma", R"({"__metadata__":{},})", 0, kNotJson},
      {"comment", "{/* */}", 0, kNotJson},
      {"single quotes", "{'a':1}", 0, kNotJson},
      {"zero byte after the object", std::string("{}\0garbage", 10), 0, "header: it holds a zero byte"},
      {"zero byte inside", std::string("{\0}", 3), 0, "header: it holds a zero byte"},
      {"invalid UTF-8 in a name", "{\"\xFF\":1}", 0, "header: it is not UTF-8"},
      {"overlong UTF-8", "{\"\xC0\xAF\":1}", 0, "header: it is not UTF-8"},
      {"surrogate in UTF-8", "{\"\xED\xA0\x80\":1}", 0, "header: it is not UTF-8"},
      {"lone escaped surrogate", R"({"\ud800":1})", 0, kNotJson},
      {"control character in a name", "{\"a\nb\":1}", 0, kNotJson},
      {"nesting", repeated("[", 100000), 0, "header: it does not start with '{'"},
      {"nesting in a tensor", "{\"a\":" + repeated("[", 100000), 0, kMisplaced},
      {"nesting of objects", repeated("{\"a\":", 100000), 0, "tensor 'a': unknown entry 'a'"},
      // Names and entries.
      {"tensor is a number", R"({"a":1})", 0, kMisplaced},
      {"tensor is null", R"({"a":null})", 0, kMisplaced},
      {"tensor is a list", R"({"a":["F32",[],[0,4]]})", 4, kMisplaced},
      {"tensor is a text", R"({"a":"F32"})", 0, kMisplaced},
      {"empty name", R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1, "a tensor name has 0 bytes"},
      {"long name", "{\"" + std::string(257, 'n') + "\":{}}", 0,
       "a tensor name has 257 bytes, wanted 1 to 256"},
      {"name twice", R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{}})", 1, "'a' is there twice"},
      {"name twice, once escaped", R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\u0061":{}})", 1,
       "'a' is there twice"},
      {"metadata twice", R"({"__metadata__":{},"__metadata__":{}})", 0, "'__metadata__' is there twice"},
      {"4097 tensors", many_tensors(4097), 0, "more than 4096 tensors"},
      {"no dtype", R"({"a":{"shape":[],"data_offsets":[0,4]}})", 4, "tensor 'a': dtype is missing"},
      {"no shape", R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "tensor 'a': shape is missing"},
      {"no offsets", R"({"a":{"dtype":"F32","shape":[]}})", 4, "tensor 'a': data_offsets is missing"},
      {"nothing", R"({"a":{}})", 0, "tensor 'a': dtype is missing"},
      {"dtype twice", R"({"a":{"dtype":"F32","dtype":"F32"}})", 0, "tensor 'a': dtype is there twice"},
      {"shape twice", R"({"a":{"shape":[1],"shape":[1]}})", 0, "tensor 'a': shape is there twice"},
      {"unknown entry", R"({"a":{"dtype":"F32","stride":[1]}})", 0, "tensor 'a': unknown entry 'stride'"},
      {"hostile entry", R"({"a":{"\u001b[2J":1}})", 0, "unknown entry '\\x1b[2J'"},
      // Element types.
      {"unknown dtype", one("", "0,4", "F31"), 4, "unknown dtype 'F31'"},
      {"lower-case dtype", one("", "0,4", "f32"), 4, "unknown dtype 'f32'"},
      {"empty dtype", one("", "0,4", ""), 4, "unknown dtype ''"},
      {"packed dtype", one("2", "0,1", "F4"), 1, "unknown dtype 'F4'"},
      {"dtype is a number", R"({"a":{"dtype":4}})", 0, kMisplaced},
      {"dtype is null", R"({"a":{"dtype":null}})", 0, kMisplaced},
      // Shapes.
      {"negative dimension", one("-1", "0,4"), 4, "a negative number where"},
      {"minus zero", one("-0", "0,0"), 0, kMisplaced},
      {"fraction", one("1.0", "0,4"), 4, "a number that is no plain integer"},
      {"exponent", one("1e0", "0,4"), 4, "a number that is no plain integer"},
      {"leading zero", one("01", "0,4"), 4, kNotJson},
      {"plus sign", one("+1", "0,4"), 4, kNotJson},
      {"hexadecimal", one("0x1", "0,4"), 4, kNotJson},
      {"dimension is a text", one("\"1\"", "0,4"), 4, kMisplaced},
      {"dimension is true", one("true", "0,1", "U8"), 1, kMisplaced},
      {"dimension is null", one("null", "0,4"), 4, kMisplaced},
      {"dimension is a list", one("[1]", "0,4"), 4, kMisplaced},
      {"9 dimensions", one("1,1,1,1,1,1,1,1,1", "0,4"), 4, "more than 8 dimensions"},
      {"shape is a number", R"({"a":{"shape":1}})", 0, kMisplaced},
      {"dimension 2^63", one("9223372036854775808", "0,4"), 4, "dimension 9223372036854775808 is out of range"},
      {"dimension 2^64", one("18446744073709551616", "0,4"), 4, "a number that is no plain integer in 64 bits"},
      {"dimension 1e400", one(std::string(400, '9'), "0,4"), 4, "header: "},
      {"product wraps to 4", one("4194305,4194305,211106198978564", "0,16"), 16, "overflows"},
      {"product wraps to 0", one("4294967296,4294967296", "0,0", "U8"), 0, "overflows"},
      {"bytes wrap", one("4611686018427387905", "0,4"), 4, "overflows"},
      {"shape too large", one("3", "0,8"), 8, "F32 of shape (3) needs 12 bytes, data_offsets give 8"},
      {"shape too small", one("1", "0,8"), 8, "F32 of shape (1) needs 4 bytes, data_offsets give 8"},
      {"empty shape, two elements", one("", "0,8"), 8, "F32 of shape () needs 4 bytes"},
      {"zero-size shape with bytes", one("0,5", "0,4"), 4, "F32 of shape (0, 5) needs 0 bytes"},
      // Offsets.
      {"one offset", one("", "4"), 4, "data_offsets wants two numbers, has 1"},
      {"no offset", one("", ""), 4, "data_offsets wants two numbers, has 0"},
      {"three offsets", one("", "0,4,4"), 4, "data_offsets wants two numbers, has more"},
      {"offsets backwards", one("", "4,0"), 4, "its bytes 4 to 0 run backwards"},
      {"offset negative", one("", "-4,0"), 4, "a negative number where"},
      {"offset 1e0", one("", "0,4e0"), 4, "a number that is no plain integer"},
      {"offset 2^63", one("", "9223372036854775804,9223372036854775808"), 4,
       "its bytes end at 9223372036854775808"},
      {"offset 2^64 - 1", one("", "0,18446744073709551615"), 4, "its bytes end at 18446744073709551615"},
      {"past the end", one("2", "0,8"), 4, "its bytes end at 8, the data at 4"},
      {"data left over", one("", "0,4"), 5, "the tensors end at byte 4, the data at 5"},
      {"data without tensors", "{}", 1, "the tensors end at byte 0, the data at 1"},
      {"does not begin at 0", one("", "4,8"), 8, "tensor 'a' begins at byte 4, wanted 0: it leaves a hole"},
      {"hole", two("0,8", "12,20"), 20, "tensor 'b' begins at byte 12, wanted 8: it leaves a hole"},
      {"overlap", two("0,8", "4,12"), 12, "tensor 'b' begins at byte 4, wanted 8: it overlaps"},
      {"same bytes", two("0,8", "0,8"), 8, "begins at byte 0, wanted 8: it overlaps"},
      // Metadata.
      {"metadata is null", R"({"__metadata__":null})", 0, "header: '__metadata__': null"},
      {"metadata is a list", R"({"__metadata__":[]})", 0, kMisplaced},
      {"metadata holds a number", R"({"__metadata__":{"a":1}})", 0, "header: 'a': a number"},
      {"metadata holds an object", R"({"__metadata__":{"a":{}}})", 0, kMisplaced},
      {"metadata holds null", R"({"__metadata__":{"a":null}})", 0, kMisplaced},
      {"metadata key twice", R"({"__metadata__":{"a":"","\u0061":""}})", 0, "metadata 'a' is there twice"},
      {"metadata key too long", R"({"__metadata__":{")" + std::string(513, 'k') + R"(":""}})", 0,
       "a metadata key has 513 bytes, at most 512 allowed"},
      {"16385 entries of metadata", many_metadata(16385), 0, "more than 16384 entries of metadata"},
      {"metadata like a tensor", R"({"__metadata__":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4,
       kMisplaced},
  };
}

std::string open_message(const std::string& bytes) {
  const TemporaryFolder folder;
  put(folder / "w.safetensors", bytes);
  std::string message = error_of([&] { const SafetensorsFile file(folder / "w.safetensors"); });
  if (!message.empty()) CHECK(message.starts_with((folder / "w.safetensors").string() + ": "));
  return message;
}

TEST_CASE("safetensors: every bad file is refused with its reason") {
  const std::vector<BadFile> files = bad_files();
  CHECK(files.size() >= 60);
  for (const BadFile& bad : files) {
    const std::string message = open_message(file_of(bad.header, bad.data));
    CAPTURE(bad.name);
    CAPTURE(message);
    CHECK(contains(message, bad.message));
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.size() < 600);
  }
}

TEST_CASE("safetensors: the length of the header is not believed") {
  for (std::size_t bytes = 0; bytes < 8; ++bytes)
    CHECK(contains(open_message(std::string(bytes, '\0')), "bytes are too few for a safetensors file"));
  for (const std::uint64_t length : {3ull, 1ull << 32, 1ull << 63, ~0ull, ~0ull - 7})
    CHECK(contains(open_message(with_length("{}", length)), "it is cut, or no safetensors file"));
  CHECK(open_message(with_length("{}", 2)).empty());
  const std::string spaces = "{}" + std::string(kMaxHeaderBytes, ' ');
  CHECK(
      contains(open_message(file_of(spaces, 0)), "its header claims 16777218 bytes, at most 16777216 allowed"));
  CHECK(open_message(file_of(spaces.substr(0, kMaxHeaderBytes), 0)).empty());
  CHECK(contains(open_message("\x80\x02}q\x01(X pickled weights of another program"), "no safetensors file"));
}

TEST_CASE("safetensors: what cannot be opened is named, and nothing waits for it") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const auto message = [](const std::filesystem::path& path) {
    return error_of([&] { const SafetensorsFile file(path); });
  };
  CHECK(contains(message(folder / "absent"), "absent: No such file or directory (check the path)"));
  CHECK(contains(message(folder.path()), "it is no regular file"));
  CHECK(contains(message(folder / "pipe"), "it is no regular file"));
  CHECK(contains(message("/dev/zero"), "it is no regular file"));
}

// A small file can claim anything; looking at it costs neither memory nor time.
TEST_CASE("safetensors: claims cost nothing") {
  const TemporaryFolder folder;
  const std::vector<std::string> claims{with_length("{}", 1ull << 63),
                                        file_of(one("9223372036854775807", "0,4", "U8"), 4),
                                        file_of(one("4611686018427387904", "0,9223372036854775807"), 4),
                                        file_of(one("1099511627776", "0,4398046511104"), 4),
                                        file_of(one("", "9223372036854775803,9223372036854775807"), 4)};
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kRounds = 100;
  for (const std::string& claim : claims) {
    CHECK(claim.size() <= 200);
    put(folder / "w", claim);
    for (int i = 0; i < kRounds; ++i)
      CHECK(!error_of([&] { const SafetensorsFile file(folder / "w"); }).empty());
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  getrusage(RUSAGE_SELF, &after);
  // Far above what it takes (some microseconds a file), far below what an allocation of a claim would show.
  CHECK(seconds.count() / (kRounds * static_cast<double>(claims.size())) < 0.05);
  CHECK(after.ru_maxrss - before.ru_maxrss < 10 * 1024);
}

}  // namespace
}  // namespace stp

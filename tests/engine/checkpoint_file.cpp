#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>

#include "engine/checkpoint.h"
#include "engine/digest.h"
#include "tests/temporary.h"

namespace stp {
namespace {

constexpr std::int64_t kRows = 3, kColumns = 5;

std::vector<float> some_values() {
  std::vector<float> values(kRows * kColumns);
  std::iota(values.begin(), values.end(), -7.25f);
  return values;
}

// Weights, a moment, counters up to the limits of 64 bits, and texts with everything.
CheckpointContent some_content(const std::vector<float>& values) {
  return {.tensors = {{"blocks.0.weight", {kRows, kColumns}, values}, {"moment.blocks.0.weight", {15}, values}},
          .counters = {{"step", 1234},
                       {"lowest", std::numeric_limits<std::int64_t>::min()},
                       {"highest", std::numeric_limits<std::int64_t>::max()}},
          .texts = {{"phase", "adversarial"}, {"config", "[a]\nb = \"\x1b Größe\"\n"}, {"empty", ""}}};
}

TEST_CASE("checkpoint: everything comes back to the bit") {
  const TemporaryFolder folder;
  std::vector<float> values = some_values();
  values[3] = -0.0f;
  values[4] = std::numeric_limits<float>::denorm_min();
  values[5] = std::numeric_limits<float>::max();
  save_checkpoint(folder / "c", some_content(values));

  const Checkpoint checkpoint(folder / "c");
  std::vector<float> read(values.size());
  checkpoint.read("moment.blocks.0.weight", std::vector<std::int64_t>{15}, read);
  CHECK(std::memcmp(read.data(), values.data(), values.size() * sizeof(float)) == 0);
  CHECK(checkpoint.counter("step") == 1234);
  CHECK(checkpoint.counter("lowest") == std::numeric_limits<std::int64_t>::min());
  CHECK(checkpoint.counter("highest") == std::numeric_limits<std::int64_t>::max());
  CHECK(checkpoint.text("config") == "[a]\nb = \"\x1b Größe\"\n");
  CHECK(checkpoint.text("empty").empty());
  CHECK(checkpoint.has_tensor("blocks.0.weight"));
  CHECK(checkpoint.has_counter("step"));
  CHECK(checkpoint.has_text("phase"));
  CHECK(!checkpoint.has_tensor("step"));
  CHECK(!checkpoint.has_counter("phase"));
  CHECK(!checkpoint.has_text("step"));
}

TEST_CASE("checkpoint: the same state gives the same bytes") {
  const TemporaryFolder folder;
  const std::vector<float> values = some_values();
  save_checkpoint(folder / "a", some_content(values));
  save_checkpoint(folder / "b", some_content(values));
  CHECK(content(folder / "a") == content(folder / "b"));
}

TEST_CASE("checkpoint: another geometry and missing names are told apart") {
  const TemporaryFolder folder;
  const std::vector<float> values = some_values();
  save_checkpoint(folder / "c", some_content(values));
  const Checkpoint checkpoint(folder / "c");
  std::vector<float> read(15);
  const auto message = [&](const char* name, std::vector<std::int64_t> shape) {
    return error_of([&] { checkpoint.read(name, shape, read); });
  };
  CHECK(contains(message("blocks.0.weight", {5, 3}), "tensor 'blocks.0.weight' is (3, 5), wanted (5, 3)"));
  CHECK(
      contains(message("blocks.0.weight", {15}), "is (3, 5), wanted (15): the checkpoint belongs to another"));
  CHECK(contains(message("blocks.0.bias", {3}), "it has no tensor 'blocks.0.bias'"));
  CHECK(contains(error_of([&] { (void)checkpoint.counter("epoch"); }), "has no counter.epoch"));
  CHECK(contains(error_of([&] { (void)checkpoint.text("step"); }), "has no text.step"));
  read.resize(14);
  CHECK(contains(message("blocks.0.weight", {3, 5}), "has 15 elements, wanted 14"));
}

TEST_CASE("checkpoint: damage that comes after it was opened is found when it is read") {
  const TemporaryFolder folder;
  const std::vector<float> values = some_values();
  save_checkpoint(folder / "c", some_content(values));
  const Checkpoint checkpoint(folder / "c");
  {
    std::fstream file(folder / "c", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('x');
  }
  std::vector<float> read(15);
  checkpoint.read("blocks.0.weight", std::vector<std::int64_t>{3, 5}, read);
  CHECK(contains(
      error_of([&] { checkpoint.read("moment.blocks.0.weight", std::vector<std::int64_t>{15}, read); }),
      "is damaged: tensor 'moment.blocks.0.weight' does not agree with its digest"));
}

TEST_CASE("checkpoint: values that are not finite are never saved") {
  const TemporaryFolder folder;
  std::vector<float> values = some_values();
  save_checkpoint(folder / "c", some_content(values));
  const std::string before = content(folder / "c");
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    values[11] = bad;
    CHECK(contains(error_of([&] { save_checkpoint(folder / "c", some_content(values)); }),
                   "at element 11: not saved"));
    CHECK(contains(error_of([&] { save_checkpoint(folder / "c", some_content(values)); }),
                   "'blocks.0.weight' holds "));
  }
  CHECK(content(folder / "c") == before);
}

TEST_CASE("checkpoint: a shape that does not fit its values is refused") {
  const TemporaryFolder folder;
  const std::vector<float> values = some_values();
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{14}, {3, 6}, {-3, -5}, {1ll << 62, 8}})
    CHECK(contains(error_of([&] {
                     save_checkpoint(folder / "c", {.tensors = {{"a", shape, values}}});
                   }),
                   "tensor 'a' has 15 values, its shape is"));
}

TEST_CASE("checkpoint: files of other programs are told apart from damage") {
  const TemporaryFolder folder;
  SafetensorsWriter(folder / "plain", {}).commit();
  CHECK(contains(error_of([&] { const Checkpoint c(folder / "plain"); }), "is no checkpoint of this program"));
  const std::vector<std::pair<std::string, std::string>> other{{"manifest", std::string(16, '0')},
                                                               {"format", "pt"}};
  SafetensorsWriter(folder / "other", {}, other).commit();
  CHECK(contains(error_of([&] { const Checkpoint c(folder / "other"); }), "its header does not agree"));

  // A whole file of a later format: its digest is right, its format is not ours.
  save_checkpoint(folder / "later", {});
  std::string bytes = content(folder / "later");
  bytes.replace(bytes.find("checkpoint 1"), 12, "checkpoint 2");
  const std::string prefix = R"({"__metadata__":{"manifest":")";
  bytes.replace(8 + prefix.size(), 16, std::string(16, '0'));
  const std::string header = bytes.substr(8);
  bytes.replace(8 + prefix.size(), 16, hexadecimal(digest(std::as_bytes(std::span(header)))));
  put(folder / "later", bytes);
  CHECK(contains(error_of([&] { const Checkpoint c(folder / "later"); }),
                 "was written as 'stprivacy checkpoint 2', this program reads 'stprivacy checkpoint 1'"));
}

TEST_CASE("checkpoint: every flipped bit and every cut is found, and the tensor named") {
  const TemporaryFolder folder;
  const std::vector<float> values = some_values();
  save_checkpoint(folder / "c", some_content(values));
  const std::string whole = content(folder / "c");
  const std::uint64_t data = whole.size() - 2 * values.size() * sizeof(float);
  const auto message = [&](const std::string& bytes) {
    put(folder / "d", bytes);
    std::string opened = error_of([&] { const Checkpoint c(folder / "d"); });
    const std::string read = error_of([&] {
      const Checkpoint c(folder / "d", Verified::on_reading);
      std::vector<float> found(15);
      c.read("blocks.0.weight", std::vector<std::int64_t>{kRows, kColumns}, found);
      c.read("moment.blocks.0.weight", std::vector<std::int64_t>{15}, found);
    });
    CHECK(opened == read);
    return opened;
  };
  CHECK(message(whole).empty());
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const std::string found = message(bytes);
    if (found.empty()) FAIL("bit " << bit << " of " << 8 * whole.size());
    if (bit / 8 < data) continue;
    const bool first = bit / 8 < data + values.size() * sizeof(float);
    const char* named =
        first ? "tensor 'blocks.0.weight' does not" : "tensor 'moment.blocks.0.weight' does not";
    if (!contains(found, named)) FAIL(found);
  }
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
    if (message(whole.substr(0, bytes)).empty()) FAIL(bytes);
  CHECK(!message(whole + '\0').empty());
}

}  // namespace
}  // namespace stp

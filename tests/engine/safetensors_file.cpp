#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "engine/rng.h"
#include "engine/safetensors.h"
#include "tests/engine/faults.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::vector<StoredTensor> some_tensors() {
  return {{.name = "blocks.0.attn.qkv.weight", .type = StoredType::f32, .shape = {2, 3}},
          {.name = "Größe \"quoted\"", .type = StoredType::u8, .shape = {5}},
          {.name = "scalar", .type = StoredType::i64, .shape = {}},
          {.name = "none", .type = StoredType::f64, .shape = {4, 0, 2}}};
}

std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 37 % 256);
  return bytes;
}

void write_some(const std::filesystem::path& path, std::size_t piece = 1000) {
  const Pairs metadata{{"format", "pt"}, {"z first", "line\nend \x1b \U0001F600"}};
  SafetensorsWriter file(path, some_tensors(), metadata);
  const std::string bytes = some_bytes(37);
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    file.append(std::as_bytes(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at))));
  file.commit();
}

TEST_CASE("safetensors: what is written is read, in its order") {
  const TemporaryFolder folder;
  write_some(folder / "w");
  const SafetensorsFile file(folder / "w");
  REQUIRE(file.tensors().size() == 4);
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const StoredTensor& tensor = file.tensors()[i];
    CHECK(tensor.name == some_tensors()[i].name);
    CHECK(tensor.type == some_tensors()[i].type);
    CHECK(tensor.shape == some_tensors()[i].shape);
    CHECK(tensor.begin == next);
    next = tensor.end;
    std::string bytes(tensor.end - tensor.begin, '?');
    file.read(tensor, std::as_writable_bytes(std::span(bytes)));
    CHECK(bytes == some_bytes(37).substr(tensor.begin, bytes.size()));
  }
  CHECK(next == 37);
  CHECK(file.metadata().size() == 2);
  CHECK(file.metadata().find("z first")->second == "line\nend \x1b \U0001F600");
  CHECK((8 + file.header_text().size()) % 8 == 0);
}

TEST_CASE("safetensors: the same input gives the same file, in pieces of any size") {
  const TemporaryFolder folder;
  write_some(folder / "whole");
  for (const std::size_t piece : {1, 7, 36, 37}) {
    write_some(folder / "pieces", piece);
    CHECK(content(folder / "pieces") == content(folder / "whole"));
  }
}

TEST_CASE("safetensors: an empty file, and the largest of everything") {
  const TemporaryFolder folder;
  SafetensorsWriter(folder / "empty", {}).commit();
  CHECK(content(folder / "empty") == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
  CHECK(SafetensorsFile(folder / "empty").tensors().empty());

  std::vector<StoredTensor> tensors;
  for (std::size_t i = 0; i < kMaxTensors; ++i) {
    std::string name = std::to_string(i);
    name.resize(kMaxNameBytes, '"');  // two bytes each in the header
    tensors.push_back({.name = name, .type = StoredType::u8, .shape = std::vector<std::int64_t>(kMaxRank, 1)});
  }
  const Pairs metadata{{std::string(kMaxMetadataKeyBytes, 'k'), std::string(1 << 20, 'v')}};
  SafetensorsWriter file(folder / "large", tensors, metadata);
  const std::string bytes = some_bytes(kMaxTensors);
  file.append(std::as_bytes(std::span(bytes)));
  file.commit();
  CHECK(SafetensorsFile(folder / "large").tensors().size() == kMaxTensors);
}

TEST_CASE("safetensors: what could not be read back is not written") {
  const TemporaryFolder folder;
  const auto message = [&](const StoredTensor& tensor, int copies = 1, const Pairs& metadata = {}) {
    const std::vector<StoredTensor> tensors(static_cast<std::size_t>(copies), tensor);
    return error_of([&] { SafetensorsWriter(folder / "w", tensors, metadata); });
  };
  CHECK(contains(message({.name = ""}), "its name has 0 bytes, wanted 1 to 256"));
  CHECK(contains(message({.name = std::string(257, 'n')}), "its name has 257 bytes"));
  CHECK(contains(message({.name = "__metadata__"}), "'__metadata__' cannot name a tensor"));
  CHECK(contains(message({.name = "\xFF"}), "'\\xff' cannot name a tensor"));
  CHECK(contains(message({.name = "a"}, 2), "two tensors are named 'a'"));
  CHECK(contains(message({.name = "a"}, 4097), "4097 tensors, at most 4096 allowed"));
  CHECK(contains(message({.name = "a", .shape = std::vector<std::int64_t>(9, 1)}), "has 9 dimensions"));
  CHECK(contains(message({.name = "a", .shape = {-1}}), "shape (-1) overflows"));
  CHECK(contains(message({.name = "a", .shape = {1ll << 62, 4}}), "overflows"));
  CHECK(contains(message({.name = "a"}, 1, {{"k", "\xFF"}}), "metadata 'k' is not UTF-8"));
  CHECK(contains(message({.name = "a"}, 1, {{"k", ""}, {"k", ""}}), "metadata 'k' is given twice"));
  CHECK(contains(message({.name = "a"}, 1, {{std::string(513, 'k'), ""}}), "is longer than 512 bytes"));
  CHECK(contains(message({.name = "a"}, 1, Pairs(16385)), "16385 entries of metadata"));
  CHECK(contains(message({.name = "a"}, 1, {{"k", std::string(kMaxHeaderBytes, 'v')}}),
                 "at most 16777216 allowed"));
  CHECK(folder.names().empty());
}

TEST_CASE("safetensors: too few or too many bytes are no file") {
  const TemporaryFolder folder;
  for (const std::size_t size : {0, 23, 25}) {
    const std::string bytes = some_bytes(size);
    SafetensorsWriter file(folder / "w", {{.name = "a", .shape = {6}}});
    file.append(std::as_bytes(std::span(bytes)));
    CHECK(contains(error_of([&] { file.commit(); }), "its header promises"));
  }
  CHECK(folder.names().empty());
}

TEST_CASE("half precision: every value") {
  CHECK(float_from_f16(0x3C00) == 1.0f);
  CHECK(float_from_f16(0xC000) == -2.0f);
  CHECK(float_from_f16(0x7BFF) == 65504.0f);
  CHECK(float_from_f16(0x0001) == 0x1p-24f);
  CHECK(float_from_f16(0x0400) == 0x1p-14f);
  CHECK(float_from_f16(0x3555) == 0x1.554p-2f);
  CHECK(std::signbit(float_from_f16(0x8000)));
  CHECK(float_from_f16(0xFC00) == -std::numeric_limits<float>::infinity());
  // A second reading of the finite values: the bits moved to a float's places, and the bias made good by a
  // factor.
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float found = float_from_f16(static_cast<std::uint16_t>(bits));
    const std::uint32_t magnitude = bits & 0x7FFF;
    const float wanted = std::bit_cast<float>(magnitude << 13) * 0x1p112f * (bits >> 15 ? -1.0f : 1.0f);
    const bool same = magnitude < 0x7C00
                          ? std::bit_cast<std::uint32_t>(found) == std::bit_cast<std::uint32_t>(wanted)
                          : std::isnan(found) == (magnitude > 0x7C00);
    if (!same) FAIL(bits);
  }
  CHECK(float_from_bf16(0x3F80) == 1.0f);
  CHECK(float_from_bf16(0xFF80) == -std::numeric_limits<float>::infinity());
}

template <class Stored>
void write_values(const std::filesystem::path& path, StoredType type, const std::vector<Stored>& values) {
  SafetensorsWriter file(path,
                         {{.name = "a", .type = type, .shape = {static_cast<std::int64_t>(values.size())}}});
  file.append(std::as_bytes(std::span(values)));
  file.commit();
}

TEST_CASE("safetensors: floats of every float type, longer than a block") {
  const TemporaryFolder folder;
  constexpr std::size_t kCount = 40000;
  std::vector<float> f32(kCount);
  std::vector<double> f64(kCount);
  std::vector<std::uint16_t> halves(kCount);
  Random random(1, stream_id("floats"));
  for (std::size_t i = 0; i < kCount; ++i) {
    f32[i] = static_cast<float>(random.normal());
    f64[i] = random.normal();
    halves[i] = static_cast<std::uint16_t>(random.below(0x7C00));
  }
  write_values(folder / "f32", StoredType::f32, f32);
  write_values(folder / "f64", StoredType::f64, f64);
  write_values(folder / "f16", StoredType::f16, halves);
  write_values(folder / "bf16", StoredType::bf16, halves);
  CHECK(SafetensorsFile(folder / "f32").floats("a") == f32);
  const auto rounded = SafetensorsFile(folder / "f64").floats("a");
  const auto half = SafetensorsFile(folder / "f16").floats("a"),
             brain = SafetensorsFile(folder / "bf16").floats("a");
  bool same = true;
  for (std::size_t i = 0; i < kCount; ++i)
    same = same && rounded[i] == static_cast<float>(f64[i]) && half[i] == float_from_f16(halves[i]) &&
           brain[i] == float_from_bf16(halves[i]);
  CHECK(same);
}

TEST_CASE("safetensors: values that are no floats are refused") {
  const TemporaryFolder folder;
  write_values<std::int32_t>(folder / "i32", StoredType::i32, {1});
  CHECK(contains(error_of([&] { SafetensorsFile(folder / "i32").floats("a"); }),
                 "tensor 'a' is I32, wanted F32, F16"));
  write_values<double>(folder / "f64", StoredType::f64, {1, 1e39});
  CHECK(contains(error_of([&] { SafetensorsFile(folder / "f64").floats("a"); }),
                 "holds 1e+39, too large for float"));
  write_values<double>(folder / "inf", StoredType::f64, {INFINITY, -INFINITY});
  CHECK(SafetensorsFile(folder / "inf").floats("a")[1] == -INFINITY);
  const SafetensorsFile file(folder / "f64");
  std::vector<float> three(3);
  CHECK(contains(error_of([&] { file.read(file.at("a"), three); }), "has 2 elements, wanted 3"));
  std::vector<std::byte> bytes(9);
  CHECK(contains(error_of([&] { file.read(file.at("a"), bytes, 8); }), "has 16 bytes, 9 wanted from 8"));
  CHECK(contains(error_of([&] { file.at("b"); }), "it has no tensor 'b'; near: a"));
}

TEST_CASE("safetensors: short reads go on, failing reads and cut files are errors") {
  const TemporaryFolder folder;
  write_some(folder / "w");
  {
    const faults::Armed armed({.call = "pread", .action = faults::Action::short_count, .lasting = true});
    CHECK(SafetensorsFile(folder / "w").tensors().size() == 4);
  }
  {
    const faults::Armed armed({.call = "pread", .nth = 2, .error = EIO});
    CHECK(
        contains(error_of([&] { const SafetensorsFile file(folder / "w"); }), "at byte 8: Input/output error"));
  }
  {
    const faults::Armed armed({.call = "pread", .error = EINTR});
    CHECK(SafetensorsFile(folder / "w").tensors().size() == 4);
  }
  const SafetensorsFile file(folder / "w");
  std::filesystem::resize_file(folder / "w", std::filesystem::file_size(folder / "w") - 3);
  std::vector<std::byte> bytes(8);
  const std::string message = error_of([&] { file.read(file.at("scalar"), bytes); });
  CHECK(contains(message, "it was cut while it was being read"));
}

// The numbers of another implementation: every file of the golden folder opens, and all its floats are finite.
TEST_CASE("safetensors: the golden files") {
  const char* variable = std::getenv("STPRIVACY_GOLDEN");
  const std::filesystem::path golden = variable ? variable : STP_SOURCE_DIR "/tests/golden";
  int files = 0;
  if (std::filesystem::is_directory(golden))
    for (const auto& entry : std::filesystem::directory_iterator(golden)) {
      if (entry.path().extension() != ".safetensors") continue;
      ++files;
      const SafetensorsFile file(entry.path());
      CHECK(!file.tensors().empty());
      for (const StoredTensor& tensor : file.tensors())
        if (tensor.type == StoredType::f32) {
          const std::vector<float> values = file.floats(tensor.name);
          CHECK(std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }));
        }
    }
  if (files == 0) MESSAGE("skipped: no safetensors files in " << golden.string());
}

}  // namespace
}  // namespace stp

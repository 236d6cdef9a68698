#include <doctest/doctest.h>

#include <array>
#include <cerrno>

#include "engine/durable.h"
#include "tests/engine/faults.h"
#include "tests/temporary.h"

namespace stp {
namespace {

using faults::Action;
using faults::Armed;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

void write_head_last(const std::filesystem::path& path) {
  DurableFile file(path);
  file.append("????body");
  file.overwrite(0, bytes_of("head"));
  std::array<char, 8> back{};
  file.read(0, std::as_writable_bytes(std::span(back)));
  CHECK(std::string_view(back.data(), back.size()) == "headbody");
  file.append(".");
  file.commit();
}

TEST_CASE("durable file: a head is filled in and read back before the file has its name") {
  const TemporaryFolder folder;
  write_head_last(folder / "a");
  CHECK(content(folder / "a") == "headbody.");
  const faults::NoNamelessFiles unsupported;
  write_head_last(folder / "b");
  CHECK(content(folder / "b") == "headbody.");
}

TEST_CASE("durable file: only bytes that are there are replaced") {
  const TemporaryFolder folder;
  DurableFile file(folder / "a");
  file.append("12345");
  CHECK(contains(error_of([&] { file.overwrite(3, bytes_of("678")); }), "not there yet"));
  CHECK(contains(error_of([&] { file.overwrite(UINT64_MAX, bytes_of("6")); }), "not there yet"));
  std::array<std::byte, 6> back{};
  CHECK(contains(error_of([&] { file.read(0, back); }), "ends at byte 5"));
}

TEST_CASE("durable file: an overwrite that fails or goes on byte by byte") {
  const TemporaryFolder folder;
  {
    const Armed armed({.call = "pwrite", .error = ENOSPC});
    CHECK(contains(error_of([&] { write_head_last(folder / "a"); }), "No space left on device"));
  }
  CHECK(folder.names().empty());
  {
    const Armed armed({.call = "pwrite", .nth = 1, .action = Action::short_count, .lasting = true});
    write_head_last(folder / "a");
  }
  CHECK(content(folder / "a") == "headbody.");
  {
    DurableFile file(folder / "b");
    file.append("12345");
    {
      const Armed armed({.call = "pwrite", .error = EIO});
      CHECK(contains(error_of([&] { file.overwrite(0, bytes_of("x")); }), "Input/output error"));
    }
    CHECK(contains(error_of([&] { file.commit(); }), "closed"));  // a file with a hole gets no name
  }
  CHECK(folder.names() == std::set<std::string>{"a"});
}

}  // namespace
}  // namespace stp

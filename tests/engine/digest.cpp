#include "engine/digest.h"

#include <doctest/doctest.h>

#include <vector>

#include "engine/rng.h"

namespace stp {
namespace {

std::uint64_t digest_of(std::string_view text) { return digest(std::as_bytes(std::span(text))); }

// Bytes 0, 1, 2, ... modulo 251.
std::vector<std::byte> counting(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

// XXH64 with seed 0 as the reference library (xxHash 0.8.1) computes it.
TEST_CASE("digest: the reference's values") {
  CHECK(hexadecimal(digest_of("")) == "ef46db3751d8e999");
  CHECK(hexadecimal(digest_of("a")) == "d24ec4f1a98c6e5b");
  CHECK(hexadecimal(digest_of("abc")) == "44bc2cf5ad770999");
  CHECK(hexadecimal(digest_of("xxhash")) == "32dd38952c4bc720");
  CHECK(hexadecimal(digest_of("Nobody inspects the spammish repetition")) == "fbcea83c8a378bf1");
  CHECK(hexadecimal(digest(counting(31))) == "c346d2b59b4d8ee1");
  CHECK(hexadecimal(digest(counting(32))) == "cbf59c5116ff32b4");
  CHECK(hexadecimal(digest(counting(33))) == "0c535d1acafb8ead");
  CHECK(hexadecimal(digest(counting(1000))) == "f306f04aa88b54d3");
  CHECK(hexadecimal(digest(counting(100003))) == "cbab15ce50b1eb20");
}

TEST_CASE("digest: the pieces do not matter") {
  const std::vector<std::byte> bytes = counting(300);
  Random random(1, stream_id("digest"));
  for (int i = 0; i < 500; ++i) {
    Digest pieces;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t length = std::min<std::size_t>(random.below(80), bytes.size() - at);
      pieces.add(std::span(bytes).subspan(at, length));
      at += length;
    }
    CHECK(pieces.value() == digest(bytes));
  }
}

TEST_CASE("digest: every flipped bit of a file is seen") {
  for (const std::size_t size : {1, 7, 8, 31, 32, 200}) {
    std::vector<std::byte> bytes = counting(size);
    const std::uint64_t whole = digest(bytes);
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      const auto mask = static_cast<std::byte>(1u << bit % 8);
      bytes[bit / 8] ^= mask;
      CHECK(digest(bytes) != whole);
      bytes[bit / 8] ^= mask;
    }
  }
}

}  // namespace
}  // namespace stp

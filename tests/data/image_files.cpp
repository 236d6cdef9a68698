// Pictures: PNG and JPEG, recognised by content; damage is an error.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "data/image.h"
#include "tests/data/files.h"
#include "tests/data/video_samples.h"
#include "tests/temporary.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

namespace stp {
namespace {

using test::moving_frame;

std::string jpeg_of(const std::vector<std::uint8_t>& rgb, int width, int height) {
  std::string bytes;
  const auto append = [](void* context, void* data, int size) {
    static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  REQUIRE(stbi_write_jpg_to_func(append, &bytes, width, height, 3, rgb.data(), 95) != 0);
  return bytes;
}

TEST_CASE("image: PNG files hold the pixels, appear whole, and are the same for the same pixels") {
  const TemporaryFolder folder;
  for (const auto& [width, height] : {std::pair{1, 1}, {3, 5}, {64, 48}, {701, 2}}) {
    const auto rgb = moving_frame(3, width, height);
    write_png(folder / "a.png", rgb, width, height);
    write_png(folder / "b.png", rgb, width, height);
    CHECK(content(folder / "a.png") == content(folder / "b.png"));
    const Image image = read_image(folder / "a.png");
    CHECK(image.width == width);
    CHECK(image.height == height);
    CHECK(image.rgb == rgb);
  }
  CHECK(folder.names() == std::set<std::string>{"a.png", "b.png"});
  CHECK(contains(error_of([&] { write_png(folder / "c.png", moving_frame(0, 3, 3), 4, 3); }), "27 bytes"));
  CHECK(contains(error_of([&] { write_png(folder / "c.png", {}, 0, 3); }), "0x3"));
  CHECK(contains(error_of([&] { write_png(folder / "absent/c.png", moving_frame(0, 3, 3), 3, 3); }),
                 "No such file"));
  CHECK(folder.names().size() == 2);
}

TEST_CASE("image: the content decides, not the name") {
  const TemporaryFolder folder;
  const auto rgb = moving_frame(0, 40, 30);
  write_png(folder / "png.jpg", rgb, 40, 30);
  put(folder / "jpeg.png", jpeg_of(rgb, 40, 30));
  CHECK(image_kind(folder / "png.jpg") == ImageKind::png);
  CHECK(image_kind(folder / "jpeg.png") == ImageKind::jpeg);
  CHECK(read_image(folder / "png.jpg").rgb == rgb);
  const Image jpeg = read_image(folder / "jpeg.png");
  CHECK(jpeg.width == 40);
  CHECK(test::mean_difference(jpeg.rgb, rgb) <= 3);  // quality 95 on smooth content
  // Formats that stb_image could read but that are not let in.
  for (const std::string& text :
       {std::string("GIF89a\1\0\1\0\0\0\0;", 14), std::string("BM\x3a\0\0\0\0\0\0\0\x36\0\0\0", 14),
        std::string("P6 1 1 255 \1\2\3"), std::string("8BPS\0\1", 6), std::string("x")}) {
    put(folder / "other", text);
    CHECK(image_kind(folder / "other") == ImageKind::none);
    CHECK(contains(error_of([&] { read_image(folder / "other"); }), "neither JPEG nor PNG"));
  }
  put(folder / "empty", "");
  CHECK(contains(error_of([&] { read_image(folder / "empty"); }), "empty"));
  CHECK(contains(error_of([&] { read_image(folder / "absent"); }), "No such file"));
  CHECK(contains(error_of([&] { read_image(folder.path()); }), "no regular file"));
}

TEST_CASE("image: a picture that is cut anywhere is an error") {
  const TemporaryFolder folder;
  const auto rgb = moving_frame(0, 48, 40);
  write_png(folder / "a.png", rgb, 48, 40);
  for (const std::string& bytes : {content(folder / "a.png"), jpeg_of(rgb, 48, 40)})
    for (std::size_t cut = 1; cut < bytes.size(); cut += 1 + bytes.size() / 400) {
      CAPTURE(cut);
      put(folder / "cut", std::string_view(bytes).substr(0, cut));
      CHECK(!error_of([&] { read_image(folder / "cut"); }).empty());
    }
}

TEST_CASE("image: every flipped bit of a PNG is noticed, a JPEG with one gives pixels or an error") {
  const TemporaryFolder folder;
  const auto rgb = moving_frame(0, 24, 20);
  write_png(folder / "a.png", rgb, 24, 20);
  const std::string png = content(folder / "a.png"), jpeg = jpeg_of(rgb, 24, 20);
  for (std::size_t at = 8; at < png.size(); at += 3) {
    std::string bad = png;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    put(folder / "bad", bad);
    CHECK(!error_of([&] { read_image(folder / "bad"); }).empty());
  }
  for (std::size_t at = 2; at < jpeg.size(); ++at) {
    std::string bad = jpeg;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    put(folder / "bad", bad);
    try {
      const Image image = read_image(folder / "bad");
      CHECK(image.rgb.size() ==
            static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    } catch (const Error&) {
    }
  }
}

TEST_CASE("image: a JPEG whose Huffman table overflows is refused") {
  const TemporaryFolder folder;
  std::string jpeg = jpeg_of(moving_frame(0, 24, 20), 24, 20);
  const std::size_t table = jpeg.find("\xff\xc4");
  REQUIRE(table != std::string::npos);
  jpeg[table + 5] = '\xff';  // codes of one bit; with those of two bits more than 256
  jpeg[table + 6] = '\x02';
  put(folder / "bad", jpeg);
  CHECK(contains(error_of([&] { read_image(folder / "bad"); }), "a Huffman table is no such table"));
}

TEST_CASE("image: sizes are bounded before memory is spent") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", moving_frame(0, 2, 2), 2, 2);
  const std::string png = content(folder / "a.png");
  // Width and height are the two numbers behind "IHDR".
  for (const std::string& size : {std::string("\0\1\0\0\0\1\0\0", 8), std::string("\0\0\x20\0\0\0\x20\0", 8),
                                  std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8), std::string(8, '\0')}) {
    std::string bad = png;
    bad.replace(bad.find("IHDR") + 4, 8, size);
    put(folder / "bomb.png", bad);
    const auto outcome = test::read_apart(folder / "bomb.png");
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.peak_mb <= 256);
  }
  put(folder / "big.png", png);
  std::filesystem::resize_file(folder / "big.png", static_cast<std::uintmax_t>(kImageFileBytes) + 1);  // sparse
  CHECK(contains(error_of([&] { read_image(folder / "big.png"); }), "the limit for a picture"));
}

}  // namespace
}  // namespace stp

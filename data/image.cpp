#include "data/image.h"

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "engine/check.h"
#include "engine/durable.h"
#include "engine/file.h"

// Only two decoders of stb_image are compiled in; its limit on sides guards its own sums, ours on pixels guards
// memory. A strip of frames side by side is long and low, hence the generous side.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 65535
#include <stb/stb_image.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

namespace stp {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::array<std::uint8_t, 8> kPngSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<std::uint8_t, 3> kJpegSignature{0xff, 0xd8, 0xff};

bool begins_with(Bytes bytes, Bytes signature) {
  return bytes.size() >= signature.size() && std::equal(signature.begin(), signature.end(), bytes.begin());
}

std::uint32_t big_endian(Bytes bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

// CRC-32 of ISO 3309, which PNG puts behind every chunk.
std::uint32_t crc32(Bytes bytes) {
  static constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t n = 0; n < 256; ++n) {
      std::uint32_t c = n;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xedb88320u ^ (c >> 1) : c >> 1;
      table[n] = c;
    }
    return table;
  }();
  std::uint32_t c = 0xffffffffu;
  for (const std::uint8_t byte : bytes) c = kTable[(c ^ byte) & 0xff] ^ (c >> 8);
  return ~c;
}

// The PNG chunks in order: visit(type, whole chunk without length) until it returns false. False if they do not
// fit.
template <class Visit>
bool each_png_chunk(Bytes bytes, Visit visit) {
  for (bytes = bytes.subspan(kPngSignature.size()); bytes.size() >= 12;) {
    const std::size_t length = big_endian(bytes);
    if (length > bytes.size() - 12) return false;
    const Bytes chunk = bytes.subspan(4, length + 8);
    if (!visit(std::string_view(reinterpret_cast<const char*>(chunk.data()), 4), chunk)) return true;
    bytes = bytes.subspan(length + 12);
  }
  return false;
}

// What is wrong with the file as a whole; empty if nothing is. stb_image checks neither checksums nor the end.
std::string_view png_fault(Bytes bytes) {
  bool sound = true;
  const bool ended = each_png_chunk(bytes, [&](std::string_view type, Bytes chunk) {
    sound = crc32(chunk.first(chunk.size() - 4)) == big_endian(chunk.last(4));
    return sound && type != "IEND";
  });
  if (!sound) return "a checksum is wrong";
  return ended ? "" : "it is cut short";
}

// Whether a segment of Huffman tables (ITU T.81, B.2.4.2) holds whole tables of at most 256 symbols. stb_image
// reads on past the segment's end, and writes more symbols than these past the end of its own table. body: what
// follows the segment's length.
bool sound_huffman_tables(Bytes body) {
  constexpr std::size_t kHead = 17;  // class and place, then the number of codes of 1 to 16 bits
  while (!body.empty()) {
    if (body.size() < kHead) return false;
    std::size_t symbols = 0;
    for (const std::uint8_t count : body.subspan(1, kHead - 1)) symbols += count;
    if (symbols > 256 || body.size() < kHead + symbols) return false;
    body = body.subspan(kHead + symbols);
  }
  return true;
}

// Segments up to the end marker; stb_image would make grey of what is missing.
std::string_view jpeg_fault(Bytes bytes) {
  std::size_t at = 2;
  while (at + 2 <= bytes.size()) {
    if (bytes[at] != 0xff) return "its segments do not follow each other";
    const std::uint8_t marker = bytes[at + 1];
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0xd9) return "";
    if (at + 4 > bytes.size()) break;
    const std::size_t length = std::size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    if (length < 2 || length > bytes.size() - at - 2) break;
    if (marker == 0xc4 && !sound_huffman_tables(bytes.subspan(at + 4, length - 2)))
      return "a Huffman table is no such table";
    at += 2 + length;
    if (marker != 0xda) continue;
    // Coded data after a scan header: up to a marker that is no restart (d0 to d7) and no escaped ff (00).
    while (at + 2 <= bytes.size() &&
           (bytes[at] != 0xff || bytes[at + 1] == 0 || (bytes[at + 1] & 0xf8) == 0xd0))
      ++at;
  }
  return "it is cut short";
}

ImageKind kind_of(Bytes bytes) {
  if (begins_with(bytes, kJpegSignature)) return ImageKind::jpeg;
  return begins_with(bytes, kPngSignature) ? ImageKind::png : ImageKind::none;
}

std::vector<std::uint8_t> read_bytes(const InputFile& file, std::uint64_t count) {
  std::vector<std::uint8_t> bytes(count);
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace

ImageKind image_kind(const std::filesystem::path& path) {
  // Animation is announced before the first picture data; what comes before is text and colours.
  constexpr std::uint64_t kHead = 1 << 16;
  const InputFile file(path);
  const std::vector<std::uint8_t> head = read_bytes(file, std::min(file.size(), kHead));
  const ImageKind kind = kind_of(head);
  if (kind != ImageKind::png) return kind;
  bool animated = false;
  each_png_chunk(head, [&](std::string_view type, Bytes) {
    animated = type == "acTL";
    return !animated && type != "IDAT";
  });
  return animated ? ImageKind::none : kind;
}

Image read_image(const std::filesystem::path& path) {
  const InputFile file(path);
  const std::string name = shown(path);
  check(file.size() > 0, "{}: the file is empty; fetch or copy it again", name);
  check(file.size() <= kImageFileBytes, "{}: {} bytes, the limit for a picture is {}; scale it down", name,
        file.size(), kImageFileBytes);
  const std::vector<std::uint8_t> bytes = read_bytes(file, file.size());
  const ImageKind kind = kind_of(bytes);
  check(kind != ImageKind::none, "{}: neither JPEG nor PNG; convert the picture", name);
  const int size = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(bytes.data(), size, &width, &height, &channels) == 0)
    refuse("{}: cannot be read ({}); fetch it again or convert it", name, stbi_failure_reason());
  check(std::int64_t{width} * height <= kImagePixels,
        "{}: {}x{} pixels, the limit for a picture is {} pixels; scale it down", name, width, height,
        kImagePixels);
  const std::string_view fault = kind == ImageKind::png ? png_fault(bytes) : jpeg_fault(bytes);
  check(fault.empty(), "{}: the picture is damaged ({}); fetch it again", name, fault);
  const auto free_pixels = [](stbi_uc* pixels) { stbi_image_free(pixels); };
  const std::unique_ptr<stbi_uc, decltype(free_pixels)> pixels(
      stbi_load_from_memory(bytes.data(), size, &width, &height, &channels, 3), free_pixels);
  if (pixels == nullptr) refuse("{}: the picture is damaged ({}); fetch it again", name, stbi_failure_reason());
  const std::size_t count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3;
  return {width, height, {pixels.get(), pixels.get() + count}};
}

std::vector<std::uint8_t> png_of(std::span<const std::uint8_t> rgb, int width, int height) {
  check(width >= 1 && height >= 1 && std::int64_t{width} * height <= kImagePixels,
        "cannot pack a picture of {}x{}; it has 1 to {} pixels", width, height, kImagePixels);
  check(rgb.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3,
        "the picture has {} bytes, wanted {} x {} x 3", rgb.size(), height, width);
  int count = 0;
  const auto free_png = [](unsigned char* png) { STBIW_FREE(png); };
  const std::unique_ptr<unsigned char, decltype(free_png)> png(
      stbi_write_png_to_mem(rgb.data(), width * 3, width, height, 3, &count), free_png);
  if (png == nullptr) fail("out of memory while a picture is packed; close other programs");
  return {png.get(), png.get() + count};
}

void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> rgb, int width, int height) {
  const std::vector<std::uint8_t> png = png_of(rgb, width, height);
  DurableFile file(path, 0600);
  file.append(std::as_bytes(std::span(png)));
  file.commit();
}

}  // namespace stp

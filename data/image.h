// Pictures in and out, through stb_image: JPEG and PNG, recognised by their first bytes, never by their name.
// An untrusted picture is bounded before memory is spent, and a damaged or cut one is an error, not a grey
// area.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace stp {

// 8-bit sRGB; transparency is ignored, an EXIF orientation not applied.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // (height, width, 3)
};

inline constexpr std::int64_t kImageFileBytes = std::int64_t{64} << 20;
inline constexpr std::int64_t kImagePixels = std::int64_t{32} << 20;

enum class ImageKind : std::uint8_t { none, jpeg, png };

// What the first bytes of a file say. An animated PNG counts as none: it is a video. Throws Error (usage) if
// there is no such regular file.
ImageKind image_kind(const std::filesystem::path& path);

// Throws Error (usage) if the file is no JPEG or PNG, larger than the two limits above, cut short, or damaged
// (PNG: a checksum is wrong; JPEG: its structure is; within JPEG's coded data not every flipped bit can be
// noticed).
Image read_image(const std::filesystem::path& path);

// rgb: (height, width, 3) as the bytes of a PNG. The same pixels give the same bytes.
std::vector<std::uint8_t> png_of(std::span<const std::uint8_t> rgb, int width, int height);

// The same as a file. Appears complete or not at all, readable for its owner only. Throws Error if it
// cannot be written.
void write_png(const std::filesystem::path& path, std::span<const std::uint8_t> rgb, int width, int height);

}  // namespace stp

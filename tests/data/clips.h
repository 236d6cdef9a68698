// Small videos for the tests of the loader, whose pixels tell where they come from: frame n of clip i is
// everywhere (10 i, n, x), x its column. Written without loss, so that what is read is what was written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/video.h"
#include "tests/data/files.h"

namespace stp::test {

inline std::vector<std::uint8_t> telling_frame(int clip, int number, int width, int height) {
  std::vector<std::uint8_t> rgb;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      rgb.push_back(static_cast<std::uint8_t>(10 * clip));
      rgb.push_back(static_cast<std::uint8_t>(number));
      rgb.push_back(static_cast<std::uint8_t>(x));
    }
  return rgb;
}

// Writes clip `clip` of `frames` frames as an item of class clip % 2 with attributes (clip % 2, 1).
inline Item telling_clip(const TemporaryFolder& folder, int clip, int frames, int width = 32, int height = 24) {
  Item item;
  item.path = folder / fmt::format("{}.mp4", clip);
  item.name = fmt::format("class/{}", clip);
  item.label = clip % 2;
  item.attributes = {static_cast<float>(clip % 2), 1};
  VideoSpec spec;
  spec.width = width;
  spec.height = height;
  spec.lossless = true;
  VideoWriter writer(item.path, spec);
  for (int n = 0; n < frames; ++n) writer.write(telling_frame(clip, n, width, height), n);
  writer.finish();
  return item;
}

// Clips 0, 1, ... with the given numbers of frames.
inline std::vector<Item> telling_clips(const TemporaryFolder& folder, const std::vector<int>& frames) {
  std::vector<Item> items(frames.size());
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i] = telling_clip(folder, static_cast<int>(i), frames[i]);
  return items;
}

}  // namespace stp::test

// What a trained anonymiser does to chosen test clips, as strips of frames side by side.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"
#include "engine/memory.h"
#include "tools/report/record.h"

namespace stp {

struct Strip {
  std::string caption;
  Image picture;
};

struct ClipStrips {
  std::string name;  // CLASS/VIDEO
  std::vector<Strip> strips;
  std::vector<std::vector<double>>
      kept_of_slot;  // after each scorer, the share left of each time slot's tokens
};

// `count` test clips, spread evenly over the list: the frames before; after each scorer, with what is dropped
// so far darkened; as delivered; what the first scorer thinks of every tubelet; and how much attention each
// receives in the first block. Throws Error (usage) where the run holds no trained STPrivacy or its clips are
// not there.
std::vector<ClipStrips> draw_clips(const RunRecord& record, const Backend& backend, int count);

}  // namespace stp

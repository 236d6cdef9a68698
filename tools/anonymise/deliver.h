// A whole data set through the anonymiser, video by video, as a camera's owner would hand it out.
#pragma once

#include "data/dataset.h"
#include "engine/console.h"
#include "tools/anonymise/request.h"

namespace stp {

// Writes FOLDER/CLASS/VIDEO.mp4 for every clip of the data set. What is there already with its sidecar is left
// as it is: a delivery that was interrupted goes on. Throws Error as anonymise_video does, at the first clip
// that cannot be delivered: figures of a part would be figures of something else.
void deliver_dataset(const LoadedModel& model, const AnonymiseOptions& options, const Dataset& data,
                     const std::filesystem::path& folder, Console& console);

}  // namespace stp

// From what the user names to jobs, with every refusal that can be known before anything is written.
#pragma once

#include <string>
#include <vector>

#include "tools/anonymise/request.h"

namespace stp {

struct AnonymisePlan {
  std::vector<AnonymiseJob> jobs;
  std::vector<std::filesystem::path> left_aside;  // in folders: what does not look like a video
};

// inputs: videos and folders. One video goes to `output`, or into it if that is a folder; a folder's tree is
// mirrored in the folder `output`; of several inputs each goes there under its own name. In folders videos are
// known by their extension, and become .mp4.
//
// Throws Error (usage), naming both sides: an input that is not there or no video; several inputs into one file
// or onto one name; an output that is an input or the model (under whatever name or link), lies among the
// inputs, is no regular file, or is there already without options.force.
AnonymisePlan plan_anonymisation(const std::vector<std::filesystem::path>& inputs,
                                 const std::filesystem::path& output, const std::filesystem::path& model,
                                 const AnonymiseOptions& options);

}  // namespace stp

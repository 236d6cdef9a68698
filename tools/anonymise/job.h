// One video from input to output: read in chunks with bounded memory, anonymised, written beside, verified, and
// given its name last. Fails closed: whatever goes wrong, there is no output.
#pragma once

#include "data/video.h"
#include "engine/console.h"
#include "tools/anonymise/request.h"

namespace stp {

// Above this likeness of redrawn and original parts, over a whole video, the model redraws nothing and what it
// makes is not anonymous. Trained anonymisers stay far below it; it is the quality of a poor copy.
constexpr double kAlarmPsnr = 20;

// What was done, for the sidecar.
struct AnonymiseReport {
  std::string input_digest;
  std::uint64_t input_bytes = 0;
  VideoInfo source;
  VideoSpec written;
  std::int64_t frames = 0, repaired_times = 0;
  double kept = 0;  // part of all tubelets, over all frames
  double psnr = 0;  // of kept tubelets against the original, mode learned
};

// Throws Error: usage if the input is no video, the model passes pixels through, or a file is there that may
// not be replaced; failure if the input is damaged or changes, or something cannot be written. Throws
// Interrupted after a signal. In every case nothing is left of the output, and with options.force the files
// of an earlier run are untouched unless the new ones were verified already.
AnonymiseReport anonymise_video(const LoadedModel& model, const AnonymiseOptions& options,
                                const AnonymiseJob& job, Console& console);

// The sidecar's JSON: what made the video of what, without the names of either.
std::string sidecar_text(const LoadedModel& model, const AnonymiseOptions& options,
                         const AnonymiseReport& report);

}  // namespace stp

// VP-Synth, the data set that needs no download: procedural people whose action shows only in their motion and
// whose five privacy attributes show only in their paint. Written as real H.264 files in the HMDB51 layout with
// a VP label table, so that everything downstream reads it as it reads the published sets.
//
// Three facts hold by construction and are tested:
//
//   One frame leaves the action open (synthetic_motion.h): an action is a pair of poses, and every pose
//   belongs to three or four actions.
//
//   Outlines and motion say nothing about the attributes (synthetic_outfit.h): attributes choose colours
//   inside body parts, and what the parts are and do is decided without them.
//
//   Clip i is a function of (seed, i) and the options that describe content; no clip depends on another.
//   The same seed, options and build give the same bytes.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/listing.h"

namespace stp {

inline constexpr int kSyntheticActions = 8;
inline constexpr int kSyntheticAttributes = 5;
inline constexpr int kSyntheticSplits = 3;

// In the column order of the VP label files.
inline constexpr std::array<const char*, kSyntheticAttributes> kSyntheticAttributeNames{
    "skin_color", "face", "gender", "nudity", "relationship"};

struct SyntheticOptions {
  std::uint64_t seed = 0;
  std::int64_t clips = 8000;    // clip i has action i mod 8
  int width = 64, height = 64;  // pixels, even (4:2:0 chroma), 32 to 1024
  int frames = 24;              // per clip, 1 to 4096
  int frame_rate = 12;          // per second, 4 to 240; people move at about one cycle per second
  double difficulty = 0.2;      // 0 easy to 1 hard: clutter, noise, camera motion, tempo, scale, position
  // Share of the clips that have the attribute.
  std::array<double, kSyntheticAttributes> prevalence{0.5, 0.5, 0.5, 0.5, 0.5};
  double correlation = 0.0;  // 0: attributes independent of the action; 1: decided by it, see attribute table
  int test_every = 5;        // one clip in so many is a test clip of a split; 3 or more
  bool lossless = false;     // videos equal the rendered frames bit for bit
  int quality = 18;          // x264 rate factor when not lossless, 0 (best) to 51
};

// Throws Error (usage) that names the option, its value and what is allowed.
void check_synthetic_options(const SyntheticOptions& options);

// The action's name, which is its folder's name too; they are in alphabetical order.
const char* synthetic_action_name(int action);

// P(attribute | action): row = action, column = attribute.
//
//   P = (1 - correlation) prevalence + correlation planted(action, attribute)
//
// planted is 1 for some actions and 0 for the others, so many that its mean over the actions is the prevalence
// (one action has the fraction that is left over). Given the action the attributes are drawn independently.
// Hence the prevalence is the same at every correlation, an attacker who knows only the action can recover
// exactly this table, and at prevalence 1/2 any two attributes are uncorrelated over the actions at every
// correlation.
using AttributeTable = std::array<std::array<double, kSyntheticAttributes>, kSyntheticActions>;
AttributeTable synthetic_attribute_table(const SyntheticOptions& options);

struct SyntheticLabel {
  std::int64_t index = 0;
  int action = 0;                                       // 0 to 7
  std::array<bool, kSyntheticAttributes> attributes{};  // identifiable or not
  // Of every test_every clips of an action each split tests one, and another one than the other splits.
  std::array<Part, kSyntheticSplits> splits{};
  std::string name;  // file name without folder: squat_000007.mp4
};

// Label of clip `index`, 0 <= index < clips. Depends on seed, index, prevalence, correlation and test_every
// only.
SyntheticLabel synthetic_label(const SyntheticOptions& options, std::int64_t index);

// Called after each finished clip with (clips done, clips in all), from one thread at a time.
using SynthesisProgress = std::function<void(std::int64_t, std::int64_t)>;

// Writes the data set into `folder`, which is made if need be:
//
//   videos/<action>/<name>.mp4      splits/<action>_test_split{1,2,3}.txt      labels.csv      synthetic.json
//
// synthetic.json holds the options and the attribute table; it says "complete": false from the first file on
// and true after the last. A call on an interrupted folder with the same options writes what is missing; on a
// complete one it does nothing. Throws Error: usage if the options are bad or the folder holds anything else
// (other options included), failure if a file cannot be written.
void synthesize(const std::filesystem::path& folder, const SyntheticOptions& options, int threads = 1,
                const SynthesisProgress& progress = {});

}  // namespace stp

// What the people of VP-Synth look like: paint on body parts. The five attributes act here and nowhere else,
// each by its own paint, so that none of them changes an outline or another's evidence:
//
//   skin_color     skin has a human tone                | is painted grey, green, blue or violet
//   face           eyes and mouth on a patch of skin    | the head is covered all over
//   gender         dark hair with a bow, pleated skirt  | coloured hood, plain shorts
//   nudity         bare skin on trunk, arms and legs    | striped shirt with sleeves, trousers
//   relationship   both wear one outfit and a sash      | two strangers, two outfits, no sash
#pragma once

#include <array>
#include <cstdint>

#include "data/synthetic.h"
#include "data/synthetic_figure.h"

namespace stp::synthetic {

using Attributes = std::array<bool, kSyntheticAttributes>;

enum Attribute { kSkinColor, kFace, kGender, kNudity, kRelationship };

class Outfit {
 public:
  // The outfit of person 0 (who acts) or 1 (who stands beside) of clip `index`. Every random draw is made
  // whatever the attributes are: changing one changes its own paint only.
  Outfit(std::uint64_t seed, std::int64_t index, int person, const Attributes& attributes);

  // Colour at a point of a part. `local` and `pixel` (the size of a pixel, which softens edges inside the part)
  // are in standing heights.
  Colour at(BodyPart part, Local local, float pixel) const;

 private:
  Colour head(Local p, float pixel) const;
  Colour torso(Local p, float pixel) const;
  Colour hips(Local p, float pixel) const;
  Colour arm(Local p, float pixel, bool hand) const;
  Colour leg(Local p, float pixel) const;

  Attributes attributes_;
  Colour skin_, hair_, bow_, hood_, shirt_, stripe_, trousers_, hips_, pleat_, sash_;
};

}  // namespace stp::synthetic

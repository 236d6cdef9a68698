#include "tools/experiment/rival.h"

namespace stp {

namespace {

std::unique_ptr<ClipRival> clip_rival(const Experiment& e, const std::string& name, std::size_t outputs) {
  return std::make_unique<ClipRival>(e, name, e.recipe.recogniser.depth,
                                     e.recipe.recogniser_for(static_cast<std::int64_t>(outputs)));
}

}  // namespace

std::unique_ptr<ClipRival> action_rival(const Experiment& e) {
  return clip_rival(e, "action", e.data.classes.size());
}

std::unique_ptr<ClipRival> privacy_rival(const Experiment& e, int index) {
  return clip_rival(e, fmt::format("privacy_{}", index), e.data.attributes.size());
}

std::unique_ptr<MaskRival> mask_rival(const Experiment& e) {
  const std::int64_t layers = 1;
  const VitOptions vit = e.recipe.vit();
  return std::make_unique<MaskRival>(e, "mask", layers, vit.tokens(), vit.E,
                                     static_cast<std::int64_t>(e.data.attributes.size()));
}

}  // namespace stp

#include "data/synthetic_clip.h"

namespace stp::synthetic {
namespace {
constexpr Colour kOutline{18, 16, 20};
constexpr float kOutlineWidth = 0.022F;  // standing heights: figures stay visible before any wall
}  // namespace

Clip::Clip(const SyntheticOptions& options, const SyntheticLabel& label)
    : rate_(options.frame_rate),
      scene_(options.seed, label.index, options.difficulty, options.width, options.height),
      people_{{{draw_idle_motion(options.seed, label.index, options.difficulty),
                Outfit(options.seed, label.index, 1, label.attributes), scene_.bystander()},
               {draw_motion(options.seed, label.index, options.difficulty, label.action),
                Outfit(options.seed, label.index, 0, label.attributes), scene_.actor()}}},
      picture_(options.width, options.height) {}

// paint(outfit, part, local, pixel) gives the colour; the outline is asked for with a null outfit.
template <class Paint>
void Clip::draw_people(double time, const Placement& camera, Paint&& paint) {
  for (const Person& person : people_) {
    const Placement where{camera(person.stand.ground), camera.scale * person.stand.height, camera.angle};
    const float pixel = 1 / where.scale;
    const auto limbs = limbs_of(skeleton_of(pose_at(person.motion, time), person.motion.mirrored));
    for (const Limb& limb : limbs) {
      Capsule rim = placed(limb.shape, where);
      rim.from_radius += kOutlineWidth * where.scale;
      rim.to_radius += kOutlineWidth * where.scale;
      draw(picture_, rim, [&](Local) { return paint(nullptr, limb.part, Local{}, pixel); });
    }
    for (const Limb& limb : limbs)
      draw(picture_, placed(limb.shape, where), [&](Local p) {
        return paint(&person.outfit, limb.part, Local{pixel * p.along, pixel * p.across}, pixel);
      });
  }
}

void Clip::frame(int t, std::vector<std::uint8_t>& rgb) {
  const Placement camera = scene_.camera(seconds(t));
  scene_.paint_background(picture_, camera);
  draw_people(seconds(t), camera, [](const Outfit* outfit, BodyPart part, Local p, float pixel) {
    return outfit ? outfit->at(part, p, pixel) : kOutline;
  });
  scene_.draw_noise(t, noise_);
  to_bytes(picture_, scene_.gain(), noise_, rgb);
}

void Clip::silhouette(int t, std::vector<std::uint8_t>& mask) {
  std::fill(picture_.pixels.begin(), picture_.pixels.end(), Colour{});
  draw_people(seconds(t), scene_.camera(seconds(t)), [](const Outfit*, BodyPart, Local, float) {
    return Colour{255, 255, 255};
  });
  std::vector<std::uint8_t> rgb;
  to_bytes(picture_, 1, {}, rgb);
  mask.resize(rgb.size() / 3);
  for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = rgb[3 * i];
}

Skeleton Clip::skeleton(int t) const {
  const Motion& motion = people_.back().motion;
  return skeleton_of(pose_at(motion, seconds(t)), motion.mirrored);
}

}  // namespace stp::synthetic

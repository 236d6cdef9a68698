#include "tools/anonymise/painter.h"

#include <numeric>

namespace stp {

Rational aspect_at(const VideoInfo& source, int width, int height) {
  const std::int64_t num = source.pixel_aspect.num * source.width * height;
  const std::int64_t den = source.pixel_aspect.den * source.height * width;
  const std::int64_t common = std::gcd(num, den);
  return {num / common, den / common};
}

Painter::Painter(const ChunkAnonymiser& anonymiser, const AnonymiseOptions& options, const AnonymiseJob& job,
                 const VideoInfo& source)
    : model_(anonymiser),
      options_(options),
      source_(source),
      name_(shown(job.input)),
      blacken_(model_.rows(), model_.columns(), model_.height(), model_.width()),
      blacken_source_(model_.rows(), model_.columns(), source.height, source.width) {
  if (options.size == OutputSize::model) return;
  if (options.mode == AnonymiseMode::mask) {
    again_ = std::make_unique<VideoReader>(job.input);
  } else {
    const Region whole = Region::whole(model_.height(), model_.width());
    enlarge_ = std::make_unique<Resizer>(model_.height(), model_.width(), whole, source.height, source.width);
    picture_.resize(std::size_t(source.height) * std::size_t(source.width) * 3);
  }
}

VideoSpec Painter::spec() const {
  const bool as_source = options_.size == OutputSize::source;
  VideoSpec spec;
  spec.width = as_source ? source_.width : model_.width();
  spec.height = as_source ? source_.height : model_.height();
  spec.time_base = source_.time_base;
  spec.frame_rate = source_.frame_rate;
  spec.pixel_aspect = aspect_at(source_, spec.width, spec.height);
  spec.lossless = options_.lossless;
  spec.quality = options_.quality;
  return spec;
}

VideoSpec Painter::preview_spec() const {
  VideoSpec spec = this->spec();
  spec.width = 3 * model_.width();
  spec.height = model_.height();
  spec.pixel_aspect = aspect_at(source_, model_.width(), model_.height());
  return spec;
}

std::vector<std::uint8_t> Painter::masked(const FrameView& frame) const {
  std::vector<std::uint8_t> picture(frame.before.begin(), frame.before.end());
  blacken_(frame.keep, picture);
  return picture;
}

void Painter::read_again(std::int64_t time) {
  if (!again_->next(frame_) || frame_.time != time || frame_.width != source_.width ||
      frame_.height != source_.height)
    fail("{}: read a second time it is another video; was it changed meanwhile?", name_);
}

std::span<const std::uint8_t> Painter::paint(const FrameView& frame) {
  const bool learned = options_.mode == AnonymiseMode::learned;
  if (options_.size == OutputSize::model) {
    if (learned) return frame.after;
    picture_ = masked(frame);
    return picture_;
  }
  if (!learned) {
    read_again(frame.time);
    blacken_source_(frame.keep, frame_.rgb);
    return frame_.rgb;
  }
  (*enlarge_)(frame.after, picture_);
  blacken_source_(frame.keep, picture_);  // what interpolation drew beyond the edges of kept tubelets
  return picture_;
}

std::vector<std::uint8_t> Painter::preview(const FrameView& frame) const {
  const bool learned = options_.mode == AnonymiseMode::learned;
  const std::vector<std::uint8_t> mask = learned ? std::vector<std::uint8_t>() : masked(frame);
  return side_by_side(frame.before, learned ? frame.after : std::span<const std::uint8_t>(mask), frame.keep,
                      model_.width(), model_.columns());
}

void Painter::finish() {
  if (again_ && (again_->next(frame_) || again_->damaged() > 0))
    fail("{}: read a second time it is another video; was it changed meanwhile?", name_);
}

}  // namespace stp

#include "data/frames.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "data/image.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

// Takes the run of digits at `at` without its leading zeros.
std::string_view take_number(std::string_view text, std::size_t& at) {
  while (at + 1 < text.size() && text[at] == '0' && digit(text[at + 1])) ++at;
  const std::size_t begin = at;
  while (at < text.size() && digit(text[at])) ++at;
  return text.substr(begin, at - begin);
}

// Numbers within names compare as numbers, of any length.
bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      const std::string_view x = take_number(a, i), y = take_number(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i;
      ++j;
    }
  }
  if ((i < a.size()) != (j < b.size())) return j < b.size();
  return a < b;  // the same but for leading zeros
}

bool picture_name(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

void check_rate(const std::string& name, Rational rate) {
  check(rate.num > 0 && rate.den > 0, "{}: the frame rate {}/{} is not positive", name, rate.num, rate.den);
}

void check_limits(const std::string& name, const VideoInfo& info, const VideoLimits& limits) {
  const std::int64_t pixels = std::int64_t{info.width} * info.height;
  check(pixels <= limits.frame_pixels,
        "{}: {}x{} pixels a frame, the limit is {} pixels; scale the pictures down", name, info.width,
        info.height, limits.frame_pixels);
  check(info.declared_frames <= limits.frames && info.declared_frames <= limits.total_pixels / pixels,
        "{}: {} frames, the limit is {} frames and {} pixels in all; use fewer", name, info.declared_frames,
        limits.frames, limits.total_pixels);
}

class VideoSource final : public FrameSource {
 public:
  VideoSource(const std::filesystem::path& path, const FrameOptions& options) : reader_(path, options.limits) {}
  const VideoInfo& info() const override { return reader_.info(); }
  bool next(Frame& frame) override { return reader_.next(frame); }
  bool skip() override { return reader_.skip(); }
  bool hold() override { return reader_.hold(); }
  void show(std::size_t number, Frame& frame) override { reader_.show(number, frame); }
  std::size_t held_bytes() const override { return reader_.held_bytes(); }
  void drop_held() override { reader_.drop_held(); }
  std::int64_t damaged() const override { return reader_.damaged(); }
  const std::string& damage() const override { return reader_.damage(); }

 private:
  VideoReader reader_;
};

// What folders and strips share: frames at 0, 1, 2, ... and errors instead of damage.
class PictureSource : public FrameSource {
 public:
  const VideoInfo& info() const override { return info_; }
  bool next(Frame& frame) override {
    if (at_ == info_.declared_frames) return false;
    load(static_cast<std::size_t>(at_), frame);
    frame.width = info_.width;
    frame.height = info_.height;
    frame.time = at_++;
    return true;
  }
  bool skip() override { return at_ < info_.declared_frames && ++at_ > 0; }
  // Every picture is read, so that one that cannot be is found whether or not it is shown.
  bool hold() override {
    Frame frame;
    if (!next(frame)) return false;
    held_bytes_ += frame.rgb.size();
    held_.push_back(std::move(frame));
    return true;
  }
  void show(std::size_t number, Frame& frame) override {
    check(number < held_.size(), "{}: frame {} is not held, {} are", info_.container, number, held_.size());
    frame = held_[number];
  }
  std::size_t held_bytes() const override { return held_bytes_; }
  void drop_held() override {
    held_.clear();
    held_bytes_ = 0;
  }
  std::int64_t damaged() const override { return 0; }
  const std::string& damage() const override { return no_damage_; }

 protected:
  // Fills frame.rgb with frame `number`.
  virtual void load(std::size_t number, Frame& frame) = 0;

  void describe(const char* container, ImageKind kind, int width, int height, std::size_t frames,
                const FrameOptions& options) {
    info_.container = container;
    info_.codec = kind == ImageKind::png ? "png" : "jpeg";
    info_.pixel_format = "rgb24";
    info_.width = width;
    info_.height = height;
    info_.time_base = {options.frame_rate.den, options.frame_rate.num};
    info_.frame_rate = options.frame_rate;
    info_.declared_frames = static_cast<std::int64_t>(frames);
  }

  VideoInfo info_;

 private:
  std::int64_t at_ = 0;
  std::vector<Frame> held_;
  std::size_t held_bytes_ = 0;
  std::string no_damage_;
};

class FolderSource final : public PictureSource {
 public:
  FolderSource(const std::filesystem::path& folder, const FrameOptions& options) : folder_(folder) {
    const std::string name = shown(folder);
    check_rate(name, options.frame_rate);
    list(name, options.limits);
    const Image first = read_image(folder_ / names_.front());
    describe("folder", image_kind(folder_ / names_.front()), first.width, first.height, names_.size(), options);
    check_limits(name, info_, options.limits);
  }

 private:
  void list(const std::string& name, const VideoLimits& limits) {
    std::error_code error;
    std::filesystem::directory_iterator entry(folder_, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      if (!picture_name(entry->path())) continue;
      names_.push_back(entry->path().filename().string());
      check(static_cast<std::int64_t>(names_.size()) <= limits.frames,
            "{}: more than {} frames, which is the limit; use fewer", name, limits.frames);
    }
    if (error) refuse("{}: the folder cannot be read ({})", name, error.message());
    check(!names_.empty(), "{}: the folder holds no .jpg or .png frames", name);
    std::sort(names_.begin(), names_.end(), natural_less);
  }

  void load(std::size_t number, Frame& frame) override {
    const std::filesystem::path path = folder_ / names_[number];
    Image image = read_image(path);
    check(image.width == info_.width && image.height == info_.height,
          "{}: {}x{} pixels, the first frame of the folder has {}x{}; bring all frames to one size",
          shown(path), image.width, image.height, info_.width, info_.height);
    frame.rgb = std::move(image.rgb);
  }

  std::filesystem::path folder_;
  std::vector<std::string> names_;
};

class StripSource final : public PictureSource {
 public:
  StripSource(const std::filesystem::path& path, const FrameOptions& options) : strip_(read_image(path)) {
    const std::string name = shown(path);
    check_rate(name, options.frame_rate);
    const int width = options.still ? strip_.width : strip_.height;
    check(strip_.width % width == 0,
          "{}: a picture of {}x{} is no strip of square frames; for single pictures give their folder", name,
          strip_.width, strip_.height);
    describe(options.still ? "picture" : "strip", image_kind(path), width, strip_.height,
             static_cast<std::size_t>(strip_.width / width), options);
    check_limits(name, info_, options.limits);
  }

 private:
  void load(std::size_t number, Frame& frame) override {
    const std::size_t row = static_cast<std::size_t>(info_.width) * 3,
                      stride = static_cast<std::size_t>(strip_.width) * 3;
    frame.rgb.resize(row * static_cast<std::size_t>(info_.height));
    for (std::size_t y = 0; y < static_cast<std::size_t>(info_.height); ++y)
      std::copy_n(strip_.rgb.begin() + static_cast<std::ptrdiff_t>(y * stride + number * row), row,
                  frame.rgb.begin() + static_cast<std::ptrdiff_t>(y * row));
  }

  Image strip_;
};

}  // namespace

std::unique_ptr<FrameSource> open_frames(const std::filesystem::path& path, const FrameOptions& options) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return std::make_unique<FolderSource>(path, options);
  if (image_kind(path) != ImageKind::none) return std::make_unique<StripSource>(path, options);
  return std::make_unique<VideoSource>(path, options);
}

}  // namespace stp

#include "tools/anonymise/job.h"

#include <cmath>

#include "engine/digest.h"
#include "engine/durable.h"
#include "engine/progress.h"
#include "tools/anonymise/painter.h"
#include "tools/experiment/interrupt.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

void stop_if_interrupted(const AnonymiseJob& job) {
  if (const int signal = interrupted_by())
    throw Interrupted(signal, fmt::format("stopped; {} was not written", shown(job.output)));
}

std::string file_digest(const InputFile& file) {
  constexpr std::uint64_t kBlock = 1 << 20;
  Digest all;
  std::vector<std::byte> block(kBlock);
  for (std::uint64_t at = 0; at < file.size(); at += kBlock) {
    const auto part = std::span(block).first(std::min(kBlock, file.size() - at));
    file.read(at, part);
    all.add(part);
  }
  return hexadecimal(all.value());
}

// The frames of a chunk at the model's size.
struct Chunk {
  std::vector<std::uint8_t> rgb;  // (F, Y, X, 3)
  std::vector<std::int64_t> times;
};

class VideoJob {
 public:
  VideoJob(const LoadedModel& model, const AnonymiseOptions& options, const AnonymiseJob& job, Console& console)
      : model_(model),
        options_(options),
        job_(job),
        anonymiser_(*model.anonymiser, model.recipe, keep_ratios(model, options)),
        reader_(job.input),
        painter_(anonymiser_, options, job, reader_.info()),
        shrink_(reader_.info().height, reader_.info().width,
                Region::whole(reader_.info().height, reader_.info().width), anonymiser_.height(),
                anonymiser_.width()),
        writer_(job.output, painter_.spec()),
        progress_(console, shown(job.input.filename()), reader_.info().declared_frames, "frame") {
    if (options.preview) preview_ = std::make_unique<VideoWriter>(job.preview(), painter_.preview_spec());
    report_.source = reader_.info();
    report_.written = painter_.spec();
    const InputFile input(job.input);
    report_.input_bytes = input.size();
    report_.input_digest = file_digest(input);
  }

  AnonymiseReport carry_out() {
    Chunk chunk;
    while (read(chunk)) {
      stop_if_interrupted(job_);
      write(chunk);
    }
    progress_.finish();
    check_source();
    report_.repaired_times = reader_.repaired_times();
    report_.kept = static_cast<double>(kept_) / static_cast<double>(cells_);
    check_redrawn();
    publish();
    return report_;
  }

 private:
  // The next chunk; false at the end.
  bool read(Chunk& chunk) {
    chunk.rgb.clear();
    chunk.times.clear();
    while (chunk.times.size() < std::size_t(anonymiser_.frames()) && reader_.next(frame_)) {
      stop_if_interrupted(job_);
      const std::size_t begin = chunk.rgb.size();
      chunk.rgb.resize(begin + anonymiser_.frame_bytes());
      shrink_(frame_.rgb, std::span(chunk.rgb).subspan(begin));
      chunk.times.push_back(frame_.time);
    }
    check_damage();  // before a frame of this chunk is written
    return !chunk.times.empty();
  }

  void check_damage() const {
    if (reader_.damaged() > 0)
      fail("{}: damaged ({}); nothing is written of a video that does not decode cleanly: repair it first",
           shown(job_.input), reader_.damage());
  }

  void write(const Chunk& chunk) {
    const AnonymisedFrames result = anonymiser_(chunk.rgb);
    const std::size_t bytes = anonymiser_.frame_bytes(), cells = anonymiser_.frame_cells();
    for (std::size_t f = 0; f < chunk.times.size(); ++f) {
      FrameView view = {chunk.times[f],
                        std::span(chunk.rgb).subspan(f * bytes, bytes),
                        {},
                        std::span(result.keep).subspan(f * cells, cells)};
      if (!result.rgb.empty()) view.after = std::span(result.rgb).subspan(f * bytes, bytes);
      writer_.write(painter_.paint(view), view.time);
      if (preview_) preview_->write(painter_.preview(view), view.time);
      account(view);
      progress_.advance(++report_.frames);
    }
  }

  void account(const FrameView& view) {
    for (const std::uint8_t cell : view.keep) kept_ += cell;
    cells_ += static_cast<std::int64_t>(view.keep.size());
    if (options_.mode == AnonymiseMode::learned)
      likeness_.add(view.before, view.after, view.keep, anonymiser_.width(), anonymiser_.columns());
  }

  void check_source() {
    check_damage();
    painter_.finish();
    const InputFile input(job_.input);
    if (input.size() != report_.input_bytes || file_digest(input) != report_.input_digest)
      fail("{}: it changed while it was read; nothing is written", shown(job_.input));
  }

  void check_redrawn() {
    report_.psnr = likeness_.psnr();
    check(options_.mode == AnonymiseMode::mask || report_.psnr <= kAlarmPsnr,
          "{}: the model redraws nothing: what it keeps is the original to {:.1f} dB, the limit is {:.0f}; "
          "nothing is written. Train it further in phase adversarial",
          shown(job_.input), report_.psnr, kAlarmPsnr);
  }

  // Everything is verified before the first old file goes; the sidecar is there before the video.
  void publish() {
    try {
      if (preview_)
        preview_->finish([this] { publish_video(); });
      else
        publish_video();
    } catch (...) {
      if (made_way_) remove_files();
      throw;
    }
  }

  void publish_video() {
    writer_.finish([this] {
      stop_if_interrupted(job_);
      make_way();
      write_file(job_.sidecar(), sidecar_text(model_, options_, report_), 0600);
    });
  }

  // The video goes before its sidecar: no old video is ever beside a new sidecar.
  void make_way() {
    for (const fs::path& path : {job_.output, job_.preview(), job_.sidecar()}) {
      std::error_code error;
      const bool there = fs::symlink_status(path, error).type() != fs::file_type::not_found;
      check(!there || options_.force, "{}: it appeared meanwhile; choose another name or add --force",
            shown(path));
    }
    made_way_ = true;
    for (const fs::path& path : {job_.output, job_.preview(), job_.sidecar()}) {
      std::error_code error;
      fs::remove(path, error);
      if (error) fail("{}: cannot be replaced: {}", shown(path), system_message(error.value()));
    }
  }

  void remove_files() const {
    for (const fs::path& path : {job_.output, job_.preview(), job_.sidecar()}) {
      std::error_code ignored;  // the error under way is the one to tell
      fs::remove(path, ignored);
    }
  }

  const LoadedModel& model_;
  AnonymiseOptions options_;
  AnonymiseJob job_;
  ChunkAnonymiser anonymiser_;
  VideoReader reader_;
  Painter painter_;
  Resizer shrink_;
  VideoWriter writer_;
  std::unique_ptr<VideoWriter> preview_;
  Progress progress_;
  Frame frame_;
  Likeness likeness_;
  std::int64_t kept_ = 0, cells_ = 0;
  bool made_way_ = false;  // from here on the three names hold nothing that is not ours
  AnonymiseReport report_;
};

}  // namespace

AnonymiseReport anonymise_video(const LoadedModel& model, const AnonymiseOptions& options,
                                const AnonymiseJob& job, Console& console) {
  check_model(model, options);
  return VideoJob(model, options, job, console).carry_out();
}

}  // namespace stp

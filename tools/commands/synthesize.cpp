// stprivacy synthesize DIR: the VP-Synth data set.
#include <fmt/format.h>

#include "data/synthetic.h"
#include "engine/progress.h"
#include "tools/commands/commands.h"

namespace stp {

namespace {

struct SynthesizeArguments {
  std::string folder;
  SyntheticOptions options;
  int workers = 2;
};

void run(const SynthesizeArguments& a, Console& console) {
  check_synthetic_options(a.options);
  Progress progress(console, "synthesize", a.options.clips, "clip");
  synthesize(a.folder, a.options, a.workers, [&](std::int64_t done, std::int64_t) { progress.advance(done); });
  progress.finish();
  console.note(fmt::format("{} clips in {}", a.options.clips, a.folder));
}

}  // namespace

void add_synthesize(CLI::App& app, Program& program) {
  auto a = std::make_shared<SynthesizeArguments>();
  CLI::App* c =
      add_command(app, program, "synthesize",
                  "write VP-Synth: procedural people with actions and privacy labels, in the HMDB51 layout",
                  [a](Console& console) { run(*a, console); });
  SyntheticOptions& o = a->options;
  c->add_option("folder", a->folder, "where to; videos, splits and labels.csv are made there")->required();
  c->add_option("--clips", o.clips, "number of clips");
  c->add_option("--seed", o.seed, "of every draw; clip i depends on it and on i alone");
  c->add_option("--width", o.width, "columns");
  c->add_option("--height", o.height, "rows");
  c->add_option("--frames", o.frames, "frames of a clip");
  c->add_option("--frame-rate", o.frame_rate, "frames a second");
  c->add_option("--difficulty", o.difficulty,
                "0 easy to 1 hard: clutter, noise, camera motion, tempo, scale, place");
  c->add_option("--correlation", o.correlation, "0: attributes independent of the action; 1: decided by it");
  c->add_option("--prevalence", o.prevalence, "share of clips with each of the five attributes");
  c->add_option("--test-every", o.test_every, "one clip in so many is a test clip");
  c->add_flag("--lossless", o.lossless, "videos hold the rendered pixels exactly");
  c->add_option("--quality", o.quality, "x264 rate factor when not lossless, 0 best to 51");
  c->add_option("--workers", a->workers, "threads")->check(CLI::Range(1, 256));
}

}  // namespace stp

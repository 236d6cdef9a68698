// stprivacy anonymize INPUT... -o OUTPUT --model FILE_OR_RUN: videos through a trained anonymiser.
#include "tools/anonymise/job.h"
#include "tools/anonymise/plan.h"
#include "tools/commands/commands.h"
#include "tools/experiment/interrupt.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

struct AnonymizeArguments {
  std::vector<std::string> inputs;
  std::string output, model, mode = "learned", size;
  AnonymiseOptions options;
};

AnonymiseOptions options_of(const AnonymizeArguments& a) {
  AnonymiseOptions options = a.options;
  options.mode = a.mode == "mask" ? AnonymiseMode::mask : AnonymiseMode::learned;
  const bool as_source = a.size.empty() ? a.mode == "mask" : a.size == "source";
  options.size = as_source ? OutputSize::source : OutputSize::model;
  return options;
}

void tell_plan(const AnonymisePlan& plan, const AnonymiseOptions& options, Console& console) {
  for (const fs::path& path : plan.left_aside) console.detail(fmt::format("left aside: {}", shown(path)));
  if (!plan.left_aside.empty())
    console.warning(fmt::format("{} files do not look like videos and are left aside, {} first",
                                plan.left_aside.size(), shown(plan.left_aside.front())));
  if (options.mode == AnonymiseMode::mask)
    console.warning("mode mask only drops: people remain visible in what is kept");
  if (options.preview) console.warning("previews show the original; do not give them away");
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  check(!error, "{}: cannot be made: {}", shown(folder), system_message(error.value()));
}

// A video that fails does not keep the others from being done; the first failure is the program's.
void anonymise_all(const LoadedModel& model, const AnonymiseOptions& options, const AnonymisePlan& plan,
                   Console& console) {
  std::optional<Error> first;
  std::size_t failed = 0;
  for (const AnonymiseJob& job : plan.jobs) {
    try {
      make_folder(job.output.parent_path());
      const AnonymiseReport report = anonymise_video(model, options, job, console);
      console.note(fmt::format("{}: {} frames, {:.1f} % of the tubelets kept", shown(job.output), report.frames,
                               100 * report.kept));
    } catch (const Error& error) {
      if (plan.jobs.size() == 1) throw;
      console.error(error.what());
      if (!first) first = error;
      ++failed;
    }
  }
  if (first)
    throw Error(first->fault(), fmt::format("{} of {} videos were not anonymised", failed, plan.jobs.size()));
}

void anonymize(const AnonymizeArguments& a, const Program& program, Console& console) {
  watch_interrupts();
  const AnonymiseOptions options = options_of(a);
  const LoadedModel model = load_model(a.model, program.backend());
  check_model(model, options);
  const AnonymisePlan plan = plan_anonymisation({a.inputs.begin(), a.inputs.end()}, a.output, a.model, options);
  tell_plan(plan, options, console);
  anonymise_all(model, options, plan, console);
}

}  // namespace

void add_anonymize(CLI::App& app, Program& program) {
  auto a = std::make_shared<AnonymizeArguments>();
  CLI::App* c = add_command(app, program, "anonymize",
                            "redraw videos with a trained anonymiser; sound and everything else is dropped",
                            [a, &program](Console& console) { anonymize(*a, program, console); });
  AnonymiseOptions& o = a->options;
  c->add_option("input", a->inputs, "videos, or folders whose tree is mirrored")->required();
  c->add_option("-o,--output", a->output, "video (.mp4, .mov, .mkv) or folder; never an input")->required();
  c->add_option("--model", a->model, "model file, or the folder of a run")->required();
  c->add_option("--keep", o.alpha, "part of the tokens each scorer keeps (alpha); default: as trained");
  c->add_option("--mode", a->mode,
                "learned: the network's pixels; mask: sparsification only, the original with dropped tubelets "
                "black, people remain visible")
      ->check(CLI::IsMember({"learned", "mask"}));
  c->add_option("--size", a->size, "of the output; default: model, with --mode mask source")
      ->check(CLI::IsMember({"model", "source"}));
  c->add_flag("--lossless", o.lossless, "the video holds the pixels exactly; needs a software player");
  c->add_option("--quality", o.quality, "x264 rate factor when not lossless, 0 best to 51")
      ->check(CLI::Range(0, 51));
  c->add_flag("--force", o.force, "replace output that is there already");
  c->add_flag("--preview", o.preview,
              "also write before, decision and after side by side to NAME.ORIGINAL-VISIBLE.mp4");
}

}  // namespace stp

// stprivacy evaluate RUN: the table of a finished run, or phase evaluate once more with other options.
#include "engine/digest.h"
#include "tools/anonymise/deliver.h"
#include "tools/commands/commands.h"
#include "tools/experiment/reevaluate.h"

namespace stp {

namespace {

struct EvaluateArguments {
  std::string run, name;
  std::optional<double> keep;
  std::optional<std::int64_t> attackers, steps;
  std::vector<std::string> set;
  bool on_files = false;
  int quality = AnonymiseOptions().quality;
};

// The options as settings of the recipe, and what an evaluation with them is called.
EvaluationRequest request_of(const EvaluateArguments& a) {
  EvaluationRequest request = {a.run, a.name, {}, {}};
  std::vector<std::string> parts;
  const auto add = [&](const std::string& part, const std::string& flag) {
    parts.push_back(part);
    request.flags.push_back(flag);
  };
  if (a.keep) {
    add(fmt::format("keep-{}", *a.keep), fmt::format("model.alpha={}", *a.keep));
    request.flags.emplace_back("model.keep=[]");  // in case the recipe lists ratios of its own
  }
  if (a.attackers)
    add(fmt::format("attackers-{}", *a.attackers), fmt::format("evaluate.attackers={}", *a.attackers));
  if (a.steps) add(fmt::format("steps-{}", *a.steps), fmt::format("evaluate.steps={}", *a.steps));
  if (!a.set.empty()) {
    const std::string all = fmt::format("{}", fmt::join(a.set, "\n"));
    parts.push_back("set-" + hexadecimal(digest(std::as_bytes(std::span(all)))));
    request.flags.insert(request.flags.end(), a.set.begin(), a.set.end());
  }
  if (a.on_files) {
    parts.push_back(fmt::format("files-{}", a.quality));
    request.delivered = request.run / (parts.back() + (a.keep ? fmt::format("_keep-{}", *a.keep) : ""));
  }
  if (request.name.empty()) request.name = fmt::format("{}", fmt::join(parts, "_"));
  return request;
}

void check_name(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  check(name.size() <= 100 && !name.starts_with('.') && std::ranges::all_of(name, plain),
        "evaluate: the name '{}' must be at most 100 letters, digits, '-', '_' or '.'", name);
}

// The data set as files, encoded once and judged as often as wanted.
void deliver(const EvaluateArguments& a, const EvaluationRequest& request, const Backend& backend,
             Console& console) {
  const LoadedModel model = load_model(a.run, backend);
  AnonymiseOptions options;
  options.alpha = a.keep;
  options.quality = a.quality;
  if (!model.anonymiser->redraws()) options.mode = AnonymiseMode::mask;
  deliver_dataset(model, options, read_dataset(evaluation_recipe(model.recipe, a.set).dataset()),
                  request.delivered, console);
}

void evaluate(const EvaluateArguments& a, const Program& program, Console& console) {
  const EvaluationRequest request = request_of(a);
  check_name(request.name);
  const bool anew = !request.flags.empty() || a.on_files;
  check(anew || a.name.empty(), "evaluate: --name goes with --keep, --attackers, --steps, --set or --on-files");
  if (a.on_files) deliver(a, request, program.backend(), console);
  const Judged judged = anew ? evaluate_again(request, program.backend(), console) : results_of_run(a.run);
  console.result(results_table(judged.results, judged.labels));
}

}  // namespace

void add_evaluate(CLI::App& app, Program& program) {
  auto a = std::make_shared<EvaluateArguments>();
  CLI::App* c =
      add_command(app, program, "evaluate",
                  "print the table of a finished run, or judge its anonymiser anew with other options",
                  [a, &program](Console& console) { evaluate(*a, program, console); });
  c->add_option("run", a->run, "folder of the run")->required();
  c->add_option("--keep", a->keep, "part of the tokens each scorer keeps (alpha); default: as trained");
  c->add_option("--attackers", a->attackers, "fresh privacy recognisers; default: the recipe's");
  c->add_option("--steps", a->steps, "steps each of them learns; default: the recipe's");
  c->add_option("--set", a->set, "key=value, before the recipe's own; may be repeated; default: none")
      ->allow_extra_args(false);
  c->add_flag("--on-files", a->on_files,
              "also write every clip as a video file, decode it again and judge that: the encoder is part of "
              "the claim");
  c->add_option("--quality", a->quality, "x264 rate factor of those files, 0 best to 51")
      ->check(CLI::Range(0, 51));
  c->add_option("--name", a->name, "written to RUN/evaluations/NAME.json; default: from the options");
}

}  // namespace stp

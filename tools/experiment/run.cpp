#include "tools/experiment/run.h"

#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "engine/progress.h"
#include "tools/experiment/history.h"
#include "tools/experiment/interrupt.h"
#include "tools/experiment/profiler.h"

namespace stp {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "anonymiser.";
constexpr const char* kEvaluateRaw = "evaluate raw";
constexpr std::uint64_t kLogLimit = std::uint64_t{1} << 30;

Phase phase_of(const std::string& stage) {
  if (stage == "init") return Phase::init;
  return stage == "adversarial" ? Phase::adversarial : Phase::evaluate;
}

std::unique_ptr<Stage> make_stage(const std::string& name, Experiment& experiment) {
  const bool rewrites = experiment.recipe.rewrites();
  if (name == "init") return rewrites ? make_rewriter_init(experiment) : make_init(experiment);
  if (name == "adversarial")
    return rewrites ? make_rewriter_adversarial(experiment) : make_adversarial(experiment);
  return make_evaluation(experiment, name == kEvaluateRaw && experiment.recipe.method.name != "raw");
}

// The recipe that a checkpoint holds as a text.
Recipe recipe_of_text(const std::string& text, const std::string& source) {
  Recipe recipe;
  Schema schema;
  register_recipe(schema, recipe);
  const std::vector<std::string> problems = schema.read(text, source);
  if (!problems.empty()) refuse("{}: {}", source, problems.front());
  recipe.validate();
  return recipe;
}

// One run in its folder.
class Run {
 public:
  Run(const Recipe& recipe, const Backend& backend, const RunRequest& request, Console& console)
      : request_(request),
        console_(console),
        names_(stage_names(recipe)),
        experiment_(recipe, backend),  // refuses what it can before anything is written
        folder_(open_folder(recipe, request)),
        lock_(folder_),
        checkpoints_(claim(recipe, request)),
        profiler_(experiment_.backend, request.profile_after, folder_ / "profile.json", console) {}

  Results carry_out() {
    begin();
    while (index_ < names_.size() && wanted(names_[index_])) {
      carry_out_stage();
      ++index_;
      step_ = 0;
      stage_.reset();
      save();
    }
    if (index_ == names_.size()) {
      write_file(folder_ / "results.json", to_json(experiment_.results).dump(2) + "\n");
    }
    return experiment_.results;
  }

 private:
  static bool holds_run(const fs::path& folder) {
    std::error_code ignored;  // what cannot be looked at is refused where it is opened
    return fs::exists(folder / "config.toml", ignored);
  }

  static fs::path open_folder(const Recipe& recipe, const RunRequest& request) {
    if (request.resume) {
      check(holds_run(request.folder), "{}: no run to resume; start it without --resume",
            shown(request.folder));
      return request.folder;
    }
    refuse_other_run(request.folder);
    check(!recipe.trains() || request.phase == Phase::all || request.phase == Phase::init,
          "{}: nothing is trained yet; run phase init first", shown(request.folder));
    std::error_code error;
    fs::create_directories(request.folder, error);
    check(!error, "{}: cannot be made: {}", shown(request.folder), system_message(error.value()));
    return request.folder;
  }

  static void refuse_other_run(const fs::path& folder) {
    check(!holds_run(folder),
          "{}: a run is there already; add --resume to go on, or choose another folder with --run",
          shown(folder));
  }

  // The folder is locked now. A new run leaves its recipe there first: from then on it can be resumed. Returns
  // the folder of its checkpoints.
  static fs::path claim(const Recipe& recipe, const RunRequest& request) {
    if (!request.resume) {
      refuse_other_run(request.folder);
      write_file(request.folder / "config.toml", resolved(recipe));
    }
    return request.folder / "checkpoints";
  }

  // Where the run stands: from its checkpoint, or at the beginning.
  void begin() {
    const auto loaded = request_.resume ? checkpoints_.load() : std::nullopt;
    if (!loaded) {
      log_ = std::make_unique<RunLog>(folder_, LogPosition());
      check_phase();
      return;
    }
    if (!loaded->notice.empty()) console_.warning(loaded->notice);
    const Checkpoint& c = loaded->checkpoint;
    log_ = std::make_unique<RunLog>(folder_, LogPosition{static_cast<std::uint64_t>(c.counter("log.bytes")),
                                                         static_cast<std::uint64_t>(c.counter("log.digest"))});
    check(c.text("recipe") == resolved(experiment_.recipe),
          "{}: the checkpoint was made with another recipe; resume with the run's own config.toml",
          shown(c.path()));
    check(
        c.text("data") == digest_of_data(),
        "{}: the clips, splits or labels are others than when the run began; restore them, or begin a new run",
        shown(c.path()));
    index_ = static_cast<std::size_t>(c.counter("stage"));
    step_ = c.counter("step");
    experiment_.results = results_from_json(nlohmann::ordered_json::parse(c.text("results")));
    if (const Parameters* trained = experiment_.trained()) restore_parameters(c, kPrefix, *trained);
    if (index_ < names_.size() && step_ > 0) {
      stage_ = make_stage(names_[index_], experiment_);
      stage_->restore(c);
    }
    check_phase();
  }

  std::string digest_of_data() const {
    return data_digest(experiment_.data) + (experiment_.frames ? data_digest(*experiment_.frames) : "");
  }

  void check_phase() const {
    if (request_.phase == Phase::all || index_ == names_.size()) return;
    const Phase next = phase_of(names_[index_]);
    check(next <= request_.phase, "{}: phase {} is done already", shown(folder_), names_[index_ - 1]);
    check(next == request_.phase, "{}: stage {} comes first", shown(folder_), names_[index_]);
  }

  bool wanted(const std::string& stage) const {
    return request_.phase == Phase::all || phase_of(stage) == request_.phase;
  }

  void carry_out_stage() {
    if (!stage_) stage_ = make_stage(names_[index_], experiment_);
    const std::int64_t steps = stage_->steps(), log_every = experiment_.recipe.train.log_every;
    Progress progress(console_, stage_->name(), steps, "step", step_);
    const double start = steady_seconds();
    profiler_.begin(stage_->name());
    while (step_ < steps) {
      std::vector<LogField> fields;
      profiler_.step(step_, [&] { fields = stage_->step(step_); });
      ++step_;
      if (step_ % log_every == 0 || step_ == steps) log_step(fields);
      progress.advance(step_, summary(fields));
      const bool due = step_ % experiment_.recipe.train.save_every == 0 && step_ < steps;
      const int signal = interrupted_by();  // asked once: a signal after the save waits for the next step
      if (due || signal != 0) save();
      if (signal != 0) stop(signal);
    }
    progress.finish();
    profiler_.finish();
    const Loader& loader = stage_->loader();
    log_->timing("stage", {{"stage", stage_->name()},
                           {"seconds", steady_seconds() - start},
                           {"waited_for_clips", loader.waited()}});
    if (!loader.cache_trouble().empty()) console_.warning(loader.cache_trouble());
    if (!stage_->finish([] { return interrupted_by() != 0; })) {
      save();
      stop(interrupted_by());
    }
    if (names_[index_] == "adversarial") save_model(folder_ / "anonymiser.safetensors", experiment_);
    if (phase_of(names_[index_]) == Phase::evaluate) log_result(experiment_.results.methods.back());
  }

  void log_step(const std::vector<LogField>& fields) {
    std::vector<LogField> line = {{"stage", stage_->name()}, {"step", step_}};
    line.insert(line.end(), fields.begin(), fields.end());
    log_->event("step", line);
  }

  void log_result(const MethodResult& m) {
    std::vector<double> cmaps;
    for (const AttackerResult& a : m.attackers) cmaps.push_back(a.cmap);
    log_->event("result", {{"method", m.method}, {"top1", m.top1}, {"kept", m.kept}, {"cmap", cmaps}});
  }

  // The losses of a step, for the progress line.
  static std::string summary(const std::vector<LogField>& fields) {
    std::string text;
    for (const LogField& field : fields) {
      const double* value = std::get_if<double>(&field.value);
      if (value && field.key.ends_with("_loss")) {
        text += fmt::format("{}{} {:.3f}", text.empty() ? "" : ", ", field.key.substr(0, field.key.size() - 5),
                            *value);
      }
    }
    return text;
  }

  // For TensorBoard, the log once more; anew each time, so that it never says other things than the log.
  void write_events() const {
    const fs::path log = folder_ / "log.jsonl", events = folder_ / "events";
    std::error_code error;
    fs::create_directories(events, error);
    check(!error, "{}: cannot be made: {}", shown(events), system_message(error.value()));
    write_file(events / "events.out.tfevents.0.stprivacy",
               event_file(history_of_log(read_text(log, kLogLimit), shown(log))));
  }

  void save() {
    const LogPosition position = log_->checkpoint();
    write_events();
    CheckpointBuilder builder;
    builder.text("recipe", resolved(experiment_.recipe));
    builder.text("data", digest_of_data());
    builder.text("results", to_json(experiment_.results).dump());
    builder.counter("stage", static_cast<std::int64_t>(index_));
    builder.counter("step", step_);
    builder.counter("log.bytes", static_cast<std::int64_t>(position.bytes));
    builder.counter("log.digest", static_cast<std::int64_t>(position.digest));
    if (const Parameters* trained = experiment_.trained()) builder.parameters(kPrefix, *trained);
    if (stage_) stage_->save(builder);
    checkpoints_.save(builder.content());
  }

  [[noreturn]] void stop(int signal) const {
    throw Interrupted(signal, fmt::format("stopped at {}, step {}; everything is saved. Go on with: {}",
                                          stage_->name(), step_, request_.resume_command));
  }

  RunRequest request_;
  Console& console_;
  std::vector<std::string> names_;
  Experiment experiment_;
  fs::path folder_;
  FolderLock lock_;
  CheckpointFolder checkpoints_;
  Profiler profiler_;
  std::unique_ptr<RunLog> log_;
  std::size_t index_ = 0;  // of the stage under way
  std::int64_t step_ = 0;  // steps of it that are done
  std::unique_ptr<Stage> stage_;
};

}  // namespace

Results run_experiment(const Recipe& recipe, const Backend& backend, const RunRequest& request,
                       Console& console) {
  return Run(recipe, backend, request, console).carry_out();
}

std::vector<std::string> stage_names(const Recipe& recipe) {
  std::vector<std::string> names;
  if (recipe.trains()) names = {"init", "adversarial"};
  if (recipe.evaluate.raw && recipe.method.name != "raw") names.emplace_back(kEvaluateRaw);
  names.push_back("evaluate " + recipe.method_label());
  return names;
}

Recipe recipe_of_run(const fs::path& folder) {
  check(fs::exists(folder / "config.toml"),
        "{}: not a run; it has no config.toml; name the folder that train made", shown(folder));
  return load_recipe(folder / "config.toml", {});
}

void save_model(const fs::path& path, const Experiment& experiment) {
  CheckpointBuilder builder;
  builder.text("recipe", resolved(experiment.recipe));
  builder.text("trained", "adversarial");
  builder.parameters("", *experiment.trained());
  save_checkpoint(path, builder.content());
}

LoadedModel load_model(const fs::path& path, const Backend& backend) {
  fs::path file = path;
  if (fs::is_directory(path)) {
    file = path / "anonymiser.safetensors";
    check(fs::exists(file), "{}: no trained anonymiser; finish phase adversarial first", shown(path));
  }
  const Checkpoint checkpoint(file, Verified::on_reading);  // into networks that nobody has yet
  check(checkpoint.has_text("recipe"), "{}: not a model of ours; it holds no recipe", shown(file));
  const Recipe recipe = recipe_of_text(checkpoint.text("recipe"), shown(file));
  // A checkpoint of a run is a model once the adversarial phase is behind it.
  const bool of_run = checkpoint.has_counter("stage");
  const bool trained = of_run ? checkpoint.counter("stage") >= 2
                              : checkpoint.has_text("trained") && checkpoint.text("trained") == "adversarial";
  check(trained, "{}: its anonymiser was not trained against recognisers; finish phase adversarial first",
        shown(file));
  LoadedModel model;
  model.recipe = recipe;
  backend.multiply_in(recipe.math());
  if (recipe.rewrites()) {
    model.rewriter = std::make_unique<FrameAnonymiser>(backend, std::nullopt, recipe.frame_anonymiser());
  } else {
    model.anonymiser = std::make_unique<Stprivacy>(backend, std::nullopt, recipe.stprivacy());
  }
  restore_parameters(checkpoint, of_run ? kPrefix : "", model.parameters());
  model.digest = hexadecimal(digest(std::as_bytes(std::span(checkpoint.file().header_text()))));
  return model;
}

}  // namespace stp

// Times the model as its users run it: one whole adversarial step (order "sequential"), anonymisation with
// tokens really dropped, one masked recogniser step, all at full size (ViT-S, 16 x 112 x 112), and an
// adversarial step at the quickstart's size.
//   bench_model [train_step | anonymise | recogniser_step | tiny_step] [--device cpu|cuda] [--batch N]
//               [--seconds S] [--threads N] [--tf32 | --bf16] [--memory fast|normal|low] [--frames T] [--cost]
//               [--profile] [--trace FILE] [--graph]
//   bench_model growth [--bf16]
// Prints one line a measurement, "NAME SECONDS s/clip PEAK_MIB", with --cost followed by the flops and bytes of
// the formulas for a clip. --profile: where a step's time goes, beside what this machine was measured to do;
// --trace: the same for ui.perfetto.dev. --graph records the training step once, as a CUDA graph, and times its
// replays: every one has the noise, the rates and the bias corrections of the step that was recorded, which
// changes no time.
#include <omp.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/growth.h"
#include "bench/steps.h"
#include "bench/timing.h"

namespace {

using namespace stp;

struct Arguments {
  std::string only, device = "cpu", trace;
  std::int64_t batch = 0;  // 0: of the program
  double seconds = 0;
  int threads = 0;  // 0: all
  bool cost = false, profile = false, graph = false;
  Element storage = Element::f32;
  Math math = Math::exact;
  std::string memory = "normal";  // as train.memory of a recipe
  int frames = 0;                 // 0: of the program
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool more = i + 1 < argc;
    if (word == "--batch" && more) {
      a.batch = std::atoll(argv[++i]);
    } else if (word == "--seconds" && more) {
      a.seconds = std::atof(argv[++i]);
    } else if (word == "--threads" && more) {
      a.threads = std::atoi(argv[++i]);
    } else if (word == "--device" && more) {
      a.device = argv[++i];
    } else if (word == "--trace" && more) {
      a.trace = argv[++i];
    } else if (word == "--bf16") {
      a.storage = Element::bf16;
    } else if (word == "--tf32") {
      a.math = Math::tf32;
    } else if (word == "--memory" && more) {
      a.memory = argv[++i];
    } else if (word == "--frames" && more) {
      a.frames = std::atoi(argv[++i]);
    } else if (word == "--graph") {
      a.graph = true;
    } else if (word == "--cost") {
      a.cost = true;
    } else if (word == "--profile") {
      a.profile = true;
    } else {
      check(!word.starts_with("--"), "bench_model: {} is no option of it", word);
      a.only = word;
    }
  }
  return a;
}

struct Program {
  std::string name;
  bench::Work (*make)(const Backend&, const bench::Size&, std::int64_t B);
  bench::Size (*size)(Element storage);
  std::int64_t batch;
};
const std::vector<Program> kPrograms = {{"train_step", bench::train_step, bench::full_size, 4},
                                        {"anonymise", bench::anonymise, bench::full_size, 4},
                                        {"recogniser_step", bench::recogniser_step, bench::full_size, 4},
                                        {"tiny_step", bench::train_step, bench::tiny_size, 16}};

// What this process, or on a GPU its pool of device memory, held at most.
long peak_mib(const Backend& backend) {
  if (backend.device() != Device::cpu) return static_cast<long>(backend.memory_use().peak >> 20);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void print_profile(const StepProfile& profile, const Backend& backend, const Arguments& a) {
  std::printf("%s", profile_table(profile, bench::measured_peak(backend, a.storage)).c_str());
  const MemoryUse use = backend.memory_use();
  std::printf("memory held %.0f MiB, in use at most %.0f MiB\n", static_cast<double>(use.held) / 1048576,
              static_cast<double>(use.peak) / 1048576);
}

bench::Size size_of(const Program& program, const Arguments& a) {
  bench::Size size = program.size(a.storage);
  for (VitOptions* vit : {&size.anonymiser.vit, &size.recogniser}) {
    if (a.frames > 0) vit->T = a.frames;
    if (a.memory == "low") vit->activations = Activations::recomputed;
  }
  if (a.memory == "fast") size.waiting = Activations::kept;
  size.recorded = a.graph;
  return size;
}

// Seconds of a step that was recorded once. What it allocates has to be in the pool by then.
double replay_seconds(const Backend& backend, const bench::Work& step, double seconds) {
  const Recorder& recorder = backend.kernels().memory.recorder;
  if (!recorder) refuse("bench_model: this device records nothing; --graph goes with --device cuda");
  for (int warm_up = 0; warm_up < 2; ++warm_up) step();
  backend.kernels().memory.wait();
  recorder.begin();
  step();
  const std::unique_ptr<void, void (*)(void*)> recording(recorder.end(), recorder.forget);
  return bench::median_seconds(
      backend, [&] { recorder.replay(recording.get()); }, seconds);
}

void run(const Program& program, const Arguments& a) {
  const Backend backend(device_named(a.device));
  bench::refuse_emulation(backend.device());
  backend.multiply_in(a.math);
  const std::int64_t B = a.batch > 0 ? a.batch : program.batch;
  const bench::Work step = program.make(backend, size_of(program, a), B);
  const double clips = static_cast<double>(B);
  const double seconds =
      a.graph ? replay_seconds(backend, step, a.seconds) : bench::median_seconds(backend, step, a.seconds);
  std::printf("%s %.6f s/clip %ld", program.name.c_str(), seconds / clips, peak_mib(backend));
  StepProfile profile = {.label = program.name, .steps = {}, .events = {}};
  if (a.cost || a.profile || !a.trace.empty()) profile_step(profile, backend, 0, step);
  if (a.cost) {
    Cost cost;
    for (const ProfileEvent& event : profile.events) cost += event.cost;
    std::printf(" %.6g %.6g", cost.flops / clips, cost.bytes / clips);
  }
  std::printf("\n");
  std::fflush(stdout);
  if (a.profile) print_profile(profile, backend, a);
  if (a.trace.empty()) return;
  std::ofstream file(a.trace);
  file << profile_trace({profile});
  check(file.flush().good(), "bench_model: {} cannot be written", a.trace);
}

void run(const Arguments& a) {
  if (a.threads > 0) omp_set_num_threads(a.threads);
  if (a.only == "growth") return bench::print_growth(a.storage);
  bool known = a.only.empty();
  for (const Program& program : kPrograms) {
    if (!a.only.empty() && a.only != program.name) continue;
    known = true;
    run(program, a);
  }
  check(known, "bench_model: {} is none of its programs", a.only);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "bench_model: %s\n", e.what());
    return e.exit_code();
  }
}

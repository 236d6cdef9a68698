// Times the model at full size as its users run it: one whole adversarial step (order "sequential"),
// anonymisation with tokens really dropped, one masked recogniser step. ViT-S, 16 x 112 x 112 unless --frames
// says otherwise.
//   bench_model [train_step | anonymise | recogniser_step] [--device cpu|cuda] [--batch N] [--seconds S]
//               [--tf32 | --bf16] [--memory fast|normal|low] [--frames T] [--graph] [--profile]
// --graph records the training step once, as a CUDA graph, and times its replays: with recognisers that learn
// on masked tokens, since the number of gathered ones is a size; and every replay has the noise, the rates and
// the bias corrections of the step that was recorded, which changes no time. Prints one line a measurement,
// "name median unit peak_rss_mib", for bench/compare.sh to read.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/timing.h"
#include "engine/optimizer.h"
#include "engine/rng.h"
#include "models/adversary.h"

namespace {

using namespace stp;
using bench::median_seconds;
using bench::now;

struct Arguments {
  std::string only;
  std::int64_t batch = 4;
  double seconds = 0;
  bool profile = false, graph = false;
  std::string device = "cpu";
  Element storage = Element::f32;
  Math math = Math::exact;
  std::string memory = "normal";  // as train.memory of a recipe
  int frames = 16;

  VitOptions vit() const {
    VitOptions v;
    v.T = frames;
    v.storage = storage;
    v.activations = memory == "low" ? Activations::recomputed : Activations::kept;
    return v;
  }
  Stprivacy anonymiser(const Backend& backend) const {
    StprivacyOptions options;
    options.vit = vit();
    return {backend, 1, options};
  }
};

Tensor random_tensor(const Backend& backend, const Shape& shape, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  Random random(1, stream_id(name));
  for (float& v : values) v = static_cast<float>(random.normal());
  return Tensor::from(backend, shape, values);
}

Optimizer adamw(const Parameters& parameters) {
  return {parameters, OptimizerOptions(), [](const Parameter& p) -> Treatment {
            return {.group = 0, .scale = 1, .decay = p.shape.rank() > 1 && p.name != "pos_embed" ? 0.05 : 0.0};
          }};
}

// Everything a run at full size needs.
struct Setting {
  Backend backend;
  std::int64_t B;
  LabelledClips batch;

  explicit Setting(const Arguments& a) : backend(device_named(a.device)), B(a.batch) {
    bench::refuse_emulation(backend.device());
    backend.multiply_in(a.math);
    batch.input.clip = random_tensor(backend, {B, 3, a.frames, 112, 112}, "clip");
    std::vector<int> labels;
    std::vector<float> attributes;
    for (std::int64_t b = 0; b < B; ++b) {
      labels.push_back(static_cast<int>(b * 7 % 51));
      for (int k = 0; k < 5; ++k) attributes.push_back(static_cast<float>((b + k) % 2));
    }
    batch.labels = Indices::from(backend, {B}, labels);
    batch.attributes = Tensor::from(backend, {B, 5}, attributes);
  }
};

struct Measured {
  double seconds;           // of a step
  std::size_t device_peak;  // bytes in use at most
};
Measured measured(const Setting& s, const Arguments& a, const std::function<void()>& run) {
  const double seconds = median_seconds(s.backend, run, a.seconds);
  return {seconds, s.backend.memory_use().peak};
}

// Of a step that was recorded once. What it allocates has to be in the pool by then.
Measured replayed(const Setting& s, const Arguments& a, const std::function<void()>& step) {
  const Recorder& recorder = s.backend.kernels().memory.recorder;
  if (!recorder) refuse("device {} records nothing; --graph goes with --device cuda", a.device);
  for (int warm_up = 0; warm_up < 2; ++warm_up) step();
  s.backend.kernels().memory.wait();
  recorder.begin();
  step();
  const std::unique_ptr<void, void (*)(void*)> recording(recorder.end(), recorder.forget);
  return measured(s, a, [&] { recorder.replay(recording.get()); });
}

Measured train_step(const Arguments& a) {
  const Setting s(a);
  const Stprivacy anonymiser = a.anonymiser(s.backend);
  const Recogniser action(s.backend, 2, {a.vit(), 51, 1.0}), privacy(s.backend, 3, {a.vit(), 5, 1.0});
  Optimizer for_anonymiser = adamw(anonymiser.parameters());
  Optimizer for_action = adamw(action.parameters()), for_privacy = adamw(privacy.parameters());
  const Activations waiting = a.memory == "fast" ? Activations::kept : Activations::recomputed;
  std::uint64_t step = 0;
  const auto run = [&] {
    std::vector<Tensor> noise;
    for (std::uint64_t m = 0; m < 3; ++m) {
      noise.push_back(gumbel_noise(s.backend, {s.B, a.vit().tokens(), 2}, 1, stream_id("noise", {step, m})));
    }
    ++step;
    AnonymiserStep pass(anonymiser, s.batch, noise, {}, waiting);
    const RecogniserView view = pass.view();
    action_gradients(action, view, s.batch, {}, !a.graph, 1);
    for_action.issue({1e-5});
    privacy_gradients(privacy, view, s.batch, {}, !a.graph, 1);
    for_privacy.issue({1e-5});
    StepNumbers numbers = pass.gradients(action, privacy, {}, 1);
    for_anonymiser.issue({1e-5});
    if (!a.graph) read(std::move(numbers));
  };
  if (a.graph) return replayed(s, a, run);
  const Measured result = measured(s, a, run);
  if (a.profile) {
    s.backend.profile(true);
    const double start = now();
    run();
    const double whole = now() - start;
    double sum = 0;
    for (const KernelUse& use : s.backend.profiled()) {
      std::printf("  %-30s %5ld calls %8.1f ms %6.1f GFLOP/s %6.1f GB/s\n", std::string(use.name).c_str(),
                  static_cast<long>(use.calls), use.seconds * 1e3, use.cost.flops / use.seconds / 1e9,
                  use.cost.bytes / use.seconds / 1e9);
      sum += use.seconds;
    }
    std::printf("  kernels %.1f ms of %.1f ms, memory held %.0f MiB, peak in use %.0f MiB\n", sum * 1e3,
                whole * 1e3, static_cast<double>(s.backend.memory_use().held) / 1048576,
                static_cast<double>(s.backend.memory_use().peak) / 1048576);
  }
  return result;
}

Measured anonymise(const Arguments& a) {
  const Setting s(a);
  const Stprivacy anonymiser = a.anonymiser(s.backend);
  return measured(s, a, [&] { anonymiser.anonymise(s.batch.input); });
}

Measured recogniser_step(const Arguments& a) {
  const Setting s(a);
  const Recogniser action(s.backend, 2, {a.vit(), 51, 1.0});
  Optimizer optimizer = adamw(action.parameters());
  std::vector<float> kept(static_cast<std::size_t>(s.B * a.vit().tokens()));
  Random random(1, stream_id("kept"));
  for (float& k : kept) k = random.chance(0.343) ? 1.0f : 0.0f;
  const RecogniserView view = {s.batch.input, Tensor::from(s.backend, {s.B, a.vit().tokens()}, kept)};
  return measured(s, a, [&] {
    action_gradients(action, view, s.batch, {}, false, 1);
    optimizer.step({1e-5});
  });
}

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--batch" && i + 1 < argc) {
      a.batch = std::atoll(argv[++i]);
    } else if (word == "--seconds" && i + 1 < argc) {
      a.seconds = std::atof(argv[++i]);
    } else if (word == "--device" && i + 1 < argc) {
      a.device = argv[++i];
    } else if (word == "--bf16") {
      a.storage = Element::bf16;
    } else if (word == "--tf32") {
      a.math = Math::tf32;
    } else if (word == "--graph") {
      a.graph = true;
    } else if (word == "--frames" && i + 1 < argc) {
      a.frames = std::atoi(argv[++i]);
    } else if (word == "--memory" && i + 1 < argc) {
      a.memory = argv[++i];
    } else if (word == "--profile") {
      a.profile = true;
    } else {
      a.only = word;
    }
  }
  return a;
}

// What this process, or on a GPU its pool of device memory, held at most.
long peak_mib(const Arguments& a, std::size_t device_peak) {
  if (a.device != "cpu") return static_cast<long>(device_peak >> 20);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void run(const Arguments& a) {
  const std::vector<std::pair<std::string, Measured (*)(const Arguments&)>> programs = {
      {"train_step", train_step}, {"anonymise", anonymise}, {"recogniser_step", recogniser_step}};
  for (const auto& [name, program] : programs) {
    if (!a.only.empty() && a.only != name) continue;
    const Measured m = program(a);
    std::printf("%s %.5f s/clip %ld\n", name.c_str(), m.seconds / static_cast<double>(a.batch),
                peak_mib(a, m.device_peak));
    std::fflush(stdout);
  }
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

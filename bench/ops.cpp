// Times every op case, forward and forward + backward, in Google Benchmark: GFLOP/s and GB/s of the formulas
// (kernels/cost.h), whatever an implementation computes or moves again, and how much that is of what this
// machine was measured to do. The kernels that ran are named beside it.
//   bench_ops [--small] [--benchmark_filter=attention]
// --small: the small and odd sizes of the tests instead of the model's.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <map>

#include "bench/pass.h"
#include "bench/timing.h"

namespace {

using namespace stp;

// Measured when first asked for: a list of names or a filter that fits nothing then costs nothing.
class Peaks {
 public:
  const Peak& of(Element storage) {
    auto found = known_.find(storage);
    if (found == known_.end())
      found = known_.emplace(storage, bench::measured_peak(Backend(Device::cpu), storage)).first;
    return found->second;
  }

 private:
  std::map<Element, Peak> known_;
};

std::string names_of(const std::vector<KernelUse>& kernels) {
  std::string names;
  for (const KernelUse& use : kernels) names += (names.empty() ? "" : ", ") + std::string(use.name);
  return names;
}

void run(benchmark::State& state, const test::OpCase& c, bool backward, Peaks& peaks) {
  const Backend backend(Device::cpu);
  const std::vector<Tensor> inputs = bench::tensors(c, backend, backward);
  const std::vector<KernelUse> kernels = bench::kernels_of_pass(c, inputs, backward);
  const Cost cost = bench::total_cost(kernels);
  const double floor = floor_seconds(peaks.of(c.storage), cost);
  for ([[maybe_unused]] const auto _ : state) state.SetIterationTime(bench::pass(c, inputs, backward));
  const auto per_second = [](double amount) {
    return benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["flop"] = per_second(cost.flops);
  state.counters["byte"] = per_second(cost.bytes);
  state.counters["of_peak_%"] = per_second(100 * floor);
  state.SetLabel(names_of(kernels));
}

// Takes the flag out, which Google Benchmark does not know.
bool wants_small(int& argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--small") continue;
    std::copy(argv + i + 1, argv + argc, argv + i);
    --argc;
    return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<test::OpCase> cases =
      test::all_cases(wants_small(argc, argv) ? test::Scale::small : test::Scale::real);
  for (std::size_t i = 0, whole = cases.size(); i < whole; ++i)
    if (test::has_activations(cases[i])) cases.push_back(test::in_bf16(cases[i]));
  Peaks peaks;
  for (const test::OpCase& c : cases) {
    for (const bool backward : {false, true}) {
      if (backward && !bench::differentiable(c)) continue;
      const std::string name = c.name + (backward ? " | forward + backward" : " | forward");
      benchmark::RegisterBenchmark(
          name.c_str(), [&c, &peaks, backward](benchmark::State& state) { run(state, c, backward, peaks); })
          ->Unit(benchmark::kMillisecond)
          ->UseManualTime();
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

// Times every op case at the sizes of the real model, forward and forward + backward, beside the floor of the
// kernels that ran (kernels/cost.h): GFLOP/s and GB/s of the formula, whatever an implementation computes or
// moves again.
//   bench_ops [--benchmark_filter=attention]
#include <benchmark/benchmark.h>

#include "bench/pass.h"

namespace {

using namespace stp;

void run(benchmark::State& state, const test::OpCase& c, bool backward) {
  const Backend backend(Device::cpu);
  const std::vector<Tensor> inputs = bench::tensors(c, backend, backward);
  const Cost cost = bench::cost_of_pass(c, inputs, backward);
  for (auto _ : state) bench::pass(c, inputs, backward);
  const auto per_second = [](double amount) {
    return benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["flop"] = per_second(cost.flops);
  state.counters["byte"] = per_second(cost.bytes);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<test::OpCase> cases = test::all_cases(test::Scale::real);
  for (std::size_t i = 0, whole = cases.size(); i < whole; ++i)
    if (test::has_activations(cases[i])) cases.push_back(test::in_bf16(cases[i]));
  for (const test::OpCase& c : cases) {
    for (const bool backward : {false, true}) {
      const std::string name = c.name + (backward ? " | forward + backward" : " | forward");
      benchmark::RegisterBenchmark(name.c_str(),
                                   [&c, backward](benchmark::State& state) { run(state, c, backward); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime()
          ->MeasureProcessCPUTime();
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

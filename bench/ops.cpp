// Times every op case at the sizes of the real model, forward and forward + backward, beside the floor of the kernels
// that ran (kernels/cost.h): GFLOP/s and GB/s of the formula, whatever an implementation computes or moves again.
//   bench_ops [--benchmark_filter=attention]
#include <benchmark/benchmark.h>

#include "tests/op_case.h"

namespace {

using namespace stp;
using namespace stp::test;

std::vector<Tensor> tensors(const OpCase& c, const Backend& backend, bool gradients) {
  std::vector<Tensor> inputs;
  for (const CaseInput& i : c.inputs) {
    inputs.push_back(Tensor::from(backend, i.shape, i.values));
    inputs.back().set_wants_gradient(gradients && i.differentiable);
  }
  return inputs;
}

void pass(const OpCase& c, const std::vector<Tensor>& inputs, bool backward) {
  if (!backward) {
    benchmark::DoNotOptimize(c.call(nullptr, inputs));
    return;
  }
  Tape tape;
  for (const Tensor& output : c.call(&tape, inputs)) {
    // The upstream gradient is the output itself: real numbers of the right size at no cost but a copy.
    const Tensor upstream = output.detach();
    output.set_wants_gradient(true);
    const Grad grad = output.grad();
    output.backend().kernels().memory.copy(grad.data, upstream.in().data,
                                           static_cast<std::size_t>(output.elements()) * bytes_of(output.type()));
  }
  tape.backward();
  for (const Tensor& input : inputs) input.clear_gradient();
}

void run(benchmark::State& state, const OpCase& c, bool backward) {
  const Backend backend(Device::cpu);
  const std::vector<Tensor> inputs = tensors(c, backend, backward);
  backend.profile(true);
  pass(c, inputs, backward);
  Cost cost;
  for (const KernelUse& use : backend.profiled()) cost += use.cost;
  backend.profile(false);
  for (auto _ : state) pass(c, inputs, backward);
  const auto per_second = [](double amount) {
    return benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
  };
  state.counters["flop"] = per_second(cost.flops);
  state.counters["byte"] = per_second(cost.bytes);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<OpCase> cases = all_cases(Scale::real);
  for (const OpCase& c : cases) {
    for (const bool backward : {false, true}) {
      const std::string name = c.name + (backward ? " | forward + backward" : " | forward");
      benchmark::RegisterBenchmark(name.c_str(), [&c, backward](benchmark::State& state) { run(state, c, backward); })
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

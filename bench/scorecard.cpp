// What the CUDA kernels ask of memory, counted by the checked executor on one clip of the real model: no GPU is
// needed, and nothing here is a time. Prints a Markdown table; kernels/cuda/README.md says what it shows.
//   bench_scorecard [NAME]      only cases whose name begins so
#include <cstdio>
#include <string_view>

#include "kernels/simt/checker.h"
#include "tests/op_case.h"

namespace {

using namespace stp;
using namespace stp::test;
using simt::Traffic;

double ratio(std::int64_t a, std::int64_t b) { return b ? static_cast<double>(a) / static_cast<double>(b) : 0; }

void print(const std::string& name, const Traffic& t) {
  const double moved = 32e-6 * static_cast<double>(t.footprint);
  std::printf("| %s | %.2f | %.2f | %.2f | %.2f | ", name.c_str(), moved, ratio(t.block_sectors, t.footprint),
              ratio(t.bytes, 32 * t.sectors), ratio(t.wide_bytes, t.bytes));
  if (t.wavefronts) {
    std::printf("%.2f |\n", ratio(t.wavefronts, t.ideal_wavefronts));
  } else {
    std::printf("- |\n");
  }
}

// Forward and backward of a case; every gradient is wanted.
void run(const OpCase& c, const Backend& backend, Element type) {
  std::vector<Tensor> inputs;
  for (const CaseInput& i : c.inputs) {
    const bool converts = type == Element::bf16 && inputs.empty();  // the activations come first
    Tensor tensor(backend, i.shape, converts ? type : Element::f32);
    tensor.assign(i.values);
    inputs.push_back(tensor.set_wants_gradient(i.differentiable));
  }
  Tape tape;
  for (const Tensor& output : c.call(&tape, inputs)) {
    const Tensor upstream = output.detach();
    output.set_wants_gradient(true);
    backend.kernels().memory.copy(output.grad().data, upstream.in().data,
                                  static_cast<std::size_t>(output.elements()) * bytes_of(output.type()));
  }
  tape.backward();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view only = argc > 1 ? argv[1] : "";
  const Backend backend(Device::simt);
  std::printf("| kernel | footprint, MB | X | S | V | C |\n|---|---|---|---|---|---|\n");
  for (const OpCase& c : all_cases(Scale::clip)) {
    if (!c.name.starts_with(only)) continue;
    const bool both = c.name.starts_with("attention");
    for (const Element type : {Element::f32, Element::bf16}) {
      if (type == Element::bf16 && !both) continue;
      simt::kChecker.take_traffic();
      run(c, backend, type);
      const char* storage = !both ? "" : type == Element::f32 ? ", f32" : ", bf16";
      std::printf("| **%s**%s | | | | | |\n", c.name.c_str(), storage);
      for (const auto& [kernel, traffic] : simt::kChecker.take_traffic_by_kernel()) print(kernel, traffic);
      std::fflush(stdout);
    }
  }
  return 0;
}

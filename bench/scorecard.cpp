// What the CUDA kernels ask of memory, counted by the checked executor on one clip of the real model: no GPU is
// needed, and nothing here is a time. Prints a Markdown table; kernels/cuda/README.md says what it shows.
//   bench_scorecard [NAME]      only cases whose name begins so
#include <cstdio>
#include <string_view>

#include "bench/pass.h"
#include "kernels/simt/checker.h"

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
      const OpCase stored = type == Element::bf16 ? in_bf16(c) : c;
      bench::pass(stored, bench::tensors(stored, backend, true), true);
      const char* storage = !both ? "" : type == Element::f32 ? ", f32" : ", bf16";
      std::printf("| **%s**%s | | | | | |\n", c.name.c_str(), storage);
      for (const auto& [kernel, traffic] : simt::kChecker.take_traffic_by_kernel()) print(kernel, traffic);
      std::fflush(stdout);
    }
  }
  return 0;
}

// What this machine does at most, through the same library and kernels as everything else: copies and matrix
// products, with one thread and with all.
//   bench_peak [--device cpu|cuda]
// One line each: NAME VALUE UNIT. Of a processor without products in bf16 that line says what they cost
// without.
#include <fmt/format.h>
#include <omp.h>

#include <cstdio>
#include <set>
#include <string>

#include "bench/timing.h"

namespace {

using namespace stp;

void run(const std::string& device) {
  const Backend backend(device_named(device));
  bench::refuse_emulation(backend.device());
  const DeviceFacts facts = facts_of(backend.device());
  fmt::print("# {}: {}, {} {}, bf16 {} than f32\n", device, facts.instructions, facts.library,
             fmt::join(facts.version, "."), facts.bf16 ? "faster" : "not faster");
  const std::set<int> counts =
      backend.device() == Device::cpu ? std::set<int>{1, omp_get_max_threads()} : std::set<int>{1};
  for (const int threads : counts) {
    omp_set_num_threads(threads);
    const std::string on = backend.device() == Device::cpu ? fmt::format("_{}", threads) : "";
    fmt::print("copy{} {:.2f} GB/s\n", on, bench::copy_bandwidth(backend) / 1e9);
    fmt::print("f32{} {:.1f} GFLOP/s\n", on, bench::matrix_rate(backend, Element::f32) / 1e9);
    fmt::print("bf16{} {:.1f} GFLOP/s\n", on, bench::matrix_rate(backend, Element::bf16) / 1e9);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 1 || (argc == 3 && std::string_view(argv[1]) == "--device"),
          "bench_peak: [--device cpu|cuda] is all it takes");
    run(argc == 3 ? argv[2] : "cpu");
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "bench_peak: %s\n", e.what());
    return e.exit_code();
  }
}

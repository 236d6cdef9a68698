// What the CUDA kernels ask of a GPU, counted by the checked executor on one clip of the real model: no GPU is
// needed, and nothing here is a time. Prints a Markdown table; kernels/cuda/README.md says what it shows.
//   bench_scorecard [--lines] [NAME]      only cases whose name begins so
//   bench_scorecard --ladder              the rungs of kernels/ladder, forward
// --lines prints for bench/scorecard.sh instead, one kernel a line: its name, its function, blocks, threads and
// shared bytes of a block, footprint, F X S V C W.
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "bench/pass.h"
#include "kernels/simt/checker.h"
#include "tests/simt/rungs.h"

namespace {

using namespace stp;
using namespace stp::test;
using simt::Traffic;

constexpr double kSectorBytes = 32;

// One kernel of one case. A figure that does not apply is negative.
struct Score {
  std::string name;
  Traffic traffic;
  double F, X, S, V, C, W;
};

double ratio(double a, double b) { return b > 0 ? a / b : -1; }

// What the formulas of a case's contracts need.
struct Needed {
  double bytes = 0;
  double forward_flops = 0;  // of attention: two products of N x N x D a head
};

// Tensor-core work that a kernel of attention cannot do without.
double needed_flops(const std::string& kernel, const Needed& needed) {
  static const std::map<std::string, double> products = {
      {"attention_forward_mma", 2}, {"attention_backward_queries_mma", 3}, {"attention_backward_keys_mma", 4}};
  const auto found = products.find(kernel);
  return found == products.end() ? 0 : needed.forward_flops / 2 * found->second;
}

Score score(const std::string& name, const Traffic& t, const Needed& needed, double F) {
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  return {name,
          t,
          F,
          ratio(real(t.block_sectors), real(t.footprint)),
          ratio(real(t.bytes), kSectorBytes * real(t.sectors)),
          ratio(real(t.wide_bytes), real(t.bytes)),
          ratio(real(t.wavefronts), real(t.ideal_wavefronts)),
          ratio(real(t.mma_flops), needed_flops(name, needed))};
}

std::string figure(double value) { return value < 0 ? "-" : fmt::format("{:.2f}", value); }

void print(const Score& s, bool lines) {
  const double moved = kSectorBytes * static_cast<double>(s.traffic.footprint);
  if (lines) {
    const simt::LaunchShape& shape = s.traffic.shape;
    std::printf("%s\t%s\t%lld\t%d\t%zu\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\n", s.name.c_str(),
                simt::describe_function(shape.code).c_str(), static_cast<long long>(shape.blocks),
                shape.threads, shape.shared_bytes, moved, figure(s.F).c_str(), figure(s.X).c_str(),
                figure(s.S).c_str(), figure(s.V).c_str(), figure(s.C).c_str(), figure(s.W).c_str());
  } else {
    std::printf("| %s | %.2f | %s | %s | %s | %s | %s |\n", s.name.c_str(), moved * 1e-6, figure(s.X).c_str(),
                figure(s.S).c_str(), figure(s.V).c_str(), figure(s.C).c_str(), figure(s.W).c_str());
  }
}

// Forward and backward of a case; every gradient is wanted.
void run(const OpCase& c, const Backend& backend, bool lines) {
  const std::vector<Tensor> inputs = bench::tensors(c, backend, true);
  simt::kChecker.take_traffic();
  backend.profile(true);
  bench::pass(c, inputs, true);
  Needed needed;
  bool library = false;  // its products are not counted
  for (const KernelUse& use : backend.profiled()) {
    needed.bytes += use.cost.bytes;
    if (use.name == "attention_forward") needed.forward_flops = use.cost.flops;
    library = library || use.name.starts_with("linear");
  }
  backend.profile(false);
  const std::map<std::string, Traffic> kernels = simt::kChecker.take_traffic_by_kernel();
  double moved = 0;
  for (const auto& [kernel, traffic] : kernels) moved += kSectorBytes * static_cast<double>(traffic.footprint);
  const double F = library ? -1 : ratio(moved, needed.bytes);
  if (!lines) std::printf("| **%s**: F %s | | | | | | |\n", c.name.c_str(), figure(F).c_str());
  for (const auto& [kernel, traffic] : kernels) print(score(kernel, traffic, needed, F), lines);
  std::fflush(stdout);
}

// What each rung asks for and moves: without any cache, and behind a perfect first one.
void run_ladder() {
  std::printf("| rung | asked, MB | moved, MB | past a first cache, MB | S | V | shared, wavefronts |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  const auto megabytes = [](std::int64_t sectors) {
    return 1e-6 * kSectorBytes * static_cast<double>(sectors);
  };
  for (const Rung& rung : rungs()) {
    const Backend backend(Device::simt, rung.table);
    const OpCase c = rung.cases(Scale::clip).front();
    const std::vector<Tensor> inputs = bench::tensors(c, backend, false);
    simt::kChecker.take_traffic();
    bench::pass(c, inputs, false);
    const Score s = score(rung.name, simt::kChecker.take_traffic(), {}, -1);
    const Traffic& t = s.traffic;
    std::printf("| %s | %.3f | %.3f | %.3f | %s | %s | %lld |\n", rung.name.c_str(),
                1e-6 * static_cast<double>(t.bytes), megabytes(t.sectors), megabytes(t.block_sectors),
                figure(s.S).c_str(), figure(s.V).c_str(), static_cast<long long>(t.wavefronts));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--ladder") == 0) {
    run_ladder();
    return 0;
  }
  const bool lines = argc > 1 && std::strcmp(argv[1], "--lines") == 0;
  const std::string only = argc > 1 + lines ? argv[1 + lines] : "";
  const Backend backend(Device::simt);
  if (!lines) std::printf("| kernel | footprint, MB | X | S | V | C | W |\n|---|---|---|---|---|---|---|\n");
  for (const OpCase& c : all_cases(Scale::clip)) {
    if (!c.name.starts_with(only)) continue;
    run(c, backend, lines);
    if (!has_activations(c)) continue;
    run(in_bf16(c), backend, lines);
    if (!c.name.starts_with("attention")) continue;
    backend.multiply_in(Math::tf32);
    run(in_tf32(c), backend, lines);
    backend.multiply_in(Math::exact);
  }
  return 0;
}

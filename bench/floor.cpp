// Times every op case at the real sizes beside its floor: the longer of its bytes at the speed at which this
// device copies and its flops at the speed at which it multiplies matrices, both measured here. A Markdown
// table.
//   bench_floor [--device cpu|cuda] [--tf32 | --bf16] [--other FILE] [NAME]
// NAME: only cases whose name begins so. FILE: another program's times, lines "NAME <tab> PASS <tab>
// MILLISECONDS" (torch_peer.py ops), which become two more columns.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "bench/pass.h"
#include "bench/timing.h"

namespace {

using namespace stp;
using namespace stp::bench;

struct Arguments {
  std::string device = "cpu", other, only;
  Element storage = Element::f32;
  Math math = Math::exact;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--device" && i + 1 < argc) {
      a.device = argv[++i];
    } else if (word == "--other" && i + 1 < argc) {
      a.other = argv[++i];
    } else if (word == "--tf32") {
      a.math = Math::tf32;
    } else if (word == "--bf16") {
      a.storage = Element::bf16;
    } else {
      check(!word.starts_with("--"), "bench_floor: {} is no option of it", word);
      a.only = word;
    }
  }
  return a;
}

using Times = std::map<std::pair<std::string, std::string>, double>;  // milliseconds of (case, pass)

Times read_times(const std::string& path) {
  Times times;
  if (path.empty()) return times;
  std::ifstream file(path);
  check(file.good(), "bench_floor: {} cannot be read", path);
  for (std::string name, label, value;
       std::getline(file, name, '\t') && std::getline(file, label, '\t') && std::getline(file, value);) {
    times[{name, label}] = std::stod(value);
  }
  return times;
}

void print_row(const std::string& name, const std::string& label, double seconds, double floor,
               const Times& times) {
  std::printf("| %s | %s | %.3f | %.3f | %.2f |", name.c_str(), label.c_str(), seconds * 1e3, floor * 1e3,
              seconds / floor);
  if (!times.empty()) {
    const auto other = times.find({name, label});
    if (other == times.end()) {
      std::printf(" - | - |");
    } else {
      std::printf(" %.3f | %.2f |", other->second, other->second / (seconds * 1e3));
    }
  }
  std::printf("\n");
  std::fflush(stdout);
}

void run(const Arguments& a) {
  const Backend backend(device_named(a.device));
  refuse_emulation(backend.device());
  backend.multiply_in(a.math);
  const Times times = read_times(a.other);
  const Peak peak = measured_peak(backend, a.storage);
  const char* storage = a.storage == Element::bf16 ? "bf16"
                        : a.math == Math::tf32     ? "f32, products in tf32"
                                                   : "f32";
  std::printf("%s: copies %.0f GB/s, multiplies %.0f GFLOP/s in %s\n\n", a.device.c_str(), peak.bytes / 1e9,
              peak.flops / 1e9, storage);
  std::printf("| op, activations in %s | pass | ms | floor, ms | ms / floor |%s\n|---|---|---|---|---|%s\n",
              storage, times.empty() ? "" : " other, ms | other / ours |", times.empty() ? "" : "---|---|");
  for (const test::OpCase& whole : test::all_cases(test::Scale::real)) {
    if (!whole.name.starts_with(a.only)) continue;
    const bool rounded = a.storage == Element::bf16 && test::has_activations(whole);
    const test::OpCase c = rounded ? test::in_bf16(whole) : whole;
    const bool differentiable =
        std::any_of(c.inputs.begin(), c.inputs.end(), [](const auto& i) { return i.differentiable; });
    for (const bool backward : {false, true}) {
      if (backward && !differentiable) continue;
      const std::vector<Tensor> inputs = tensors(c, backend, backward);
      const Cost cost = cost_of_pass(c, inputs, backward);
      const double seconds = median_seconds(
          backend, [&] { pass(c, inputs, backward); }, 0.3);
      print_row(whole.name, backward ? "forward + backward" : "forward", seconds,
                std::max(cost.bytes / peak.bytes, cost.flops / peak.flops), times);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "bench_floor: %s\n", e.what());
    return e.exit_code();
  }
}

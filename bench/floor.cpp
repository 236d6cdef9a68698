// Times every op case at the real sizes beside its floor: the longer of its bytes at the speed at which this
// device copies and its flops at the speed at which it multiplies matrices, both measured here. A Markdown
// table; with --svg a roofline as well.
//   bench_floor [--device cpu|cuda] [--tf32 | --bf16] [--other FILE] [--svg FILE] [NAME]
// NAME: only cases whose name begins so. FILE: another program's times, lines "NAME <tab> PASS <tab>
// MILLISECONDS" (torch_peer.py ops), which become two more columns.
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "bench/pass.h"
#include "bench/roofline.h"
#include "bench/timing.h"

namespace {

using namespace stp;
using namespace stp::bench;

struct Arguments {
  std::string device = "cpu", other, svg, only;
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
    } else if (word == "--svg" && i + 1 < argc) {
      a.svg = argv[++i];
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

struct Row {
  std::string name, label;  // of case and pass
  Cost cost;
  double seconds, floor;
};

void print(const Row& row, const Times& times) {
  std::printf("| %s | %s | %.3f | %.3f | %.1f | %.1f | %.0f %% |", row.name.c_str(), row.label.c_str(),
              row.seconds * 1e3, row.floor * 1e3, row.cost.flops / row.seconds / 1e9,
              row.cost.bytes / row.seconds / 1e9, 100 * row.floor / row.seconds);
  if (!times.empty()) {
    const auto other = times.find({row.name, row.label});
    if (other == times.end()) {
      std::printf(" - | - |");
    } else {
      std::printf(" %.3f | %.2f |", other->second, other->second / (row.seconds * 1e3));
    }
  }
  std::printf("\n");
  std::fflush(stdout);
}

Row measured(const Backend& backend, const Peak& peak, const test::OpCase& c, bool backward) {
  const std::vector<Tensor> inputs = tensors(c, backend, backward);
  const Cost cost = total_cost(kernels_of_pass(c, inputs, backward));
  const double seconds = median_of_runs([&] { return pass(c, inputs, backward); }, 0.3);
  return {c.name, backward ? "forward + backward" : "forward", cost, seconds, floor_seconds(peak, cost)};
}

void write_roofline(const std::string& path, const std::string& title, const Peak& peak,
                    const std::vector<Row>& rows) {
  std::vector<RooflinePoint> points;
  points.reserve(rows.size());
  for (const Row& row : rows) points.push_back({row.name + ", " + row.label, row.cost, row.seconds});
  std::ofstream file(path);
  file << roofline_svg(title, peak, points);
  check(file.flush().good(), "bench_floor: {} cannot be written", path);
}

void run(const Arguments& a) {
  const Backend backend(device_named(a.device));
  refuse_emulation(backend.device());
  backend.multiply_in(a.math);
  const Times times = read_times(a.other);
  const Peak peak = measured_peak(backend, a.storage);
  const std::string storage = a.storage == Element::bf16 ? "bf16"
                              : a.math == Math::tf32     ? "f32, products in tf32"
                                                         : "f32";
  const std::string title = fmt::format("{}: copies {:.0f} GB/s, multiplies {:.0f} GFLOP/s in {}", a.device,
                                        peak.bytes / 1e9, peak.flops / 1e9, storage);
  std::printf("%s\n\n| op, activations in %s | pass | ms | floor, ms | GFLOP/s | GB/s | floor / ms |%s\n",
              title.c_str(), storage.c_str(), times.empty() ? "" : " other, ms | other / ours |");
  std::printf("|---|---|---|---|---|---|---|%s\n", times.empty() ? "" : "---|---|");
  std::vector<Row> rows;
  for (const test::OpCase& whole : test::all_cases(test::Scale::real)) {
    if (!whole.name.starts_with(a.only)) continue;
    const bool rounded = a.storage == Element::bf16 && test::has_activations(whole);
    const test::OpCase c = rounded ? test::in_bf16(whole) : whole;
    for (const bool backward : {false, true}) {
      if (backward && !differentiable(c)) continue;
      rows.push_back(measured(backend, peak, c, backward));
      rows.back().name = whole.name;
      print(rows.back(), times);
    }
  }
  if (!a.svg.empty()) write_roofline(a.svg, title, peak, rows);
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

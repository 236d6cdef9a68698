#include "bench/growth.h"

#include <fmt/format.h>
#include <omp.h>

#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "bench/steps.h"
#include "bench/timing.h"

namespace stp::bench {

namespace {

struct Point {
  int T, Y;  // frames; rows and columns
  std::int64_t B, depth;
};

// One quantity grows, all others stay. `along` is what memory is to grow with.
struct Series {
  const char* name;
  std::vector<Point> points;
  double (*along)(const Point& point, double tokens);
};

double clips_and_tokens(const Point& p, double tokens) { return static_cast<double>(p.B) * tokens; }
double blocks(const Point& p, double) { return static_cast<double>(p.depth); }

const std::vector<Series> kSeries = {
    {"frames",
     {{4, 112, 1, 12},
      {8, 112, 1, 12},
      {16, 112, 1, 12},
      {32, 112, 1, 12},
      {64, 112, 1, 12},
      {128, 112, 1, 12}},
     clips_and_tokens},
    {"picture", {{16, 64, 1, 12}, {16, 112, 1, 12}, {16, 160, 1, 12}, {16, 224, 1, 12}}, clips_and_tokens},
    {"clips", {{16, 112, 1, 12}, {16, 112, 2, 12}, {16, 112, 4, 12}, {16, 112, 8, 12}}, clips_and_tokens},
    {"blocks", {{16, 112, 1, 4}, {16, 112, 1, 8}, {16, 112, 1, 12}, {16, 112, 1, 24}}, blocks},
};
constexpr Point kReference = {16, 112, 1, 12};
constexpr std::size_t kRuns = 3;  // besides the first

struct Measured {
  double tokens = 0, seconds = 0, flops = 0;  // of a clip
  double floor = 0;                           // seconds of a clip that the formulas of its kernels allow
  double mib = 0;                             // in use at most
  double over_floor() const { return seconds / floor; }
};

Measured measure(const Point& p, Element storage, const Peak& peak) {
  const Backend backend(Device::cpu);
  const Size size = full_size_but(storage, p.T, p.Y, p.Y, p.depth);
  const Work step = train_step(backend, size, p.B);
  const auto B = static_cast<double>(p.B);
  Measured m;
  m.tokens = static_cast<double>(size.recogniser.tokens());
  m.seconds = median_seconds(backend, step, 0, kRuns) / B;
  m.mib = static_cast<double>(backend.memory_use().peak) / 1048576;
  StepProfile profile;
  profile_step(profile, backend, 0, step);
  for (const ProfileEvent& event : profile.events) {
    m.flops += event.cost.flops / B;
    m.floor += floor_seconds(peak, event.cost) / B;
  }
  return m;
}

struct Line {
  double at_zero = 0, slope = 0;
  double operator()(double x) const { return at_zero + slope * x; }
};

// Least squares.
Line line_through(const std::vector<double>& x, const std::vector<double>& y) {
  const auto n = static_cast<double>(x.size());
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sx += x[i];
    sy += y[i];
    sxx += x[i] * x[i];
    sxy += x[i] * y[i];
  }
  const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  return {(sy - slope * sx) / n, slope};
}

// How far a step is from the model: it should take the same multiple of its floor as the reference does, which
// is measured again between any two, for the speed of a shared machine drifts by more than what is looked for.
void print_series(const Series& series, Element storage, const Peak& peak) {
  std::vector<Measured> rows;
  std::vector<double> along, mib, off;
  double before = measure(kReference, storage, peak).over_floor();
  for (const Point& p : series.points) {
    rows.push_back(measure(p, storage, peak));
    const double after = measure(kReference, storage, peak).over_floor();
    off.push_back(rows.back().over_floor() / std::midpoint(before, after) - 1);
    before = after;
    along.push_back(series.along(p, rows.back().tokens));
    mib.push_back(rows.back().mib);
  }
  const Line line = line_through(along, mib);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Point& p = series.points[i];
    const Measured& m = rows[i];
    fmt::print(
        "| {} | {} x {} x {} | {} | {} | {} | {:.3f} | {:.1f} | {:.0f} | {:+.0f} % | {:.0f} | {:+.1f} % |\n",
        series.name, p.T, p.Y, p.Y, m.tokens, p.B, p.depth, m.seconds, m.flops / 1e9, m.flops / m.seconds / 1e9,
        100 * off[i], m.mib, 100 * (m.mib / line(along[i]) - 1));
    std::fflush(stdout);
  }
}

void print_threads(Element storage) {
  const int all = omp_get_max_threads();
  const Point point = {16, 112, 4, 12};
  fmt::print("\n| threads | s/clip, 4 clips | one thread / so many |\n|---|---|---|\n");
  double one = 0;
  for (int threads = 1; threads <= all; threads *= 2) {
    omp_set_num_threads(threads);
    const double seconds = measure(point, storage, {}).seconds;
    if (threads == 1) one = seconds;
    fmt::print("| {} | {:.3f} | {:.2f} |\n", threads, seconds, one / seconds);
    std::fflush(stdout);
  }
  omp_set_num_threads(all);
}

}  // namespace

void print_growth(Element storage) {
  const Peak peak = measured_peak(Backend(Device::cpu), storage);
  const Measured reference = measure(kReference, storage, peak);
  fmt::print(
      "Adversarial step in {}. The model: the floors of all kernels by their formulas, at {:.0f} GFLOP/s and\n"
      "{:.1f} GB/s, times what one clip of 16 x 112 x 112 takes over its own floor, {:.2f}.\n"
      "Memory in use at most, beside the line through its series.\n\n",
      storage == Element::bf16 ? "bf16" : "f32", peak.flops / 1e9, peak.bytes / 1e9, reference.over_floor());
  fmt::print(
      "| grows | clip | tokens | clips | blocks | s/clip | GFLOP/clip | GFLOP/s | off the model | MiB | off "
      "the line |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Series& series : kSeries) print_series(series, storage, peak);
  print_threads(storage);
}

}  // namespace stp::bench

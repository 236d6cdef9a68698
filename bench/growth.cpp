#include "bench/growth.h"

#include <fmt/format.h>
#include <omp.h>

#include <cstdio>
#include <functional>
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
constexpr std::size_t kPairs = 5;

// An adversarial step at a point, and what its kernels' formulas ask of a clip.
class Program {
 public:
  Program(const Point& p, Element storage)
      : size_(full_size_but(storage, p.T, p.Y, p.Y, p.depth)),
        step_(train_step(backend_, size_, p.B)),
        clips_(static_cast<double>(p.B)) {
    StepProfile profile;
    profile_step(profile, backend_, 0, step_);
    for (const ProfileEvent& event : profile.events) costs_.push_back(event.cost);
  }

  double seconds() const {  // of a clip, in one step
    const double start = now();
    step_();
    return (now() - start) / clips_;
  }
  double tokens() const { return static_cast<double>(size_.recogniser.tokens()); }
  double flops() const {  // of a clip
    double sum = 0;
    for (const Cost& cost : costs_) sum += cost.flops;
    return sum / clips_;
  }
  double floor(const Peak& peak) const {  // seconds of a clip
    double sum = 0;
    for (const Cost& cost : costs_) sum += floor_seconds(peak, cost);
    return sum / clips_;
  }
  double mib() const { return static_cast<double>(backend_.memory_use().peak) / 1048576; }

 private:
  Backend backend_{Device::cpu};
  Size size_;
  Work step_;
  double clips_;
  std::vector<Cost> costs_;  // of a step's kernels
};

// Two programs in turn, for the speed of a shared machine drifts by more than what is looked for: medians of
// the seconds of a clip, and of the ratios of neighbours.
struct InTurn {
  double first, second, ratio;
};
InTurn in_turn(const std::function<double()>& first, const std::function<double()>& second) {
  std::vector<double> firsts, seconds, ratios;
  for (std::size_t i = 0; i < kPairs; ++i) {
    firsts.push_back(first());
    seconds.push_back(second());
    ratios.push_back(seconds.back() / firsts.back());
  }
  return {median(firsts), median(seconds), median(ratios)};
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

// How far a step is from the model: it should take the same multiple of its floor as the reference does.
void print_series(const Series& series, const Program& reference, Element storage) {
  std::vector<std::string> rows;
  std::vector<double> along, mib;
  for (const Point& p : series.points) {
    const Program program(p, storage);
    const Peak peak = measured_peak(Backend(Device::cpu), storage);
    const InTurn times = in_turn([&] { return reference.seconds(); }, [&] { return program.seconds(); });
    const double off = times.ratio * reference.floor(peak) / program.floor(peak) - 1;
    along.push_back(series.along(p, program.tokens()));
    mib.push_back(program.mib());
    rows.push_back(
        fmt::format("| {} | {} x {} x {} | {} | {} | {} | {:.3f} | {:.3f} | {:.1f} | {:.0f} | {:.0f} | {:.1f} "
                    "| {:+.0f} % | {:.0f}",
                    series.name, p.T, p.Y, p.Y, program.tokens(), p.B, p.depth, times.second, times.first,
                    program.flops() / 1e9, program.flops() / times.second / 1e9, peak.flops / 1e9,
                    peak.bytes / 1e9, 100 * off, program.mib()));
  }
  const Line line = line_through(along, mib);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    fmt::print("{} | {:+.1f} % |\n", rows[i], 100 * (mib[i] / line(along[i]) - 1));
  }
  std::fflush(stdout);
}

void print_threads(Element storage) {
  const int all = omp_get_max_threads();
  const Program program({16, 112, 4, 12}, storage);
  const auto on = [&](int threads) {
    return [&program, threads] {
      omp_set_num_threads(threads);
      return program.seconds();
    };
  };
  fmt::print("\n| threads | s/clip, 4 clips | one thread | one thread / so many |\n|---|---|---|---|\n");
  for (int threads = 2; threads <= all; threads *= 2) {
    const InTurn times = in_turn(on(threads), on(1));
    fmt::print("| {} | {:.3f} | {:.3f} | {:.2f} |\n", threads, times.first, times.second, times.ratio);
    std::fflush(stdout);
  }
  omp_set_num_threads(all);
}

}  // namespace

void print_growth(Element storage) {
  const Program reference(kReference, storage);
  fmt::print(
      "Adversarial step in {}. The model: the floors of all kernels by their formulas, at the machine's peaks\n"
      "measured beside, times what one clip of 16 x 112 x 112, in turn with each, takes over its own floor.\n"
      "Memory in use at most, beside the line through its series.\n\n"
      "| grows | clip | tokens | clips | blocks | s/clip | 16 x 112 x 112 | GFLOP/clip | GFLOP/s "
      "| peak GFLOP/s | peak GB/s | off the model | MiB | off the line |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
      storage == Element::bf16 ? "bf16" : "f32");
  for (const Series& series : kSeries) print_series(series, reference, storage);
  print_threads(storage);
}

}  // namespace stp::bench

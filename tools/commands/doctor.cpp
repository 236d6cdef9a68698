// stprivacy doctor: what this build and this machine can do, and the cure for what they cannot.
#include <omp.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmath>

#include "data/video_support.h"
#include "engine/ops.h"
#include "tools/commands/commands.h"

namespace stp {

namespace {

// A product on the device beside the same sum in double precision: whether the kernels chosen here count right.
bool counts_right(const Backend& backend) {
  constexpr std::int64_t kRows = 33, kDepth = 65, kColumns = 17;  // no multiple of any vector
  std::vector<float> x, w;
  for (std::int64_t i = 0; i < kRows * kDepth; ++i) x.push_back(static_cast<float>(i % 13 - 6) / 8);
  for (std::int64_t i = 0; i < kColumns * kDepth; ++i) w.push_back(static_cast<float>(i % 7 - 3) / 4);
  const Tensor product = linear(nullptr, Tensor::from(backend, {kRows, kDepth}, x),
                                Tensor::from(backend, {kColumns, kDepth}, w), Tensor());
  const std::vector<float> found = product.values();
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t c = 0; c < kColumns; ++c) {
      double sum = 0;
      for (std::int64_t d = 0; d < kDepth; ++d)
        sum += static_cast<double>(x[std::size_t(r * kDepth + d)]) * w[std::size_t(c * kDepth + d)];
      // Eighths times quarters: every sum is exact in f32.
      if (!(std::abs(found[std::size_t(r * kColumns + c)] - sum) <= 0)) return false;
    }
  }
  return true;
}

std::string device_line(Device device) {
  if (!present(device)) return "not in this build, or no GPU here";
  const DeviceFacts f = facts_of(device);
  return fmt::format("{}, {} {}.{}.{}, bf16 {} than f32", f.instructions, f.library, f.version[0], f.version[1],
                     f.version[2], f.bf16 ? "faster" : "not faster");
}

std::string memory_line() {
  struct sysinfo info {};
  if (sysinfo(&info) != 0) return "not known";
  const double unit = static_cast<double>(info.mem_unit) / (1 << 30);
  return fmt::format("{:.1f} GiB, {:.1f} free", static_cast<double>(info.totalram) * unit,
                     static_cast<double>(info.freeram + info.bufferram) * unit);
}

void run(Console& console) {
  std::vector<std::string> faults;
  const auto say = [&](const char* what, const std::string& text) {
    console.result(fmt::format("{:<12}{}", what, text));
  };
  const Backend backend(Device::cpu);  // first: it settles what the processor may use
  say("stprivacy", STP_VERSION);
  say("cpu", device_line(Device::cpu));
  say("cuda", device_line(Device::cuda));
  say("simt", present(Device::simt) ? "the kernels of cuda on the processor, for tests" : "not in this build");
  say("threads", fmt::format("{} of {} processors", omp_get_max_threads(), sysconf(_SC_NPROCESSORS_ONLN)));
  say("memory", memory_line());
  const bool right = counts_right(backend);
  say("kernels", right ? "agree with a plain sum" : "WRONG");
  if (!right) faults.emplace_back("the kernels count wrongly on this processor; please report it");

  const VideoSupport video = video_support();
  say("video", video.libraries);
  say("reads", fmt::format("{}", fmt::join(video.decoders, " ")));
  if (!video.missing.empty()) say("reads not", fmt::format("{}", fmt::join(video.missing, " ")));
  say("writes", video.writes ? "h264 (libx264), lossless too" : "nothing");
  if (!video.writes) faults.emplace_back("FFmpeg here lacks libx264; install a libavcodec built with it");
  if (!faults.empty()) fail("doctor: {}", fmt::join(faults, "; "));
}

}  // namespace

void add_doctor(CLI::App& app, Program& program) {
  add_command(app, program, "doctor", "what this build and this machine can do", [](Console& c) { run(c); });
}

}  // namespace stp

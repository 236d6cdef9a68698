// Moving pictures for the tests of video files, and a decoder in a process of its own.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "data/frames.h"
#include "data/video.h"
#include "engine/check.h"

namespace stp::test {

using Pixels = std::vector<std::uint8_t>;  // (height, width, 3)

// A smooth pattern that moves: every frame differs, and so does every pixel from its mirror image.
inline Pixels moving_frame(int number, int width, int height) {
  Pixels rgb;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const double u = x + 2.0 * number, v = y - 1.0 * number;
      for (int channel = 0; channel < 3; ++channel)
        rgb.push_back(static_cast<std::uint8_t>(127.5 + 60 * std::sin(0.13 * u + channel) +
                                                60 * std::cos(0.11 * v + 0.02 * x * channel)));
    }
  return rgb;
}

// Writes `times.size()` moving frames.
inline void write_moving(const std::filesystem::path& path, const VideoSpec& spec,
                         const std::vector<std::int64_t>& times) {
  VideoWriter writer(path, spec);
  for (std::size_t i = 0; i < times.size(); ++i)
    writer.write(moving_frame(static_cast<int>(i), spec.width, spec.height), times[i]);
  writer.finish();
}

inline std::vector<std::int64_t> count_to(std::int64_t frames) {
  std::vector<std::int64_t> times;
  for (std::int64_t i = 0; i < frames; ++i) times.push_back(i);
  return times;
}

struct Decoded {
  VideoInfo info;
  std::vector<Pixels> frames;
  std::vector<std::int64_t> times;
  std::int64_t damaged = 0, repaired = 0;
};

inline Decoded decode(const std::filesystem::path& path) {
  VideoReader reader(path);
  Decoded all;
  all.info = reader.info();
  Frame frame;
  while (reader.next(frame)) {
    all.frames.push_back(frame.rgb);
    all.times.push_back(frame.time);
  }
  all.damaged = reader.damaged();
  all.repaired = reader.repaired_times();
  return all;
}

inline double mean_difference(const Pixels& a, const Pixels& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(int{a[i]} - int{b[i]});
  return sum / static_cast<double>(a.size());
}

// What became of reading a file: exactly one of the first three.
struct Outcome {
  bool died = false;  // by a signal, the one of its time limit included
  std::string error;  // message of an Error
  int frames = 0;     // decoded, if neither
  std::int64_t damaged = 0, width = 0, height = 0;
  int exit_code = 0;  // of the Error
  long peak_mb = 0;   // resident; 0 where the address sanitizer hides it
};

// Reads all frames in a child process with 20 seconds of processor time: whatever the file does, it does it
// there.
inline Outcome read_apart(const std::filesystem::path& path) {
  std::array<int, 2> pipes{};
  REQUIRE(pipe(pipes.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit seconds{20, 20};
    setrlimit(RLIMIT_CPU, &seconds);
    std::string said;
    try {
      const auto source = open_frames(path);
      Frame frame;
      int frames = 0;
      while (source->next(frame)) ++frames;
      said = fmt::format("{} {} {} {}", frames, source->damaged(), source->info().width, source->info().height);
    } catch (const Error& error) {
      said = fmt::format("E{}{}", error.exit_code(), error.what());
    }
    const bool told = ::write(pipes[1], said.data(), said.size()) == static_cast<ssize_t>(said.size());
    _exit(told ? 0 : 3);
  }
  ::close(pipes[1]);
  std::string said;
  std::array<char, 4096> part{};
  for (ssize_t got; (got = ::read(pipes[0], part.data(), part.size())) > 0;)
    said.append(part.data(), static_cast<std::size_t>(got));
  ::close(pipes[0]);
  int status = 0;
  rusage usage{};
  REQUIRE(wait4(child, &status, 0, &usage) == child);
  Outcome outcome;
#ifndef __SANITIZE_ADDRESS__  // the sanitizer's own memory is many times the reader's
  outcome.peak_mb = usage.ru_maxrss / 1024;
#endif
  outcome.died = !WIFEXITED(status) || WEXITSTATUS(status) != 0 || said.empty();
  if (outcome.died) return outcome;
  if (said.front() == 'E') {
    outcome.exit_code = said[1] - '0';
    outcome.error = said.substr(2);
  } else {
    std::sscanf(said.c_str(), "%d %ld %ld %ld", &outcome.frames, &outcome.damaged, &outcome.width,
                &outcome.height);
  }
  return outcome;
}

// Whether the program ffmpeg is there; else one line says that the test was skipped.
inline bool have_ffmpeg() {
  static const bool have = std::system("ffmpeg -version >/dev/null 2>&1") == 0;
  if (!have) MESSAGE("skipped: no program ffmpeg on this machine");
  return have;
}

inline std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

// Runs ffmpeg with `arguments` (a shell text; paths quoted by the caller); what it writes to its standard
// output.
inline std::string ffmpeg(const std::string& arguments) {
  const std::string command = "ffmpeg -v error -nostdin -y -threads 1 " + arguments + " 2>/dev/null";
  FILE* stream = popen(command.c_str(), "r");
  REQUIRE(stream != nullptr);
  std::string out;
  std::array<char, 1 << 16> part{};
  for (std::size_t got; (got = fread(part.data(), 1, part.size(), stream)) > 0;) out.append(part.data(), got);
  const int status = pclose(stream);
  INFO(command);
  REQUIRE(status == 0);
  return out;
}

}  // namespace stp::test

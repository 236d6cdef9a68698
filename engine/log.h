// The log of a run: JSON lines in two files of the run's folder.
//   log.jsonl     what happened: a pure function of recipe, seed and build. A run that was resumed has the same
//   bytes as
//                 one that was never interrupted.
//   timing.jsonl  when it happened: clocks, rates, memory. Never the same twice, so never mixed with the other.
// One object a line, keys in the order given, numbers in the shortest form that reads back to the same bits;
// NaN and the infinities, which JSON lacks, as the strings "nan", "inf", "-inf".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "engine/digest.h"
#include "engine/durable.h"

namespace stp {

struct LogField {
  using Value = std::variant<bool, std::int64_t, float, double, std::string, std::vector<double>>;

  template <class T>
  LogField(std::string_view name, const T& v) : key(name), value(as_value(v)) {}

  std::string key;
  Value value;

 private:
  template <class T>
  static Value as_value(const T& v) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      return static_cast<std::int64_t>(v);
    else if constexpr (std::is_convertible_v<T, std::string_view>)
      return std::string(std::string_view(v));
    else
      return v;
  }
};

// {"event":"step","step":3,...}: the line of an event, without its end.
std::string log_line(std::string_view event, const std::vector<LogField>& fields);

// How far log.jsonl had come, for a checkpoint to remember; the digest tells whether it is still the same file.
struct LogPosition {
  std::uint64_t bytes = 0, digest = stp::digest({});
};

class RunLog {
 public:
  // Begins the log of a new run; refused (usage) if the folder holds one already.
  explicit RunLog(const std::filesystem::path& folder);
  // Goes on where a checkpoint was taken: what log.jsonl holds beyond it is cut off, because those steps come
  // again. Refused (usage) if the file is missing, shorter, or differs before that point. The default position
  // begins anew.
  RunLog(const std::filesystem::path& folder, LogPosition checkpoint);

  // Throw Error (failure) if the line cannot be written.
  void event(std::string_view name, const std::vector<LogField>& fields);
  void timing(std::string_view name, const std::vector<LogField>& fields);

  // Flushes both files to the device and says where log.jsonl ends: call before the checkpoint that remembers
  // it.
  LogPosition checkpoint();

 private:
  AppendFile events_, timings_;
  Digest digest_;  // of log.jsonl
};

}  // namespace stp

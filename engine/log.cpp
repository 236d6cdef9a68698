#include "engine/log.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/check.h"
#include "engine/text.h"

namespace stp {
namespace {

constexpr const char *kEvents = "log.jsonl", *kTimings = "timing.jsonl";

template <class Number>
std::string json_number(Number x) {
  return std::isfinite(x) ? shortest(x) : json_string(shortest(x));
}

std::string json_value(const LogField::Value& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *integer);
  if (const float* number = std::get_if<float>(&value)) return json_number(*number);
  if (const double* number = std::get_if<double>(&value)) return json_number(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return json_string(*text);
  std::vector<std::string> items;
  for (const double x : std::get<std::vector<double>>(value)) items.push_back(json_number(x));
  return fmt::format("[{}]", fmt::join(items, ","));
}

const std::filesystem::path& empty_of_logs(const std::filesystem::path& folder) {
  check(!std::filesystem::exists(folder / kEvents),
        "{} holds the log of a run: resume it, or name another folder", shown(folder));
  return folder;
}

// The digest of the first bytes of a log.
Digest digest_of_prefix(const std::filesystem::path& path, std::uint64_t bytes) {
  const InputFile file(path);
  check(bytes <= file.size(),
        "{} has {} bytes, it had {} when the checkpoint was taken: restore it, or begin a new run", shown(path),
        file.size(), bytes);
  constexpr std::uint64_t kBlock = 1 << 16;
  std::vector<std::byte> block(std::min(kBlock, bytes));
  Digest prefix;
  for (std::uint64_t at = 0; at < bytes; at += kBlock) {
    const auto part = std::span(block).first(std::min(kBlock, bytes - at));
    file.read(at, part);
    prefix.add(part);
  }
  return prefix;
}

}  // namespace

std::string log_line(std::string_view event, const std::vector<LogField>& fields) {
  std::string line = fmt::format(R"({{"event":{})", json_string(event));
  std::set<std::string_view> keys{"event"};
  for (const LogField& field : fields) {
    check(keys.insert(field.key).second, "log: event '{}' has the key '{}' twice", printable(event),
          printable(field.key));
    line += fmt::format(",{}:{}", json_string(field.key), json_value(field.value));
  }
  return line + "}";
}

RunLog::RunLog(const std::filesystem::path& folder)
    : events_(empty_of_logs(folder) / kEvents), timings_(folder / kTimings) {}

RunLog::RunLog(const std::filesystem::path& folder, LogPosition checkpoint)
    : events_(folder / kEvents), timings_(folder / kTimings) {
  digest_ = digest_of_prefix(folder / kEvents, checkpoint.bytes);
  check(digest_.value() == checkpoint.digest,
        "{} is not the log it was when the checkpoint was taken: restore it, or begin a new run",
        shown(folder / kEvents));
  events_.truncate(checkpoint.bytes);
}

void RunLog::event(std::string_view name, const std::vector<LogField>& fields) {
  const std::string line = log_line(name, fields);
  events_.append_line(line);
  digest_.add(line);
  digest_.add("\n");
}

void RunLog::timing(std::string_view name, const std::vector<LogField>& fields) {
  timings_.append_line(log_line(name, fields));
}

LogPosition RunLog::checkpoint() {
  events_.sync();
  timings_.sync();
  return {.bytes = events_.size(), .digest = digest_.value()};
}

}  // namespace stp

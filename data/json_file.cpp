#include "data/json_file.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "data/text_file.h"
#include "engine/check.h"
#include "engine/file.h"

namespace stp {
namespace {

constexpr std::uint64_t kBytes = std::uint64_t{256} << 20;
constexpr int kLevels = 16;

// Follows the parser and stops it at a key that its object has already.
class KeyWatch {
 public:
  using Json = JsonFile::Json;

  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth > kLevels) problem = fmt::format("more than {} levels", kLevels);
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key && !keys_.back().insert(parsed.get<std::string>()).second) {
      twice = parsed.get<std::string>();
      problem = "is there twice";
    }
    if (!problem.empty()) throw std::invalid_argument(problem);
    return true;
  }

  std::string problem, twice;

 private:
  std::vector<std::unordered_set<std::string>> keys_;
};

}  // namespace

JsonFile::JsonFile(const std::filesystem::path& path, std::string_view what)
    : name_(shown(path)), what_(what), text_(read_text(path, kBytes)) {
  // The parser takes a zero byte for the end of the text and would pass over what follows.
  if (const std::size_t zero = text_.find('\0'); zero != std::string::npos)
    refuse("{}:{}: no JSON; fetch the {} again", name_, line_of(zero), what_);
  KeyWatch watch;
  try {
    root_ = Json::parse(
        text_, [&](int depth, Json::parse_event_t event, Json& parsed) { return watch(depth, event, parsed); });
  } catch (const Json::parse_error& error) {
    refuse("{}:{}: no JSON; fetch the {} again", name_, line_of(error.byte), what_);
  } catch (const std::invalid_argument&) {
    if (watch.twice.empty()) refuse("{}: {}; this is no {}", name_, watch.problem, what_);
    bad(watch.twice, watch.problem);
  }
}

int JsonFile::line_of(std::size_t byte) const {
  const auto end = text_.begin() + static_cast<std::ptrdiff_t>(std::min(byte, text_.size()));
  return 1 + static_cast<int>(std::count(text_.begin(), end, '\n'));
}

std::string JsonFile::at(std::string_view key) const {
  const std::size_t found = key.empty()
                                ? std::string::npos
                                : text_.find(Json(key).dump(-1, ' ', false, Json::error_handler_t::replace));
  return found == std::string::npos ? name_ : fmt::format("{}:{}", name_, line_of(found));
}

void JsonFile::bad(std::string_view key, std::string_view problem) const {
  const std::string about = key.empty() ? "" : fmt::format("'{}' ", brief(key));
  refuse("{}: {}{}; fetch the {} again", at(key), about, problem, what_);
}

}  // namespace stp

// Annotations that others wrote as JSON: read whole and bounded, no key twice, no deep nesting; what is wrong
// is told with file and line.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace stp {

class JsonFile {
 public:
  using Json = nlohmann::ordered_json;

  // At most 256 MiB and 16 levels. `what` it should be, for messages: "annotations of CelebV-HQ". Throws Error
  // (usage).
  JsonFile(const std::filesystem::path& path, std::string_view what);

  const Json& root() const { return root_; }
  std::string name() const { return name_; }
  // "FILE:LINE" of the place where `key` first stands as a key or text; the file alone if it does not.
  std::string at(std::string_view key) const;
  // Refuses with "FILE:LINE: 'key': problem; fetch the WHAT again".
  [[noreturn]] void bad(std::string_view key, std::string_view problem) const;

 private:
  int line_of(std::size_t byte) const;

  std::string name_, what_, text_;
  Json root_;
};

}  // namespace stp

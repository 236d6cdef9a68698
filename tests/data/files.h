// Files for the tests of data sets: a temporary folder that goes away, text files in it, the one line of an
// Error, and the folder of real recordings.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "engine/check.h"

namespace stp::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "stprivacy-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail("{}: cannot be made", name);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  // Writes `text` as it is, making the folders on the way; returns the path.
  std::filesystem::path write(std::string_view name, std::string_view text) const {
    std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
    return path;
  }

  // The message of the Error that `action` throws, this folder written as DIR; "" if it throws none.
  template <class Action>
  std::string error_of(const Action& action) const {
    try {
      action();
    } catch (const Error& error) {
      std::string message = error.what();
      for (std::size_t at; (at = message.find(path_.string())) != std::string::npos;)
        message.replace(at, path_.string().size(), "DIR");
      return message;
    }
    return "";
  }

 private:
  std::filesystem::path path_;
};

// The folder of real recordings below STPRIVACY_DATA (default ../shared/data); empty if it is not there, and
// then one line says that the test was skipped.
inline std::filesystem::path recordings(std::string_view folder) {
  const char* given = std::getenv("STPRIVACY_DATA");
  const std::filesystem::path root = given != nullptr ? given : STP_SOURCE_DIR "/../shared/data";
  if (std::filesystem::exists(root / folder)) return root / folder;
  MESSAGE("skipped: no ", std::string(folder), " below STPRIVACY_DATA");
  return {};
}

}  // namespace stp::test

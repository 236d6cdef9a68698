// The options of an experiment: one table that says for every option its key, where its value lives, what is
// allowed and what it means. Recipe files (TOML), --set key=value, --help, the documentation and the printed
// configuration all come from it, so that they cannot disagree. Default < file < flag.
//
//   struct Recipe { int steps = 80; double rate = 1e-3; std::string selection = "slot"; };
//   Recipe recipe;
//   Schema schema;
//   schema.add("train.steps", &recipe.steps, "iterations of the first phase", at_least(1));
//   schema.add("train.rate", &recipe.rate, "peak learning rate", above(0));
//   schema.add("model.selection", &recipe.selection, "which tokens compete", one_of({"slot", "clip"}));
//   schema.load("recipe.toml", flags);  // flags: {"train.steps=5", "model.selection=clip"}
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config_option.h"

namespace stp {

enum class Origin { preset, file, flag };

// One option as it stands; values in TOML spelling.
struct OptionState {
  std::string key, type, allowed, meaning, preset, value;
  Origin origin = Origin::preset;
};

class Schema {
 public:
  // Registers an option; its value now is its default. The target must outlive the schema. Keys are dotted
  // paths of [a-z0-9_]. A key twice, a key that is also a group, or a default that is not allowed is an Error
  // (failure).
  void add(std::string key, OptionTarget target, std::string meaning, Allowed allowed = {});

  // Reads a recipe (none if the path is empty) and then the flags ("key=value"). Throws one Error (usage) with
  // all problems, one a line, each saying where it is, what is wrong and what is wanted.
  void load(const std::filesystem::path& file, std::span<const std::string> flags);

  // The same in parts: they set what is right and return the problems.
  std::vector<std::string> read(std::string_view text, std::string_view source);
  std::vector<std::string> set(std::string_view assignment);

  // In the order of registration.
  std::vector<OptionState> options() const;

  // The whole configuration as a recipe that reads back to the same values, doubles to the bit; on request with
  // a comment that names the origin of each value.
  std::string resolved(bool with_origin = false) const;
  std::string help() const;      // for a terminal
  std::string markdown() const;  // a table

 private:
  struct Option {
    std::string key;
    OptionTarget target;
    std::string meaning;
    Allowed allowed;
    std::string preset;
    Origin origin = Origin::preset;
  };

  Option* find(std::string_view key);
  bool is_group(std::string_view key) const;
  std::string unknown(std::string_view key) const;
  // Sets an option, or says what is wrong.
  std::string apply(std::string_view key, const ConfigValue& value, Origin origin);

  std::vector<Option> options_;
};

}  // namespace stp

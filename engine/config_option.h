// One option of a configuration: where its value lives, which values it takes, and their spelling in messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "engine/config_value.h"

namespace stp {

// The place of an option's value; its type is the option's type.
using OptionTarget = std::variant<bool*, int*, std::int64_t*, double*, std::string*, std::vector<int>*,
                                  std::vector<std::int64_t>*, std::vector<double>*, std::vector<std::string>*>;

// What an option accepts besides its type. Of a list: each item. Numbers are finite, texts have no control
// characters.
struct Allowed {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool open_low = false, open_high = false;  // the bound itself is excluded
  std::vector<std::string> words = {};       // empty: any text
  std::size_t min_items = 0, max_items = std::numeric_limits<std::size_t>::max();
};
Allowed at_least(double low);
Allowed at_most(double high);
Allowed above(double low);
Allowed between(double low, double high);      // both included
Allowed above_up_to(double low, double high);  // low excluded, high included
Allowed one_of(std::vector<std::string> words);
Allowed items(std::size_t least, std::size_t most, Allowed item = {});

std::string type_text(const OptionTarget& target);  // "a list of numbers"
std::string allowed_text(const Allowed& allowed);   // "above 0, at most 1"; empty: everything
bool is_list(const OptionTarget& target);
bool takes_text(const OptionTarget& target);

ConfigValue value_of(const OptionTarget& target);

// Sets the target, or leaves it and says what is wrong: "is 0, wanted an integer, at least 1". An integer may
// stand for a number, never the other way round.
std::string assign(const OptionTarget& target, const Allowed& allowed, const ConfigValue& value);

}  // namespace stp

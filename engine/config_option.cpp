#include "engine/config_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "engine/text.h"

namespace stp {
namespace {

// The type of the option at a place, and of one item if it is a list.
template <class Place>
struct Kind {
  using Item = Place;
  static constexpr bool kList = false;
};
template <class T>
struct Kind<std::vector<T>> {
  using Item = T;
  static constexpr bool kList = true;
};
template <class Pointer>
using KindAt = Kind<std::remove_pointer_t<Pointer>>;

template <class T>
constexpr const char* singular() {
  if constexpr (std::same_as<T, bool>) return "true or false";
  if constexpr (std::same_as<T, double>) return "a number";
  if constexpr (std::same_as<T, std::string>) return "a text";
  return "an integer";
}

template <class T>
constexpr const char* plural() {
  if constexpr (std::same_as<T, double>) return "a list of numbers";
  if constexpr (std::same_as<T, std::string>) return "a list of texts";
  return "a list of integers";
}

// The scalar as a T, if it is one without loss.
template <class T>
std::optional<T> exactly(const ConfigScalar& value) {
  if constexpr (std::same_as<T, int>) {
    const auto* integer = std::get_if<std::int64_t>(&value);
    if (integer != nullptr && std::in_range<int>(*integer)) return static_cast<int>(*integer);
    return std::nullopt;
  } else {
    if constexpr (std::same_as<T, double>) {
      constexpr std::int64_t kExact = std::int64_t{1} << 53;
      const auto* integer = std::get_if<std::int64_t>(&value);
      if (integer != nullptr && *integer >= -kExact && *integer <= kExact) return static_cast<double>(*integer);
    }
    const T* same = std::get_if<T>(&value);
    return same == nullptr ? std::nullopt : std::optional<T>(*same);
  }
}

template <class T>
bool is_allowed(const T& value, const Allowed& a) {
  if constexpr (std::same_as<T, bool>) return true;
  if constexpr (std::same_as<T, std::string>) {
    const bool known = a.words.empty() || std::find(a.words.begin(), a.words.end(), value) != a.words.end();
    return known && printable(value) == value;
  }
  if constexpr (std::is_arithmetic_v<T>) {
    const auto x = static_cast<double>(value);  // NaN compares false with every bound
    return std::isfinite(x) && (a.open_low ? x > a.low : x >= a.low) &&
           (a.open_high ? x < a.high : x <= a.high);
  }
}

std::string range_text(const Allowed& a) {
  const bool low = std::isfinite(a.low), high = std::isfinite(a.high);
  if (low && high && !a.open_low && !a.open_high) return fmt::format("{} to {}", a.low, a.high);
  std::string text;
  if (low) text = fmt::format("{} {}", a.open_low ? "above" : "at least", a.low);
  if (low && high) text += ", ";
  if (high) text += fmt::format("{} {}", a.open_high ? "below" : "at most", a.high);
  return text;
}

std::string items_text(const Allowed& a) {
  const bool bounded = a.max_items != Allowed().max_items;
  if (!bounded) return a.min_items == 0 ? "" : fmt::format("{} items or more", a.min_items);
  if (a.min_items == a.max_items) return fmt::format("{} items", a.min_items);
  return fmt::format("{} to {} items", a.min_items, a.max_items);
}

// A value as a message shows it: no longer than a line, nothing that steers a terminal.
std::string shown_value(const ConfigValue& value) {
  constexpr std::size_t kLongest = 80;
  const std::string text = toml_text(value);
  return text.size() <= kLongest ? text : printable(text.substr(0, kLongest)) + "...";
}

template <class Pointer>
bool assign_at(Pointer place, const Allowed& allowed, const ConfigValue& value) {
  using Item = typename KindAt<Pointer>::Item;
  if (!value.other.empty() || value.list != KindAt<Pointer>::kList) return false;
  std::vector<Item> items;
  for (const ConfigScalar& scalar : value.items) {
    const std::optional<Item> item = exactly<Item>(scalar);
    if (!item || !is_allowed(*item, allowed)) return false;
    items.push_back(*item);
  }
  if constexpr (KindAt<Pointer>::kList) {
    if (items.size() < allowed.min_items || items.size() > allowed.max_items) return false;
    *place = std::move(items);
  } else {
    *place = items.front();
  }
  return true;
}

}  // namespace

Allowed at_least(double low) { return {.low = low}; }
Allowed at_most(double high) { return {.high = high}; }
Allowed above(double low) { return {.low = low, .open_low = true}; }
Allowed between(double low, double high) { return {.low = low, .high = high}; }
Allowed above_up_to(double low, double high) { return {.low = low, .high = high, .open_low = true}; }
Allowed one_of(std::vector<std::string> words) { return {.words = std::move(words)}; }
Allowed items(std::size_t least, std::size_t most, Allowed item) {
  item.min_items = least;
  item.max_items = most;
  return item;
}

std::string type_text(const OptionTarget& target) {
  return std::visit(
      [](auto* place) -> std::string {
        using Place = KindAt<decltype(place)>;
        return Place::kList ? plural<typename Place::Item>() : singular<typename Place::Item>();
      },
      target);
}

std::string allowed_text(const Allowed& allowed) {
  const std::string words = fmt::format("{}", fmt::join(allowed.words, ", "));
  const std::string each = words.empty() ? range_text(allowed) : "one of " + words;
  const std::string count = items_text(allowed);
  return count.empty() || each.empty() ? count + each : count + ", each " + each;
}

bool is_list(const OptionTarget& target) {
  return std::visit([](auto* place) { return KindAt<decltype(place)>::kList; }, target);
}

bool takes_text(const OptionTarget& target) {
  return std::visit(
      [](auto* place) { return std::same_as<typename KindAt<decltype(place)>::Item, std::string>; }, target);
}

ConfigValue value_of(const OptionTarget& target) {
  const auto scalar = [](const auto& x) -> ConfigScalar {
    if constexpr (std::same_as<std::decay_t<decltype(x)>, int>)
      return std::int64_t{x};
    else
      return x;
  };
  return std::visit(
      [&](const auto* place) {
        ConfigValue value;
        if constexpr (KindAt<std::remove_const_t<std::remove_pointer_t<decltype(place)>>*>::kList) {
          value.list = true;
          for (const auto& item : *place) value.items.push_back(scalar(item));
        } else {
          value.items.push_back(scalar(*place));
        }
        return value;
      },
      target);
}

std::string assign(const OptionTarget& target, const Allowed& allowed, const ConfigValue& value) {
  if (std::visit([&](auto* place) { return assign_at(place, allowed, value); }, target)) return {};
  const auto wide = [](const ConfigScalar& scalar) {
    const auto* integer = std::get_if<std::int64_t>(&scalar);
    return integer != nullptr && !std::in_range<int>(*integer);
  };
  const bool narrow = std::holds_alternative<int*>(target) || std::holds_alternative<std::vector<int>*>(target);
  const bool too_wide = narrow && std::any_of(value.items.begin(), value.items.end(), wide);
  const std::string limits = allowed_text(allowed);
  return fmt::format("is {}, wanted {}{}{}{}", shown_value(value), type_text(target),
                     too_wide ? " of 32 bits" : "", limits.empty() ? "" : ", ", limits);
}

}  // namespace stp

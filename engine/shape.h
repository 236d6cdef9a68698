// The shape of a tensor: up to six dimensions, slowest first.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "engine/check.h"

namespace stp {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes) {
    for (std::int64_t size : sizes) append(size);
  }

  // Adds a fastest dimension.
  void append(std::int64_t size) {
    check(rank_ < kMaxRank, "shape: more than {} dimensions", kMaxRank);
    check(size >= 0, "shape: negative size {}", size);
    size_[static_cast<std::size_t>(rank_++)] = size;
  }

  int rank() const { return rank_; }
  // Size of dimension i; negative i counts from the fastest: s[-1].
  std::int64_t operator[](int i) const { return size_[static_cast<std::size_t>(i < 0 ? rank_ + i : i)]; }
  std::int64_t elements() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= (*this)[i];
    return n;
  }
  // Elements of all dimensions but the fastest: the rows of a matrix.
  std::int64_t rows() const { return rank_ == 0 || (*this)[-1] == 0 ? 0 : elements() / (*this)[-1]; }

  friend bool operator==(const Shape& a, const Shape& b) = default;

  std::string text() const {
    std::string s = "(";
    for (int i = 0; i < rank_; ++i) s += fmt::format("{}{}", i ? ", " : "", (*this)[i]);
    return s + ")";
  }

 private:
  std::array<std::int64_t, kMaxRank> size_{};
  int rank_ = 0;
};

}  // namespace stp

template <>
struct fmt::formatter<stp::Shape> : fmt::formatter<std::string> {
  auto format(const stp::Shape& shape, fmt::format_context& context) const {
    return fmt::formatter<std::string>::format(shape.text(), context);
  }
};

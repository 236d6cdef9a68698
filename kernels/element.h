// What a contract's pointers point at: values in f32 or bf16, and gradients that are written or added to; and
// how exactly they are multiplied.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace stp {

// Storage of activations. Sums are always f32; parameters, statistics, policies, losses and pixels are f32 too.
enum class Element : std::uint8_t { f32, bf16 };

// How values in f32 are multiplied: as they are, or rounded to the 10 bits of tf32 where a device has units for
// that. Sums are f32 either way, and so are products of values in bf16.
enum class Math : std::uint8_t { exact, tf32 };

constexpr std::size_t bytes_of(Element type) { return type == Element::f32 ? 4 : 2; }

constexpr float from_bf16(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}
// Rounds to nearest even; NaN stays NaN.
constexpr std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return static_cast<std::uint16_t>((bits | 0x00400000u) >> 16);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

// Values that a kernel reads.
struct In {
  const void* data = nullptr;
  Element type = Element::f32;

  constexpr const float* f32() const { return static_cast<const float*>(data); }
  constexpr explicit operator bool() const { return data != nullptr; }
};

// Values that a kernel writes, every one of them.
struct Out {
  void* data = nullptr;
  Element type = Element::f32;

  constexpr float* f32() const { return static_cast<float*>(data); }
  constexpr explicit operator bool() const { return data != nullptr; }
};

// A gradient that a kernel contributes to. Null: not wanted, and nothing is computed for it. `add` tells
// whether an earlier contribution is there to be added to; if not, the memory is unset and every element is
// written, which spares a pass that would only fill it with zeros.
struct Grad {
  void* data = nullptr;
  Element type = Element::f32;
  bool add = false;

  constexpr float* f32() const { return static_cast<float*>(data); }
  constexpr explicit operator bool() const { return data != nullptr; }
};

}  // namespace stp

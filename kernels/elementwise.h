// Element by element.
#pragma once

#include <cstdint>

#include "kernels/cost.h"
#include "kernels/element.h"

namespace stp {

// to = from, or to += from: the backward of an identity, and the way from one type to the other.
struct Accumulate {
  In from;  // (count)
  Grad to;  // (count)
  std::int64_t count;
};

inline Cost cost(const Accumulate& a) {
  const double n = static_cast<double>(a.count), e = static_cast<double>(bytes_of(a.to.type));
  return {a.to.add ? n : 0, n * (static_cast<double>(bytes_of(a.from.type)) + e * (a.to.add ? 2 : 1)), 0};
}

// to = value: constants come to be on the device, so that a step uploads nothing.
struct Fill {
  float* to;  // (count)
  std::int64_t count;
  float value;
};

inline Cost cost(const Fill& a) { return {0, 4 * static_cast<double>(a.count), 0}; }

// The exact GELU, out = x Phi(x) with Phi the normal distribution function (erf form).
struct GeluForward {
  In x;     // (count)
  Out out;  // (count)
  std::int64_t count;
};

// dx = dout (Phi(x) + x phi(x)). Phi is at hand, so forward's result comes again at the price of writing it:
// whoever needs it in backward need not keep it.
struct GeluBackward {
  In x, dout;  // (count)
  Grad dx;     // (count); may be dout itself
  Out out;     // (count) x Phi(x) again; null: not wanted
  std::int64_t count;
};

// out = e^x
struct ExpForward {
  const float* x;  // (count)
  float* out;      // (count)
  std::int64_t count;
};

// dx = dout out
struct ExpBackward {
  const float *out, *dout;  // (count)
  Grad dx;                  // (count) f32
  std::int64_t count;
};

inline Cost cost(const ExpForward& a) {
  const double n = static_cast<double>(a.count);
  return {0, 8 * n, n};
}

inline Cost cost(const ExpBackward& a) {
  const double n = static_cast<double>(a.count);
  return {n, 12 * n, 0};
}

inline Cost cost(const GeluForward& a) {
  const double n = static_cast<double>(a.count), e = static_cast<double>(bytes_of(a.x.type));
  return {2 * n, 2 * n * e, n};
}

inline Cost cost(const GeluBackward& a) {
  const double n = static_cast<double>(a.count), e = static_cast<double>(bytes_of(a.x.type));
  return {4 * n, (a.out ? 4 : 3) * n * e, 2 * n};
}

}  // namespace stp

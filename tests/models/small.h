// The small networks that these tests are about: clips that are neither square nor cubic, 3 slots of 2 x 3
// tokens.
#pragma once

#include <string>
#include <vector>

#include "engine/rng.h"
#include "models/stprivacy.h"

namespace stp::test {

inline VitOptions small_vit(Element storage = Element::f32) {
  VitOptions v;
  v.T = 6;
  v.Y = 8;
  v.X = 12;
  v.t = 2;
  v.y = v.x = 4;
  v.E = 24;
  v.heads = 2;
  v.depth = 4;
  v.storage = storage;
  return v;
}

inline StprivacyOptions small_stprivacy(Element storage = Element::f32) {
  StprivacyOptions o;
  o.vit = small_vit(storage);
  o.score_before = {1, 2, 3};
  return o;
}

// Values drawn by name.
inline Tensor normal(const Backend& backend, const Shape& shape, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(shape.elements()));
  Random random(3, stream_id(name));
  for (float& v : values) v = static_cast<float>(random.normal());
  return Tensor::from(backend, shape, values);
}

}  // namespace stp::test

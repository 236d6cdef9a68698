// The start of small networks: what is rescaled, what is not, and positions that can be told apart.
#include "models/start.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "models/recogniser.h"

using namespace stp;

namespace {

VitOptions vit_of_width(std::int64_t E) {
  VitOptions v;
  v.T = 8;
  v.Y = 24;
  v.X = 40;
  v.t = 2;
  v.y = v.x = 8;
  v.E = E;
  v.heads = 2;
  v.depth = 2;
  return v;
}

double deviation(const std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (const float v : values) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / n - sum / n * (sum / n));
}

TEST_CASE("small start: trunk matrices are drawn to their inputs, the rest stays") {
  const VitOptions vit = vit_of_width(96);
  const Recogniser fresh(Backend(Device::cpu), 3, {vit, 5, 1.0}), small(Backend(Device::cpu), 3, {vit, 5, 1.0});
  start_small(small.parameters(), vit);
  int rescaled = 0;
  for (std::size_t i = 0; i < fresh.parameters().all().size(); ++i) {
    const Parameter &a = fresh.parameters().all()[i], &b = small.parameters().all()[i];
    CAPTURE(a.name);
    const bool trunk = a.name.starts_with("blocks.") || a.name.starts_with("patch_embed.");
    if (a.name == "pos_embed") continue;
    if (!trunk || a.shape.rank() == 1) {
      CHECK((a.tensor.values() == b.tensor.values()));
      continue;
    }
    ++rescaled;
    const double inputs = static_cast<double>(a.shape.elements()) / static_cast<double>(a.shape[0]);
    // A normal cut at two deviations has 0.8796 of its deviation. Of n draws it is uncertain by 1 / sqrt(2 n),
    // below 1 % here; six of those.
    CHECK(deviation(b.tensor.values()) * std::sqrt(inputs) == doctest::Approx(0.8796).epsilon(0.06));
  }
  CHECK(rescaled == 1 + 2 * 4);  // the patches; qkv, proj, fc1, fc2 of each block
}

TEST_CASE("small start: every place has a position of its own") {
  for (const std::int64_t E : {12, 24, 50, 96, 384}) {
    CAPTURE(E);
    const VitOptions vit = vit_of_width(E);
    const std::vector<float> waves = wave_positions(vit);
    REQUIRE(waves.size() == static_cast<std::size_t>(vit.tokens() * E));
    const auto distance = [&](std::int64_t m, std::int64_t n) {
      double sum = 0;
      for (std::int64_t e = 0; e < E; ++e) {
        const double d = waves[std::size_t(m * E + e)] - waves[std::size_t(n * E + e)];
        sum += d * d;
      }
      return sum;
    };
    double nearest = 1e9;
    for (std::int64_t m = 0; m < vit.tokens(); ++m)
      for (std::int64_t n = 0; n < m; ++n) nearest = std::min(nearest, distance(m, n));
    CHECK(nearest > 0.01);
    for (const float w : waves) CHECK(std::abs(w) <= 1);
  }
}

TEST_CASE("small start: the narrowest width that tells places apart, and the refusal of less") {
  for (const std::int64_t E : {12, 13, 14, 15, 16, 17, 18}) {
    CAPTURE(E);
    VitOptions vit = vit_of_width(E);
    vit.T = 2;  // one axis of 40 places, the others of one
    vit.Y = vit.y;
    vit.X = 40 * vit.x;
    const std::vector<float> waves = wave_positions(vit);
    std::set<std::vector<float>> different;
    for (auto row = waves.begin(); row != waves.end(); row += E) different.emplace(row, row + E);
    CHECK(different.size() == 40);
  }
  for (const std::int64_t E : {1, 6, 11}) CHECK_THROWS_AS(wave_positions(vit_of_width(E)), Error);
}

TEST_CASE("small start: the same from the same seed, another from another") {
  const VitOptions vit = vit_of_width(24);
  const auto start = [&](std::uint64_t seed) {
    const Recogniser network(Backend(Device::cpu), seed, {vit, 5, 1.0});
    start_small(network.parameters(), vit);
    std::vector<float> all;
    for (const Parameter& p : network.parameters().all())
      for (const float v : p.tensor.values()) all.push_back(v);
    return all;
  };
  CHECK((start(3) == start(3)));
  CHECK((start(3) != start(4)));
}

}  // namespace

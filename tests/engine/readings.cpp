#include "engine/readings.h"

#include <doctest/doctest.h>

using namespace stp;

TEST_CASE("readings are the values at the time of fetching, in the order of noting") {
  const Backend backend(Device::cpu);
  const Tensor loss = Tensor::filled(backend, {1}, 0.5f),
               sums = Tensor::from(backend, {3}, std::vector<float>{1, 2, 3});
  Readings readings;
  const std::size_t of_loss = readings.note(loss), of_none = readings.note({}), of_sums = readings.note(sums);
  loss.assign(std::vector<float>{0.25f});
  readings.fetch();
  CHECK(readings.number(of_loss) == 0.25);
  CHECK(readings.number(of_none) == 0);
  CHECK(readings.at(of_none).empty());
  CHECK(std::vector<float>(readings.at(of_sums).begin(), readings.at(of_sums).end()) == sums.values());
}

TEST_CASE("nothing noted is nothing fetched") {
  Readings readings;
  CHECK(readings.note({}) == 0);
  readings.fetch();
  CHECK(readings.number(0) == 0);
}

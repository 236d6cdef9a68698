// Uploads beside the work, on a device whose uploads come as late as they may: not before they are waited for.
#include "engine/staging.h"

#include <doctest/doctest.h>

#include <cstring>

#include "engine/tensor.h"

using namespace stp;

namespace {

struct Upload {
  void* to;
  const void* from;
  std::size_t bytes;
};
// A kernel table's functions have no state of their own.
std::vector<Upload> pending;

void deliver() {
  for (const Upload& u : pending) std::memcpy(u.to, u.from, u.bytes);
  pending.clear();
}

const KernelTable& late() {
  static const KernelTable table = [] {
    KernelTable changed = kernels(Device::cpu);
    changed.memory.upload_beside = [](void* to, const void* from, std::size_t bytes) {
      pending.push_back({to, from, bytes});
    };
    changed.memory.join_uploads = deliver;
    changed.memory.wait_uploads = deliver;
    return changed;
  }();
  return table;
}

void load(Staging& staging, const std::vector<Tensor>& parts, float value) {
  staging.begin(parts.size() * 5 * sizeof(float));
  for (const Tensor& part : parts) {
    const std::vector<float> values(5, value);  // gone before the upload is done
    staging.upload(part.out().data, values.data(), sizeof(float) * values.size());
  }
}

}  // namespace

TEST_CASE("staged values are there after join, and a load does not overtake the one before it") {
  const Backend backend(Device::cpu, late());
  const auto two = [&] {
    return std::vector<Tensor>{Tensor::zeros(backend, {5}), Tensor::zeros(backend, {5})};
  };
  const std::vector<Tensor> first = two(), second = two();
  {
    Staging staging(backend);
    load(staging, first, 1);
    CHECK(first[0].values() == std::vector<float>(5, 0.0f));
    load(staging, second, 2);  // over the same host memory
    for (const Tensor& part : first) CHECK(part.values() == std::vector<float>(5, 1.0f));
    staging.join();
    for (const Tensor& part : second) CHECK(part.values() == std::vector<float>(5, 2.0f));
    load(staging, first, 3);
  }
  // Going away waits too.
  for (const Tensor& part : first) CHECK(part.values() == std::vector<float>(5, 3.0f));
}

TEST_CASE("a load larger than announced is refused") {
  const Backend backend(Device::cpu);
  Staging staging(backend);
  const Tensor big = Tensor::zeros(backend, {4096});
  const std::vector<float> values(4096, 1.0f);
  staging.begin(16);
  CHECK_THROWS_AS(staging.upload(big.out().data, values.data(), values.size() * sizeof(float)), Error);
}

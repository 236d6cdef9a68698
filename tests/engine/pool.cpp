// Where the pool puts blocks, and what it takes from the device.
#include "engine/pool.h"

#include <doctest/doctest.h>

#include <array>

#include "kernels/table.h"

using namespace stp;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

const DeviceMemory& host() { return kernels(Device::cpu).memory; }

}  // namespace

TEST_CASE("pool: memory of one size serves others, and free neighbours become one") {
  Pool pool(host(), Pool::Blocks::cut);
  const std::array<Pool::Block, 3> thirds = {pool.allocate(10 * kMiB), pool.allocate(10 * kMiB),
                                             pool.allocate(10 * kMiB)};
  const std::size_t held = pool.held();
  pool.release(thirds[0]);
  pool.release(thirds[2]);
  pool.release(thirds[1]);  // between two free ones
  const Pool::Block whole = pool.allocate(30 * kMiB);
  CHECK(whole.start == thirds[0].start);
  pool.release(whole);
  const Pool::Block small = pool.allocate(1), next = pool.allocate(1);
  CHECK(small.start == thirds[0].start);
  CHECK(static_cast<char*>(next.start) - static_cast<char*>(small.start) == 256);
  CHECK(pool.held() == held);
  pool.release(small);
  pool.release(next);
}

TEST_CASE("pool: the first place that fits is taken, whatever fits better further on") {
  Pool pool(host(), Pool::Blocks::cut);
  const Pool::Block wide = pool.allocate(4 * kMiB), wall = pool.allocate(kMiB), narrow = pool.allocate(kMiB),
                    end = pool.allocate(kMiB);
  pool.release(wide);
  pool.release(narrow);
  const Pool::Block first = pool.allocate(kMiB), large = pool.allocate(3 * kMiB), again = pool.allocate(kMiB);
  CHECK(first.place == wide.place);
  CHECK(large.place == wide.place + kMiB);
  CHECK(again.place == narrow.place);
  for (const Pool::Block& block : {wall, end, first, large, again}) pool.release(block);
}

TEST_CASE("pool: blocks of different segments never become one, and each is whole") {
  Pool pool(host(), Pool::Blocks::cut);
  const Pool::Block a = pool.allocate(40 * kMiB), b = pool.allocate(40 * kMiB);
  const std::size_t held = pool.held();
  pool.release(a);
  pool.release(b);
  const Pool::Block larger = pool.allocate(60 * kMiB);
  CHECK(pool.held() >= held + 60 * kMiB);
  pool.release(larger);
}

TEST_CASE("pool: blocks apart are the device's own and serve only their own size") {
  Pool pool(host(), Pool::Blocks::apart);
  const Pool::Block block = pool.allocate(1000);
  CHECK(block.bytes == 1024);
  CHECK(pool.held() == 1024);
  pool.release(block);
  const Pool::Block smaller = pool.allocate(500), same = pool.allocate(1000);
  CHECK(smaller.start != block.start);
  CHECK(same.start == block.start);
  pool.release(smaller);
  pool.release(same);
}

TEST_CASE("pool: a device that has little is asked for no more than needed, then told by a null start") {
  DeviceMemory small = host();
  small.allocate = [](std::size_t bytes) -> void* {
    return bytes <= 4096 ? kernels(Device::cpu).memory.allocate(bytes) : nullptr;
  };
  Pool pool(small, Pool::Blocks::cut);
  const Pool::Block block = pool.allocate(4000);
  CHECK(block.start != nullptr);
  CHECK(pool.held() == 4096);
  pool.release(block);
  CHECK(pool.allocate(5000).start == nullptr);
  CHECK(pool.held() == 0);  // what was free was given back before giving up
}

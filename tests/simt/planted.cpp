// The checked build must find planted faults: each kernel below is right, and wrong in one way when asked.
// This file is compiled with the checked build's instrumentation, like the kernels themselves.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/simt/checker.h"
#include "kernels/simt/ptx.h"

namespace stp::simt {
namespace {

struct Plant {
  const float* in;  // (n)
  float* out;       // (n)
  int n;
  bool broken;
};

__device__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ int self() { return static_cast<int>(threadIdx.x); }

// --- Barriers.

__global__ void missing_barrier(Plant a) {
  SHARED_ARRAY(float, s, 64);
  s[self()] = a.in[self()];
  if (!a.broken) sync_block();
  a.out[self()] = s[63 - self()];
}

__global__ void missing_second_barrier(Plant a) {
  SHARED_ARRAY(float, s, 64);
  s[self()] = a.in[self()];
  sync_block();
  const float x = s[63 - self()];
  if (!a.broken) sync_block();
  s[self()] = 2 * x;
  sync_block();
  a.out[self()] = s[63 - self()];
}

__global__ void missing_warp_barrier(Plant a) {
  SHARED_ARRAY(float, s, 64);
  s[self()] = a.in[self()];
  if (!a.broken) sync_warp();
  a.out[self()] = s[self() ^ 1];
}

__global__ void shuffle_is_no_barrier(Plant a) {
  SHARED_ARRAY(float, s, 64);
  s[self()] = a.in[self()];
  if (a.broken) {
    shuffle_xor(1.0f, 1);
  } else {
    sync_warp();
  }
  a.out[self()] = s[self() ^ 1];
}

__global__ void divergent_barrier(Plant a) {
  if (!a.broken || self() < 32) sync_block();
  a.out[self()] = 1;
}

__global__ void barrier_in_uneven_loop(Plant a) {
  const int rounds = a.broken ? 1 + self() / 32 : 2;
  for (int i = 0; i < rounds; ++i) sync_block();
  a.out[self()] = 1;
}

__global__ void leaves_before_barrier(Plant a) {
  if (a.broken && self() == 5) return;
  sync_block();
  a.out[self()] = 1;
}

__global__ void two_barriers(Plant a) {
  if (a.broken && self() < 32) {
    sync_block();
  } else {
    sync_block();
  }
  a.out[self()] = 1;
}

// --- Asynchronous copies.

__global__ void copy_without_wait(Plant a) {
  SHARED_ARRAY(float, s, 64);
  if (self() < 16) copy16(s + 4 * self(), a.in + 4 * self());
  commit_copies();
  if (!a.broken) wait_copies<0>();
  sync_block();
  a.out[self()] = s[self()];
}

__global__ void copy_waits_for_too_few(Plant a) {
  SHARED_ARRAY(float, s, 64);
  if (self() < 8) copy16(s + 4 * self(), a.in + 4 * self());
  commit_copies();
  if (self() >= 8 && self() < 16) copy16(s + 4 * self(), a.in + 4 * self());
  commit_copies();
  if (a.broken) {
    wait_copies<1>();
  } else {
    wait_copies<0>();
  }
  sync_block();
  a.out[self()] = s[self()];
}

__global__ void copy_without_barrier(Plant a) {
  SHARED_ARRAY(float, s, 64);
  if (self() < 16) copy16(s + 4 * self(), a.in + 4 * self());
  commit_copies();
  wait_copies<0>();
  if (!a.broken) sync_block();
  a.out[self()] = s[63 - self()];
}

__global__ void buffer_refilled_early(Plant a) {
  SHARED_ARRAY(float, s, 32);
  float sum = 0;
  for (int tile = 0; tile < 2; ++tile) {
    if (self() < 8) copy16(s + 4 * self(), a.in + 32 * tile + 4 * self());
    commit_copies();
    wait_copies<0>();
    sync_block();
    sum += s[self() % 32];
    if (!a.broken) sync_block();
  }
  a.out[self()] = sum;
}

// --- Edges of tiles.

__global__ void reads_past_end(Plant a) { a.out[self()] = a.in[self() + (a.broken ? 1 : 0)]; }

__global__ void reads_before_start(Plant a) { a.out[self()] = a.in[self() - (a.broken ? 1 : 0)]; }

__global__ void writes_past_end(Plant a) { a.out[self() + (a.broken ? 1 : 0)] = a.in[self()]; }

__global__ void writes_past_shared(Plant a) {
  SHARED_ARRAY(float, s, 64);
  s[self() + (a.broken ? 1 : 0)] = a.in[self()];
  a.out[self()] = 1;
}

__global__ void reads_past_shared(Plant a) {
  SHARED_ARRAY(float, s, 64);
  s[self()] = a.in[self()];
  sync_block();
  a.out[self()] = s[(self() + 1) % 64 + (a.broken ? 1 : 0)];
}

// Rows of 50 in tiles of 64: the last row of a tile is not there.
__global__ void writes_rows_that_are_not_there(Plant a) {
  if (self() < a.n || a.broken) a.out[self()] = 1;
}

__global__ void reads_rows_that_are_not_there(Plant a) {
  const int row = a.broken ? self() : std::min(self(), a.n - 1);
  const float value = a.in[row];
  if (self() < a.n) a.out[self()] = value;
}

__global__ void copies_past_end(Plant a) {
  SHARED_ARRAY(float, s, 64);
  const int left = std::clamp(a.n - 4 * self(), 0, 4) * 4;
  if (self() < 16) copy16(s + 4 * self(), a.in + (left > 0 ? 4 * self() : 0), a.broken ? 16 : left);
  commit_copies();
  wait_copies<0>();
  sync_block();
  if (self() < a.n) a.out[self()] = s[self()];
}

// --- What nobody wrote.

__global__ void reads_unset_shared(Plant a) {
  SHARED_ARRAY(float, s, 64);
  if (!a.broken || self() < 32) s[self()] = a.in[self()];
  sync_block();
  a.out[self()] = s[63 - self()];
}

__global__ void reads_unset_global(Plant a) {
  a.out[self()] = a.in[self()] + (a.broken ? a.out[self()] : 0.0f);
}

// --- Blocks.

__global__ void blocks_write_the_same(Plant a) {
  a.out[a.broken ? self() : static_cast<int>(blockIdx.x) * 32 + self()] = a.in[self()];
}

__global__ void block_reads_another(Plant a) {
  const int mine = static_cast<int>(blockIdx.x) * 32 + self(), other = mine ^ 32;
  a.out[mine] = a.in[mine];
  if (a.broken) a.out[mine] = a.out[other];
}

// --- Alignment and size.

__global__ void misaligned_load(Plant a) {
  const float4 v = load16(a.in + 4 * (self() % 8) + (a.broken ? 1 : 0));
  a.out[self()] = v.x;
}

__global__ void misaligned_matrix(Plant a) {
  SHARED_ARRAY(std::uint32_t, s, 32 * 8);
  for (int i = self(); i < 32 * 8; i += 64) s[i] = 0;
  sync_block();
  std::uint32_t r[4];
  load_matrices(r, s + (lane() % 16) * 8 + (a.broken ? 1 : 0));
  a.out[self()] = static_cast<float>(r[0]);
}

__global__ void too_much_shared(Plant a) {
  SHARED_ARRAY(float, s, 64);
  s[self()] = 1;
  if (a.broken) {
    SHARED_ARRAY(float, big, 60000);
    big[self()] = s[self()];
  }
  a.out[self()] = 1;
}

// --- Warps.

__global__ void shuffle_of_half_a_warp(Plant a) {
  float x = 1;
  if (!a.broken || lane() < 16) x = shuffle_xor(x, 1);
  a.out[self()] = x;
}

__global__ void different_shuffles(Plant a) {
  float x = 1;
  if (a.broken && lane() < 16) {
    x = shuffle_xor(x, 1);
  } else {
    x = shuffle_xor(x, 2);
  }
  a.out[self()] = x;
}

__global__ void shuffle_meets_barrier(Plant a) {
  float x = 1;
  if (a.broken && lane() < 16) {
    sync_block();
  } else {
    x = shuffle_xor(x, 1);
    sync_block();
  }
  a.out[self()] = x;
}

// A piece of device memory.
class Floats {
 public:
  Floats(std::size_t count, bool filled) : data_(static_cast<float*>(allocate(count * sizeof(float)))) {
    for (std::size_t i = 0; i < count; ++i) data_[i] = static_cast<float>(i % 17) - 8;
    if (filled) note_written(data_, count * sizeof(float));
  }
  ~Floats() { release(data_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  float* get() const { return data_; }

 private:
  float* data_;
};

using Kernel = void (*)(Plant);

struct Row {
  const char* what;
  Kernel kernel;
  FaultKind kind;
  unsigned blocks = 1, threads = 64;
  int n = 64;
};

std::vector<Fault> faults_of(const Row& row, bool broken, Schedule schedule) {
  const Floats in(static_cast<std::size_t>(row.n), true), out(static_cast<std::size_t>(row.n), false);
  settings() = {.schedule = schedule, .workers = 1, .collect = true};
  launch(row.what, row.kernel, dim3(row.blocks), dim3(row.threads), 0, {in.get(), out.get(), row.n, broken});
  settings() = {};
  return take_faults();
}

constexpr Row kRows[] = {
    {"missing barrier", missing_barrier, FaultKind::race},
    {"missing second barrier", missing_second_barrier, FaultKind::race},
    {"missing warp barrier", missing_warp_barrier, FaultKind::race},
    {"a shuffle in place of a warp barrier", shuffle_is_no_barrier, FaultKind::race},
    {"divergent barrier", divergent_barrier, FaultKind::divergent_barrier},
    {"barrier in a loop of uneven length", barrier_in_uneven_loop, FaultKind::divergent_barrier},
    {"a thread leaves before the barrier", leaves_before_barrier, FaultKind::divergent_barrier},
    {"threads meet at two barriers", two_barriers, FaultKind::divergent_barrier},
    {"asynchronous copy without wait", copy_without_wait, FaultKind::early_access},
    {"asynchronous copy, a group too few", copy_waits_for_too_few, FaultKind::early_access},
    {"asynchronous copy without barrier", copy_without_barrier, FaultKind::race},
    {"buffer refilled while others read", buffer_refilled_early, FaultKind::race},
    {"read one past the end", reads_past_end, FaultKind::out_of_bounds},
    {"read one before the start", reads_before_start, FaultKind::out_of_bounds},
    {"write one past the end", writes_past_end, FaultKind::out_of_bounds},
    {"write one past a shared array", writes_past_shared, FaultKind::out_of_bounds},
    {"read one past a shared array", reads_past_shared, FaultKind::out_of_bounds},
    {"write to rows of a tile that are not there", writes_rows_that_are_not_there, FaultKind::out_of_bounds, 1,
     64, 50},
    {"read of rows of a tile that are not there", reads_rows_that_are_not_there, FaultKind::out_of_bounds, 1,
     64, 50},
    {"asynchronous copy past the end", copies_past_end, FaultKind::out_of_bounds, 1, 64, 50},
    {"read of unset shared memory", reads_unset_shared, FaultKind::uninitialised},
    {"read of unset device memory", reads_unset_global, FaultKind::uninitialised},
    {"two blocks write the same place", blocks_write_the_same, FaultKind::race, 2, 32},
    {"a block reads what another writes", block_reads_another, FaultKind::race, 2, 32},
    {"misaligned load", misaligned_load, FaultKind::misaligned},
    {"misaligned matrix row", misaligned_matrix, FaultKind::misaligned},
    {"too much shared memory", too_much_shared, FaultKind::shared_memory},
    {"shuffle of half a warp", shuffle_of_half_a_warp, FaultKind::divergent_collective},
    {"lanes meet at two shuffles", different_shuffles, FaultKind::divergent_collective},
    {"a shuffle meets a barrier", shuffle_meets_barrier, FaultKind::deadlock},
};

TEST_CASE("simt, checked: every planted fault is found, and nothing where none is planted") {
  for (const Row& row : kRows) {
    for (const Schedule schedule : {Schedule{Order::forward}, {Order::reversed}, {Order::random, 3}}) {
      CAPTURE(std::string(row.what));
      for (const Fault& fault : faults_of(row, false, schedule)) FAIL_CHECK(describe(fault));
      const std::vector<Fault> found = faults_of(row, true, schedule);
      CHECK(std::ranges::any_of(found, [&](const Fault& f) { return f.kind == row.kind; }));
    }
  }
}

TEST_CASE("simt, checked: a fault names kernel, block, thread and both places") {
  const Row row = {"missing barrier", missing_barrier, FaultKind::race};
  const std::vector<Fault> found = faults_of(row, true, {});
  const auto race = std::ranges::find(found, FaultKind::race, &Fault::kind);
  REQUIRE(race != found.end());
  const std::string line = describe(*race);
  INFO(line);
  CHECK(line.find("kernel missing barrier, block (0, 0, 0), thread ") != std::string::npos);
  const std::size_t first = line.find("planted.cpp:");
  REQUIRE(first != std::string::npos);
  CHECK(line.find("planted.cpp:", first + 1) != std::string::npos);
}

// --- What costs time without being wrong shows in the counters.

__global__ void strided_load(Plant a) { a.out[self()] = a.in[self() * (a.broken ? 8 : 1)]; }

__global__ void conflicting_columns(Plant a) {
  SHARED_ARRAY(float, s, 32 * 33);
  const int pitch = a.broken ? 32 : 33;
  s[self() * pitch] = a.in[self()];
  sync_block();
  a.out[self()] = s[self() * pitch];
}

Traffic traffic_of(Kernel kernel, bool broken) {
  const Floats in(512, true), out(512, false);
  settings() = {.schedule = {}, .workers = 1, .collect = true};
  kChecker.take_traffic();
  launch("traffic", kernel, dim3(1), dim3(32), 0, {in.get(), out.get(), 512, broken});
  settings() = {};
  CHECK(take_faults().empty());
  return kChecker.take_traffic();
}

TEST_CASE("simt, checked: an uncoalesced load shows in the sectors") {
  CHECK(traffic_of(strided_load, false).sectors_per_byte() == 1);
  CHECK(traffic_of(strided_load, true).sectors_per_byte() > 4);
}

TEST_CASE("simt, checked: a bank conflict shows in the wavefronts") {
  const Traffic right = traffic_of(conflicting_columns, false), wrong = traffic_of(conflicting_columns, true);
  CHECK(right.wavefronts == right.ideal_wavefronts);
  CHECK(wrong.wavefronts == 32 * wrong.ideal_wavefronts);
}

// --- Wrong fragments give wrong products.

enum class Fragments { right, wrong_lanes, swapped, not_transposed };

struct Product {
  const std::uint16_t* a;  // (16, 16)
  const std::uint16_t* b;  // (16, 8)
  float* out;              // (16, 8)
  Fragments fragments;
};

__global__ void multiply(Product p) {
  SHARED_ARRAY(std::uint16_t, a, 16 * 16);
  SHARED_ARRAY(std::uint16_t, b, 16 * 16);  // columns 8 .. 15 are zero
  for (int i = self(); i < 256; i += 32) {
    a[i] = p.a[i];
    b[i] = i % 16 < 8 ? p.b[i / 16 * 8 + i % 16] : std::uint16_t{0};
  }
  sync_block();
  std::uint32_t fa[4], fb[4];
  const int row = lane() % 16, column = lane() / 16 * 8;
  load_matrices(fa, a + row * 16 + column);
  if (p.fragments == Fragments::not_transposed) {
    load_matrices(fb, b + row * 16 + column);
  } else {
    load_matrices_transposed(fb, b + row * 16 + column);
  }
  if (p.fragments == Fragments::wrong_lanes) std::swap(fa[1], fa[2]);
  float d[4] = {};
  const std::uint32_t pair[2] = {fb[0], fb[1]};
  if (p.fragments == Fragments::swapped) {
    const std::uint32_t turned[4] = {fb[0], fb[2], fb[1], fb[3]}, other[2] = {fa[0], fa[2]};
    mma_bf16(d, turned, other);
  } else {
    mma_bf16(d, fa, pair);
  }
  for (int i = 0; i < 4; ++i) p.out[(lane() / 4 + i / 2 * 8) * 8 + lane() % 4 * 2 + i % 2] = d[i];
}

bool product_is_right(Fragments fragments) {
  const Floats a_memory(128, true), b_memory(64, true), out(128, false);
  auto* a = reinterpret_cast<std::uint16_t*>(a_memory.get());
  auto* b = reinterpret_cast<std::uint16_t*>(b_memory.get());
  for (int i = 0; i < 256; ++i) a[i] = bf16_bits(static_cast<float>(i * 37 % 19) - 9);
  for (int i = 0; i < 128; ++i) b[i] = bf16_bits(static_cast<float>(i * 53 % 23) - 11);
  launch("multiply", multiply, dim3(1), dim3(32), 0, {a, b, out.get(), fragments});
  bool right = true;
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      float sum = 0;  // of small integers: exact
      for (int k = 0; k < 16; ++k)
        sum += as_float(static_cast<std::uint32_t>(a[i * 16 + k]) << 16) *
               as_float(static_cast<std::uint32_t>(b[k * 8 + j]) << 16);
      right = right && out.get()[i * 8 + j] == sum;
    }
  }
  return right;
}

TEST_CASE("simt: fragments in the wrong lanes, swapped or not transposed give a wrong product") {
  CHECK(product_is_right(Fragments::right));
  CHECK_FALSE(product_is_right(Fragments::wrong_lanes));
  CHECK_FALSE(product_is_right(Fragments::swapped));
  CHECK_FALSE(product_is_right(Fragments::not_transposed));
}

// --- Float sums in the order of arrival.

// What a float atomic would do; blocks run one at a time here.
__attribute__((no_sanitize("thread"), noinline)) void add_as_they_come(float* sum, float value) {
  *sum += value;
}

__global__ void sum_of_blocks(Plant a) {
  const float value = a.in[blockIdx.x] * (blockIdx.x % 2 ? 1e7f : 1.0f);
  if (self() > 0) return;
  if (a.broken) {
    add_as_they_come(a.out, value);
  } else {
    a.out[blockIdx.x] = value;
  }
}

float sum_under(Schedule schedule, bool broken) {
  const Floats in(64, true), out(64, true);
  std::fill_n(out.get(), 64, 0.0f);
  settings() = {.schedule = schedule, .workers = 1};
  launch("sum", sum_of_blocks, dim3(64), dim3(32), 0, {in.get(), out.get(), 64, broken});
  settings() = {};
  float sum = 0;
  for (int i = 0; i < 64; ++i) sum += out.get()[i];
  return sum;
}

TEST_CASE("simt: float sums in the order of arrival change with the schedule") {
  CHECK(sum_under({Order::forward}, false) == sum_under({Order::reversed}, false));
  const float first = sum_under({Order::forward}, true);
  bool differs = false;
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    differs = differs || sum_under({Order::random, seed}, true) != first;
  CHECK(differs);
}

}  // namespace
}  // namespace stp::simt

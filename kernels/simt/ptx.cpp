// What a warp does together: the host twins of mma and ldmatrix, all 32 lanes at once.
#include "kernels/simt/ptx.h"

#include "kernels/simt/checker.h"

namespace stp::simt {

namespace {

float bf16_half(std::uint32_t pair, int half) { return as_float(half ? pair & 0xffff0000u : pair << 16); }

// D += A B, the products added one after another: the hardware's order and rounding differ.
template <int K>
void multiply(float (&d)[16][8], const float (&a)[16][K], const float (&b)[K][8]) {
  if (kChecker.multiplied) kChecker.multiplied(2 * 16 * 8 * K);
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < 8; ++j) d[i][j] += a[i][k] * b[k][j];
}

void gather(float (&d)[16][8], void* const* payloads) {
  for (int lane = 0; lane < kWarp; ++lane) {
    const float* own = static_cast<const Mma*>(payloads[lane])->d;
    for (int i = 0; i < 4; ++i) d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = own[i];
  }
}

void scatter(const float (&d)[16][8], void* const* payloads) {
  for (int lane = 0; lane < kWarp; ++lane) {
    float* own = static_cast<const Mma*>(payloads[lane])->d;
    for (int i = 0; i < 4; ++i) own[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
}

}  // namespace

void mma_bf16_lanes(void* const* payloads) {
  float a[16][16], b[16][8], d[16][8];
  for (int lane = 0; lane < kWarp; ++lane) {
    const Mma& own = *static_cast<const Mma*>(payloads[lane]);
    const int g = lane / 4, c = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][2 * c + half + i / 2 * 8] = bf16_half(own.a[i], half);
      for (int i = 0; i < 2; ++i) b[2 * c + half + i * 8][g] = bf16_half(own.b[i], half);
    }
  }
  gather(d, payloads);
  multiply(d, a, b);
  scatter(d, payloads);
}

void mma_tf32_lanes(void* const* payloads) {
  // The hardware ignores the low 13 bits of an operand.
  const auto value = [](std::uint32_t bits) { return as_float(bits & ~0x1fffu); };
  float a[16][8], b[8][8], d[16][8];
  for (int lane = 0; lane < kWarp; ++lane) {
    const Mma& own = *static_cast<const Mma*>(payloads[lane]);
    const int g = lane / 4, c = lane % 4;
    for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][c + i / 2 * 4] = value(own.a[i]);
    for (int i = 0; i < 2; ++i) b[c + i * 4][g] = value(own.b[i]);
  }
  gather(d, payloads);
  multiply(d, a, b);
  scatter(d, payloads);
}

namespace {

std::uint16_t element(void* const* payloads, int matrix, int row, int column) {
  const auto* start = static_cast<const char*>(static_cast<const MatrixRow*>(payloads[matrix * 8 + row])->row);
  std::uint16_t value;
  std::memcpy(&value, start + 2 * column, 2);
  return value;
}

}  // namespace

void load_matrices_lanes(void* const* payloads) {
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int m = 0; m < 4; ++m) {
      const std::uint32_t low = element(payloads, m, lane / 4, lane % 4 * 2);
      const std::uint32_t high = element(payloads, m, lane / 4, lane % 4 * 2 + 1);
      static_cast<const MatrixRow*>(payloads[lane])->out[m] = low | high << 16;
    }
  }
}

void load_matrices_transposed_lanes(void* const* payloads) {
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int m = 0; m < 4; ++m) {
      const std::uint32_t low = element(payloads, m, lane % 4 * 2, lane / 4);
      const std::uint32_t high = element(payloads, m, lane % 4 * 2 + 1, lane / 4);
      static_cast<const MatrixRow*>(payloads[lane])->out[m] = low | high << 16;
    }
  }
}

}  // namespace stp::simt

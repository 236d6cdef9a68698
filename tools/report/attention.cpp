#include "tools/report/attention.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace stp {

namespace {

// Adds softmax(q k^T) of one head of one clip, summed over queries, to `received` (N). qkv: rows of 3 E values.
void add_head(std::span<const float> qkv, std::size_t head, std::size_t d, double scale,
              std::span<double> received) {
  const std::size_t N = received.size(), width = qkv.size() / N, E = width / 3;
  std::vector<double> row(N);
  for (std::size_t i = 0; i < N; ++i) {
    const float* q = qkv.data() + i * width + head * d;
    for (std::size_t j = 0; j < N; ++j) {
      const float* k = qkv.data() + j * width + E + head * d;
      double product = 0;
      for (std::size_t e = 0; e < d; ++e) product += static_cast<double>(q[e]) * static_cast<double>(k[e]);
      row[j] = scale * product;
    }
    const double highest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (double& v : row) sum += v = std::exp(v - highest);
    for (std::size_t j = 0; j < N; ++j) received[j] += row[j] / sum;
  }
}

}  // namespace

std::vector<float> attention_received(const Block& block, const Tensor& x) {
  const std::int64_t B = x.size(0), N = x.size(1), E = x.size(2);
  const std::vector<float> qkv = block.qkv.to_f32(nullptr, block.norm1(nullptr, x)).values();
  const auto heads = static_cast<std::size_t>(block.heads), d = static_cast<std::size_t>(E) / heads;
  const double scale = 1 / std::sqrt(static_cast<double>(block.attention.scale_by_width ? E : E / block.heads));
  std::vector<float> all;
  for (std::int64_t b = 0; b < B; ++b) {
    std::vector<double> received(static_cast<std::size_t>(N), 0.0);
    const auto clip =
        std::span(qkv).subspan(static_cast<std::size_t>(b * N * 3 * E), static_cast<std::size_t>(N * 3 * E));
    for (std::size_t h = 0; h < heads; ++h) add_head(clip, h, d, scale, received);
    for (const double r : received) all.push_back(static_cast<float>(r / static_cast<double>(heads)));
  }
  return all;
}

}  // namespace stp

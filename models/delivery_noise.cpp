#include "models/delivery_noise.h"

#include "engine/digest.h"
#include "engine/rng.h"

namespace stp {

namespace {

template <class T>
void add_part(Digest& digest, const std::vector<T>& values, std::size_t part, std::size_t parts) {
  const std::size_t size = values.size() / parts;
  digest.add(std::as_bytes(std::span(values).subspan(part * size, size)));
}

// Of each clip: its values, and where they are read from.
std::vector<std::uint64_t> digests_of(const ClipInput& input) {
  check(input.frames.pixels || input.clip, "delivery noise: no frames and no clip to draw it from");
  const auto B = static_cast<std::size_t>(input.batch());
  std::vector<Digest> digests(B);
  const auto add = [&](const auto& values) {
    for (std::size_t b = 0; b < B; ++b) add_part(digests[b], values, b, B);
  };
  if (input.clip) add(input.clip.values());
  if (input.frames.pixels) add(input.frames.pixels.values());
  if (input.frames.crop) add(input.frames.crop.values());
  if (input.frames.flip) add(input.frames.flip.values());
  std::vector<std::uint64_t> values;
  for (const Digest& d : digests) values.push_back(d.value());
  return values;
}

}  // namespace

std::vector<Tensor> delivery_noise(const ClipInput& input, std::int64_t N, std::size_t scorers) {
  const Backend backend = input.clip ? input.clip.backend() : input.frames.pixels.backend();
  const std::vector<std::uint64_t> seeds = digests_of(input);
  std::vector<Tensor> noise;
  for (std::size_t m = 0; m < scorers; ++m) {
    const std::uint64_t stream = stream_id("delivery", {m});
    std::vector<float> values;
    for (const std::uint64_t seed : seeds) {
      const std::vector<float> of_clip = gumbel_noise(backend, {N, 2}, seed, stream).values();
      values.insert(values.end(), of_clip.begin(), of_clip.end());
    }
    noise.push_back(Tensor::from(backend, {static_cast<std::int64_t>(seeds.size()), N, 2}, values));
  }
  return noise;
}

}  // namespace stp

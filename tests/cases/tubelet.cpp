// Between clips and tubelets.
#include "tests/op_case.h"

namespace stp::test {

namespace {

std::string text(const TubeletGeometry& g) {
  return fmt::format("B {} C {} {}x{}x{} by {}x{}x{} {}", g.B, g.C, g.T, g.Y, g.X, g.t, g.y, g.x,
                     g.layout == TubeletLayout::channels_first ? "channels first" : "channels last");
}

// Where each element of the tubelets (b, token, value) comes from in the clip (b, c, t, y, x).
std::vector<std::size_t> sources(const TubeletGeometry& g) {
  std::vector<std::size_t> from;
  const auto clip = [&](int b, int c, int t, int y, int x) {
    return static_cast<std::size_t>((((b * g.C + c) * g.T + t) * g.Y + y) * g.X + x);
  };
  for (int b = 0; b < g.B; ++b) {
    for (int s = 0; s < g.slots(); ++s) {
      for (int row = 0; row < g.Y / g.y; ++row) {
        for (int column = 0; column < g.X / g.x; ++column) {
          for (int i = 0; i < g.values(); ++i) {
            const bool first = g.layout == TubeletLayout::channels_first;
            const int pixel = first ? i % (g.t * g.y * g.x) : i / g.C,
                      c = first ? i / (g.t * g.y * g.x) : i % g.C;
            const int x = pixel % g.x, y = pixel / g.x % g.y, t = pixel / g.x / g.y;
            from.push_back(clip(b, c, s * g.t + t, row * g.y + y, column * g.x + x));
          }
        }
      }
    }
  }
  return from;
}

OpCase to_tubelets(const TubeletGeometry& g) {
  OpCase c;
  c.name = "clip_to_tubelets " + text(g);
  const Shape clip = {g.B, g.C, g.T, g.Y, g.X};
  c.inputs = {input("clip", clip, normal_values(c.name, clip))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    for (std::size_t i : sources(g)) out.push_back(in[0][i]);
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{clip_to_tubelets(tape, in[0], g)};
  };
  return c;
}

OpCase to_clip(const TubeletGeometry& g) {
  OpCase c;
  c.name = "tubelets_to_clip " + text(g);
  const Shape tubelets = {g.B, g.tokens(), g.values()};
  c.inputs = {input("tubelets", tubelets, normal_values(c.name, tubelets))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out(in[0].size());
    const std::vector<std::size_t> from = sources(g);
    for (std::size_t i = 0; i < from.size(); ++i) out[from[i]] = in[0][i];
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{tubelets_to_clip(tape, in[0], g)};
  };
  return c;
}

// Frames are bytes: they are part of the case, not an input. One clip is cropped and mirrored.
OpCase frames(const TubeletGeometry& g, int source_y, int source_x) {
  OpCase c;
  c.name = fmt::format("frames_to_tubelets {} of {}x{}", text(g), source_y, source_x);
  const Shape shape = {g.B, g.T, source_y, source_x, 3};
  std::vector<std::uint8_t> pixels;
  for (float u : uniform_values(c.name, shape, 0, 256)) pixels.push_back(static_cast<std::uint8_t>(u));
  std::vector<int> crop;
  std::vector<std::uint8_t> flip;
  for (int b = 0; b < g.B; ++b) {
    crop.insert(crop.end(), {(source_y - g.Y) * b / g.B, (source_x - g.X) * (b + 1) / g.B});
    flip.push_back(b % 2 == 1);
  }
  FrameBatch batch;
  const float mean[3] = {0.4f, 0.5f, 0.6f}, deviation[3] = {0.2f, 0.25f, 0.3f};
  std::copy(mean, mean + 3, batch.mean);
  std::copy(deviation, deviation + 3, batch.deviation);
  c.reference = [=](const std::vector<Doubles>&) {
    Doubles clip;
    for (int b = 0; b < g.B; ++b) {
      const std::size_t at = static_cast<std::size_t>(b);
      for (int channel = 0; channel < 3; ++channel) {
        for (int t = 0; t < g.T; ++t) {
          for (int y = 0; y < g.Y; ++y) {
            for (int x = 0; x < g.X; ++x) {
              const int column = crop[2 * at + 1] + (flip[at] ? g.X - 1 - x : x), row = crop[2 * at] + y;
              const int pixel = (((b * g.T + t) * source_y + row) * source_x + column) * 3 + channel;
              clip.push_back((pixels[static_cast<std::size_t>(pixel)] / 255.0 - mean[channel]) /
                             deviation[channel]);
            }
          }
        }
      }
    }
    Doubles out;
    for (std::size_t i : sources(g)) out.push_back(clip[i]);
    return std::vector<Doubles>{out};
  };
  c.inputs = {constant("clips", {g.B}, std::vector<float>(static_cast<std::size_t>(g.B)))};
  c.call = [=](Tape*, const std::vector<Tensor>& in) {
    const Backend& backend = in[0].backend();
    FrameBatch filled = batch;
    filled.pixels = Bytes::from(backend, shape, pixels);
    filled.crop = Indices::from(backend, {g.B, 2}, crop);
    filled.flip = Bytes::from(backend, {g.B}, flip);
    return std::vector<Tensor>{frames_to_tubelets(filled, g)};
  };
  return c;
}

OpCase bound(std::int64_t rows, bool rounded) {
  OpCase c;
  c.name = fmt::format("bound_pixels rows {}{}", rows, rounded ? " rounded" : "");
  const PixelRange range = {{-2.1f, -2.0f, -1.8f}, {2.2f, 2.4f, 2.6f}};
  c.inputs = {input("x", {rows, 3}, normal_values(c.name, {rows, 3}, 2))};
  const auto value = [=](const Doubles& x, bool eight_bits) {
    Doubles out;
    for (std::size_t i = 0; i < x.size(); ++i) {
      double s = 1 / (1 + std::exp(-x[i]));
      if (eight_bits) s = std::round(s * 255) / 255;
      out.push_back(range.low[i % 3] + (static_cast<double>(range.high[i % 3]) - range.low[i % 3]) * s);
    }
    return out;
  };
  c.reference = [=](const std::vector<Doubles>& in) { return std::vector<Doubles>{value(in[0], rounded)}; };
  c.differentiated = [=](const std::vector<Doubles>& in) { return std::vector<Doubles>{value(in[0], false)}; };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{bound_pixels(tape, in[0], range, rounded)};
  };
  return c;
}

std::vector<OpCase> tubelet_cases(Scale scale) {
  if (const int B = static_cast<int>(real_clips(scale))) {
    const TubeletGeometry first = {B, 3, 16, 112, 112, 2, 16, 16, TubeletLayout::channels_first};
    const TubeletGeometry last = {B, 3, 16, 112, 112, 2, 16, 16, TubeletLayout::channels_last};
    return {to_tubelets(first), to_clip(last), frames(first, 112, 112), bound(B * 392LL * 512, true)};
  }
  std::vector<OpCase> cases;
  for (const TubeletLayout layout : {TubeletLayout::channels_first, TubeletLayout::channels_last}) {
    for (const TubeletGeometry& g :
         {TubeletGeometry{1, 1, 1, 1, 1, 1, 1, 1, layout}, TubeletGeometry{2, 3, 4, 6, 9, 2, 3, 3, layout},
          TubeletGeometry{1, 2, 6, 4, 4, 3, 2, 4, layout}}) {
      cases.push_back(to_tubelets(g));
      cases.push_back(to_clip(g));
    }
    cases.push_back(frames({2, 3, 4, 6, 9, 2, 3, 3, layout}, 8, 13));
    for (const int x : {4, 16}) {  // a row of a tubelet is whole runs of four
      const TubeletGeometry wide = {2, 3, 2, 4, 2 * x, 2, 4, x, layout};
      cases.push_back(to_tubelets(wide));
      cases.push_back(to_clip(wide));
      cases.push_back(frames(wide, 5, 2 * x + 3));
    }
  }
  cases.push_back(bound(17, false));
  cases.push_back(bound(17, true));
  return cases;
}

OP_CASES(tubelet_cases);

}  // namespace

}  // namespace stp::test

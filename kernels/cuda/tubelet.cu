// Between clips and tubelets: copies, with decoding of frames and bounding of pixels beside them.
//
// Plan: a block owns a tubelet, a thread pixels of it. Where the tubelet's rows are whole quads of pixels in
// three colours (every configuration of the models), a thread owns a quad: four neighbours in a row, all
// colours. In the clip that is one 16-byte access for each colour, in the tubelet as well (channels first) or
// 48 bytes in three accesses (channels last), in a frame 12 bytes. Otherwise a thread owns single pixels.
#include "kernels/tubelet.h"

#include "kernels/cuda/rows.cuh"

namespace stp::STP_ROOM {
namespace {

constexpr int kThreads = 128;
constexpr int kColours = 3;

// The tubelet of this block: its clip, its first frame, row and column, and its pixels of one channel.
struct Tubelet {
  std::int64_t token;  // among those of all clips
  int b, t, y, x;
  int pixels;
};
__device__ __forceinline__ Tubelet tubelet_of_block(const TubeletGeometry& g) {
  const int token = static_cast<int>(blockIdx.x), columns = g.X / g.x, rows = g.Y / g.y;
  const int row = token / columns, slot = row / rows, b = slot / g.slots();
  return {
      token,          b, (slot - b * g.slots()) * g.t, (row - slot * rows) * g.y, (token - row * columns) * g.x,
      g.t * g.y * g.x};
}

// A pixel's place in the clip, from its number within the tubelet.
struct Place {
  int t, y, x;
};
__device__ __forceinline__ Place place_of(const TubeletGeometry& g, const Tubelet& tubelet, int pixel) {
  const int row = pixel / g.x, frame = row / g.y;
  return {tubelet.t + frame, tubelet.y + row - frame * g.y, tubelet.x + pixel - row * g.x};
}
__device__ __forceinline__ std::int64_t plane_of(const TubeletGeometry& g) {
  return static_cast<std::int64_t>(g.T) * g.Y * g.X;
}
// The place's first channel in the clip (B, C, T, Y, X); the others are a plane apart.
__device__ __forceinline__ std::int64_t in_clip(const TubeletGeometry& g, int b, const Place& p) {
  return b * g.C * plane_of(g) + (static_cast<std::int64_t>(p.t) * g.Y + p.y) * g.X + p.x;
}
__device__ __forceinline__ bool channels_last(const TubeletGeometry& g) {
  return g.layout == TubeletLayout::channels_last;
}
// A value's number within its tubelet.
__device__ __forceinline__ int in_tubelet(const TubeletGeometry& g, const Tubelet& tubelet, int pixel, int c) {
  return channels_last(g) ? pixel * g.C + c : c * tubelet.pixels + pixel;
}

// body(number of the first pixel, its place) for the thread's runs of V pixels in a row.
template <int V, class Body>
__device__ __forceinline__ void for_pixels(const TubeletGeometry& g, const Tubelet& tubelet, const Body& body) {
  for (int pixel = V * static_cast<int>(threadIdx.x); pixel < tubelet.pixels;
       pixel += V * static_cast<int>(blockDim.x))
    body(pixel, place_of(g, tubelet, pixel));
}

// --- Quads.

struct Quad {
  Run<4> colour[kColours];  // of four pixels each
};

// A quad as it lies in a tubelet: in channels_last value i is colour i % 3 of pixel i / 3.
template <class T>
__device__ __forceinline__ Quad load_quad(const TubeletGeometry& g, const T* tubelet, int pixels, int pixel) {
  Quad quad;
  for (int c = 0; c < kColours; ++c) {
    if (!channels_last(g)) {
      quad.colour[c] = load_run<4>(tubelet + c * pixels + pixel);
      continue;
    }
    const Run<4> mixed = load_run<4>(tubelet + kColours * pixel + 4 * c);
    for (int k = 0; k < 4; ++k) quad.colour[(4 * c + k) % kColours].at[(4 * c + k) / kColours] = mixed.at[k];
  }
  return quad;
}
template <class T>
__device__ __forceinline__ void put_quad(const TubeletGeometry& g, T* tubelet, int pixels, int pixel, bool add,
                                         const Quad& quad) {
  for (int c = 0; c < kColours; ++c) {
    if (!channels_last(g)) {
      contribute_run<4>(tubelet + c * pixels + pixel, add, quad.colour[c]);
      continue;
    }
    Run<4> mixed;
    for (int k = 0; k < 4; ++k) mixed.at[k] = quad.colour[(4 * c + k) % kColours].at[(4 * c + k) / kColours];
    contribute_run<4>(tubelet + kColours * pixel + 4 * c, add, mixed);
  }
}

// --- Copies. V = 4: quads; V = 1: single pixels of any number of channels.

template <class T, int V>
__global__ void __launch_bounds__(kThreads) clip_to_tubelets_kernel(ClipToTubelets a) {
  const TubeletGeometry& g = a.geometry;
  const Tubelet tubelet = tubelet_of_block(g);
  T* to = typed<T>(a.to) + tubelet.token * g.values();
  for_pixels<V>(g, tubelet, [&](int pixel, const Place& place) {
    const float* from = a.clip + in_clip(g, tubelet.b, place);
    if constexpr (V == 4) {
      Quad quad;
      for (int c = 0; c < kColours; ++c) quad.colour[c] = load_run<4>(from + c * plane_of(g));
      put_quad(g, to, tubelet.pixels, pixel, a.to.add, quad);
    } else {
      for (int c = 0; c < g.C; ++c)
        contribute(to + in_tubelet(g, tubelet, pixel, c), a.to.add, from[c * plane_of(g)]);
    }
  });
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads) tubelets_to_clip_kernel(TubeletsToClip a) {
  const TubeletGeometry& g = a.geometry;
  const Tubelet tubelet = tubelet_of_block(g);
  const T* from = typed<T>(a.tubelets) + tubelet.token * g.values();
  for_pixels<V>(g, tubelet, [&](int pixel, const Place& place) {
    float* to = a.to.f32() + in_clip(g, tubelet.b, place);
    if constexpr (V == 4) {
      const Quad quad = load_quad(g, from, tubelet.pixels, pixel);
      for (int c = 0; c < kColours; ++c) contribute_run<4>(to + c * plane_of(g), a.to.add, quad.colour[c]);
    } else {
      for (int c = 0; c < g.C; ++c)
        contribute(to + c * plane_of(g), a.to.add, load(from + in_tubelet(g, tubelet, pixel, c)));
    }
  });
}

// --- Frames. value = (pixel / 255 - mean) / deviation = pixel scale + shift.

struct Frames {
  FramesToTubelets a;
  float scale[kColours], shift[kColours];
};

// The bytes of four pixels in memory order, in words where they begin at one.
__device__ __forceinline__ void load_pixels(const std::uint8_t* p, std::uint32_t (&bytes)[12]) {
  if (reinterpret_cast<std::uintptr_t>(p) % 4 == 0) {
    const auto* words = reinterpret_cast<const std::uint32_t*>(p);
    for (int w = 0; w < 3; ++w) {
      const std::uint32_t word = words[w];
      for (int k = 0; k < 4; ++k) bytes[4 * w + k] = word >> (8 * k) & 0xff;
    }
  } else {
    for (int i = 0; i < 12; ++i) bytes[i] = p[i];
  }
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads) frames_to_tubelets_kernel(Frames f) {
  const FramesToTubelets& a = f.a;
  const TubeletGeometry& g = a.geometry;
  const Tubelet tubelet = tubelet_of_block(g);
  const int crop_y = a.crop ? a.crop[2 * tubelet.b] : 0, crop_x = a.crop ? a.crop[2 * tubelet.b + 1] : 0;
  const bool flip = a.flip && a.flip[tubelet.b] != 0;
  T* to = typed<T>(a.to) + tubelet.token * g.values();
  for_pixels<V>(g, tubelet, [&](int pixel, const Place& place) {
    const std::int64_t frame = static_cast<std::int64_t>(tubelet.b) * g.T + place.t;
    const std::int64_t row = frame * a.source_y + crop_y + place.y;
    // The leftmost of the V pixels; where they are mirrored that is the last of the run.
    const int column = crop_x + (flip ? g.X - V - place.x : place.x);
    const std::uint8_t* from = a.frames + (row * a.source_x + column) * kColours;
    if constexpr (V == 4) {
      std::uint32_t bytes[12];
      load_pixels(from, bytes);
      Quad quad;
      for (int c = 0; c < kColours; ++c) {
        for (int k = 0; k < 4; ++k) {
          const std::uint32_t byte = flip ? bytes[kColours * (3 - k) + c] : bytes[kColours * k + c];
          quad.colour[c].at[k] = static_cast<float>(byte) * f.scale[c] + f.shift[c];
        }
      }
      put_quad(g, to, tubelet.pixels, pixel, false, quad);
    } else {
      for (int c = 0; c < kColours; ++c)
        store(to + in_tubelet(g, tubelet, pixel, c), static_cast<float>(from[c]) * f.scale[c] + f.shift[c]);
    }
  });
}

// --- Bounded pixels.

constexpr int kBoundThreads = 256;
constexpr int kMostChannels = 4;

__device__ __forceinline__ float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x >= 0 ? 1.0f : e) / (1.0f + e);
}

// A value by channel, by comparisons: an index known only at run time would put the array into memory.
__device__ __forceinline__ float of_channel(const float (&values)[kMostChannels], int c) {
  const float low = c == 0 ? values[0] : values[1], high = c == 2 ? values[2] : values[3];
  return c < 2 ? low : high;
}

template <class T, int V>
__global__ void __launch_bounds__(kBoundThreads) bound_pixels_forward_kernel(BoundPixelsForward a) {
  for_runs<V>(a.rows * a.C, [&](std::int64_t i) {
    Run<V> x = load_run<V>(typed<T>(a.x) + i);
    int c = static_cast<int>(i % a.C);
    for (int k = 0; k < V; ++k) {
      float s = sigmoid(x.at[k]);
      if (a.rounded) s = roundf(s * 255.0f) / 255.0f;
      const float low = of_channel(a.low, c);
      x.at[k] = low + (of_channel(a.high, c) - low) * s;
      c = c + 1 == a.C ? 0 : c + 1;
    }
    store_run<V>(typed<T>(a.out) + i, x);
  });
}

// forward: out = low + (high - low) s(x), the rounding passing its gradient straight through; so
// dx += dout (high - low) s (1 - s). dx may be dout itself.
template <class T, int V>
__global__ void __launch_bounds__(kBoundThreads) bound_pixels_backward_kernel(BoundPixelsBackward a) {
  for_runs<V>(a.rows * a.C, [&](std::int64_t i) {
    const Run<V> x = load_run<V>(typed<T>(a.x) + i);
    Run<V> d = load_run<V>(typed<T>(a.dout) + i);
    int c = static_cast<int>(i % a.C);
    for (int k = 0; k < V; ++k) {
      const float s = sigmoid(x.at[k]);
      d.at[k] *= (of_channel(a.high, c) - of_channel(a.low, c)) * s * (1.0f - s);
      c = c + 1 == a.C ? 0 : c + 1;
    }
    contribute_run<V>(typed<T>(a.dx) + i, a.dx.add, d);
  });
}

// --- Launches.

bool in_quads(const TubeletGeometry& g) { return g.C == kColours && g.x % 4 == 0; }

dim3 grid_of_tubelets(const TubeletGeometry& g) { return dim3(static_cast<unsigned>(g.B * g.tokens())); }
// Whole warps, no more than a tubelet has runs for.
dim3 block_of_tubelet(const TubeletGeometry& g, int run) {
  const int warps = (g.t * g.y * g.x / run + kLanes - 1) / kLanes;
  return dim3(static_cast<unsigned>(kLanes * (warps < kThreads / kLanes ? warps : kThreads / kLanes)));
}

dim3 grid_of_values(std::int64_t count, int run) {
  return dim3(blocks_for((count + run - 1) / run, kBoundThreads));
}

}  // namespace

void clip_to_tubelets(const ClipToTubelets& a) {
  if (!a.to) return;
  const TubeletGeometry& g = a.geometry;
  by_type(a.to.type, [&](auto type) {
    by_run(in_quads(g) && fits_four(a.clip) && fits_four(a.to), [&](auto run) {
      launch("clip_to_tubelets", clip_to_tubelets_kernel<decltype(type), run()>, grid_of_tubelets(g),
             block_of_tubelet(g, run()), 0, a);
    });
  });
}

void tubelets_to_clip(const TubeletsToClip& a) {
  if (!a.to) return;
  const TubeletGeometry& g = a.geometry;
  by_type(a.tubelets.type, [&](auto type) {
    by_run(in_quads(g) && fits_four(a.tubelets) && fits_four(a.to), [&](auto run) {
      launch("tubelets_to_clip", tubelets_to_clip_kernel<decltype(type), run()>, grid_of_tubelets(g),
             block_of_tubelet(g, run()), 0, a);
    });
  });
}

void frames_to_tubelets(const FramesToTubelets& a) {
  const TubeletGeometry& g = a.geometry;
  Frames f = {a, {}, {}};
  for (int c = 0; c < kColours; ++c) {
    f.scale[c] = 1.0f / (255.0f * a.deviation[c]);
    f.shift[c] = -a.mean[c] / a.deviation[c];
  }
  by_type(a.to.type, [&](auto type) {
    by_run(in_quads(g) && fits_four(a.to), [&](auto run) {
      launch("frames_to_tubelets", frames_to_tubelets_kernel<decltype(type), run()>, grid_of_tubelets(g),
             block_of_tubelet(g, run()), 0, f);
    });
  });
}

void bound_pixels_forward(const BoundPixelsForward& a) {
  const std::int64_t count = a.rows * a.C;
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(count, a.x, a.out), [&](auto run) {
      launch("bound_pixels_forward", bound_pixels_forward_kernel<decltype(type), run()>,
             grid_of_values(count, run()), dim3(kBoundThreads), 0, a);
    });
  });
}

void bound_pixels_backward(const BoundPixelsBackward& a) {
  if (!a.dx) return;
  const std::int64_t count = a.rows * a.C;
  by_type(a.x.type, [&](auto type) {
    by_run(in_fours(count, a.x, a.dout, a.dx), [&](auto run) {
      launch("bound_pixels_backward", bound_pixels_backward_kernel<decltype(type), run()>,
             grid_of_values(count, run()), dim3(kBoundThreads), 0, a);
    });
  });
}

}  // namespace stp::STP_ROOM

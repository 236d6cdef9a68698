// Pooling, up-sampling, activations, sums and the joining and turning of channels.
#include <algorithm>

#include "tests/op_case.h"

namespace stp::test {

namespace {

struct Image {
  std::int64_t B, C, Y, X;
  Shape shape() const { return {B, C, Y, X}; }
  std::string text() const { return fmt::format("{} x {} x {} x {}", B, C, Y, X); }
};

// A case of one differentiable input.
OpCase unary(const std::string& name, const Shape& x, const std::function<Doubles(const Doubles&)>& reference,
             const std::function<Tensor(Tape*, const Tensor&)>& call) {
  OpCase c;
  c.name = name;
  c.inputs = {input("x", x, normal_values(name, x))};
  c.reference = [=](const std::vector<Doubles>& in) { return std::vector<Doubles>{reference(in[0])}; };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) { return std::vector<Tensor>{call(tape, in[0])}; };
  return c;
}

// ---- pooling

// fold(values of the window that lie on the image) for each window.
Doubles windows(const Doubles& image, const Image& s, const Window& w,
                const std::function<double(const Doubles&)>& fold) {
  const int Y = static_cast<int>(s.Y), X = static_cast<int>(s.X);
  Doubles out;
  for (std::int64_t plane = 0; plane < s.B * s.C; ++plane)
    for (int top = -w.padding; top + w.rows <= Y + w.padding; top += w.stride)
      for (int left = -w.padding; left + w.columns <= X + w.padding; left += w.stride) {
        Doubles values;
        for (int y = std::max(top, 0); y < std::min(top + w.rows, Y); ++y)
          for (int x = std::max(left, 0); x < std::min(left + w.columns, X); ++x)
            values.push_back(image[static_cast<std::size_t>((plane * Y + y) * X + x)]);
        out.push_back(fold(values));
      }
  return out;
}

std::string text_of(const Window& w) {
  return fmt::format(" by {} x {} stride {} padding {}", w.rows, w.columns, w.stride, w.padding);
}

OpCase max_pool_case(const Image& s, const Window& w) {
  const auto highest = [](const Doubles& v) { return *std::max_element(v.begin(), v.end()); };
  return unary(
      "max_pool " + s.text() + text_of(w), s.shape(),
      [=](const Doubles& x) { return windows(x, s, w, highest); },
      [=](Tape* tape, const Tensor& x) { return max_pool(tape, x, w); });
}

OpCase average_pool_case(const Image& s, const Window& w) {
  const auto mean = [size = w.size()](const Doubles& values) {
    double sum = 0;
    for (const double v : values) sum += v;
    return sum / size;
  };
  return unary(
      "average_pool " + s.text() + text_of(w), s.shape(),
      [=](const Doubles& x) { return windows(x, s, w, mean); },
      [=](Tape* tape, const Tensor& x) { return average_pool(tape, x, w); });
}

OpCase global_average_case(const Image& s) {
  OpCase c = average_pool_case(s, {static_cast<int>(s.Y), static_cast<int>(s.X)});
  c.name = "global_average " + s.text();
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{global_average(tape, in[0])};
  };
  return c;
}

// Values that occur again and again: only the first of the highest may get the gradient. The definition moves
// each by less than any two differ, the earlier the higher.
OpCase ties_case() {
  const Image s = {2, 2, 6, 5};
  const Window w = {3, 3, 2, 1};
  OpCase c = max_pool_case(s, w);
  c.name += " with ties";
  c.inputs[0].values = binary_values(c.name, s.shape(), 0.5);
  const auto reference = c.reference;
  c.differentiated = [=](const std::vector<Doubles>& in) {
    Doubles x = in[0];
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] -= 0.1 * static_cast<double>(i) / static_cast<double>(x.size());
    return reference({x});
  };
  return c;
}

// ---- up-sampling

double position_of(std::int64_t place, std::int64_t inputs, std::int64_t outputs, bool align_corners) {
  const double in = static_cast<double>(inputs), out = static_cast<double>(outputs),
               p = static_cast<double>(place);
  if (align_corners) return outputs > 1 ? p * (in - 1) / (out - 1) : 0;
  return std::max(0.0, (p + 0.5) * in / out - 0.5);
}

// The image at a point, (y, x) in rows and columns; beyond the last it stays as it is.
double blend(const double* image, std::int64_t Y, std::int64_t X, double y, double x) {
  double sum = 0;
  for (std::int64_t i = 0; i < Y; ++i)
    for (std::int64_t j = 0; j < X; ++j) {
      const double from_y = std::abs(std::min(y, static_cast<double>(Y - 1)) - static_cast<double>(i));
      const double from_x = std::abs(std::min(x, static_cast<double>(X - 1)) - static_cast<double>(j));
      sum += image[i * X + j] * std::max(0.0, 1 - from_y) * std::max(0.0, 1 - from_x);
    }
  return sum;
}

OpCase upsample_case(const Image& s, std::int64_t Y, std::int64_t X, bool align_corners) {
  const auto reference = [=](const Doubles& x) {
    Doubles out;
    for (std::int64_t plane = 0; plane < s.B * s.C; ++plane)
      for (std::int64_t r = 0; r < Y; ++r)
        for (std::int64_t c = 0; c < X; ++c)
          out.push_back(blend(x.data() + plane * s.Y * s.X, s.Y, s.X, position_of(r, s.Y, Y, align_corners),
                              position_of(c, s.X, X, align_corners)));
    return out;
  };
  return unary(fmt::format("upsample {} to {} x {}{}", s.text(), Y, X, align_corners ? " corners" : ""),
               s.shape(), reference,
               [=](Tape* tape, const Tensor& x) { return upsample(tape, x, Y, X, align_corners); });
}

// ---- the rest

OpCase elementwise_case(const std::string& name, const Shape& shape, double (*function)(double),
                        const std::function<Tensor(Tape*, const Tensor&)>& call) {
  const auto reference = [=](const Doubles& x) {
    Doubles out;
    for (const double v : x) out.push_back(function(v));
    return out;
  };
  return unary(name + " " + shape.text(), shape, reference, call);
}

void add_elementwise(std::vector<OpCase>& cases, const Shape& shape) {
  cases.push_back(elementwise_case(
      "relu", shape, [](double x) { return x > 0 ? x : 0.0; },
      [](Tape* t, const Tensor& x) { return relu(t, x); }));
  cases.push_back(elementwise_case(
      "sigmoid", shape, [](double x) { return 1 / (1 + std::exp(-x)); },
      [](Tape* t, const Tensor& x) { return sigmoid(t, x); }));
  cases.push_back(elementwise_case(
      "sigmoid as tanh", shape, [](double x) { return (std::tanh(x) + 1) / 2; },
      [](Tape* t, const Tensor& x) { return sigmoid(t, x, 2); }));
}

OpCase add_case(const Shape& shape) {
  OpCase c;
  c.name = "add " + shape.text();
  c.inputs = {activation("a", shape, normal_values(c.name + "a", shape)),
              activation("b", shape, normal_values(c.name + "b", shape))};
  c.reference = [](const std::vector<Doubles>& in) {
    Doubles out = in[0];
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += in[1][i];
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{add(tape, in[0], in[1])};
  };
  return c;
}

OpCase concatenate_case(const Image& a, std::int64_t more) {
  OpCase c;
  c.name = fmt::format("concatenate_channels {} and {}", a.text(), more);
  const Shape b = {a.B, more, a.Y, a.X};
  c.inputs = {input("a", a.shape(), normal_values(c.name + "a", a.shape())),
              input("b", b, normal_values(c.name + "b", b))};
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out;
    const std::int64_t first = a.C * a.Y * a.X, second = more * a.Y * a.X;
    for (std::int64_t i = 0; i < a.B; ++i) {
      out.insert(out.end(), in[0].begin() + i * first, in[0].begin() + (i + 1) * first);
      out.insert(out.end(), in[1].begin() + i * second, in[1].begin() + (i + 1) * second);
    }
    return std::vector<Doubles>{out};
  };
  c.call = [](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{concatenate_channels(tape, in[0], in[1])};
  };
  return c;
}

OpCase swap_axes_case(const Image& s) {
  const auto reference = [=](const Doubles& x) {
    Doubles out;
    for (std::int64_t a = 0; a < s.B; ++a)
      for (std::int64_t q = 0; q < s.Y; ++q)
        for (std::int64_t p = 0; p < s.C; ++p)
          for (std::int64_t i = 0; i < s.X; ++i)
            out.push_back(x[static_cast<std::size_t>(((a * s.C + p) * s.Y + q) * s.X + i)]);
    return out;
  };
  return unary("swap_axes " + s.text(), s.shape(), reference,
               [](Tape* tape, const Tensor& x) { return swap_axes(tape, x); });
}

std::vector<OpCase> real_cases(std::int64_t clips) {
  const Image s = {clips * 16, 64, 56, 56};
  std::vector<OpCase> cases = {max_pool_case(s, {3, 3, 2, 1}),
                               average_pool_case(s, {2, 2, 2}),
                               global_average_case({s.B, 512, 7, 7}),
                               upsample_case({s.B, 64, 28, 28}, 56, 56, true),
                               concatenate_case(s, 64),
                               swap_axes_case({clips, 3, 16, 112 * 112}),
                               add_case(s.shape())};
  add_elementwise(cases, s.shape());
  return cases;
}

std::vector<OpCase> image_cases(Scale scale) {
  if (const std::int64_t clips = real_clips(scale)) return real_cases(clips);
  std::vector<OpCase> cases = {concatenate_case({2, 3, 3, 5}, 2),
                               concatenate_case({3, 1, 4, 5}, 6),
                               concatenate_case({1, 4, 1, 1}, 1),
                               swap_axes_case({2, 3, 5, 7}),
                               swap_axes_case({3, 2, 4, 8}),
                               swap_axes_case({1, 1, 1, 1}),
                               add_case({3, 7}),
                               add_case({2, 3, 16, 11}),
                               global_average_case({3, 5, 7, 7}),
                               global_average_case({2, 2, 1, 1}),
                               ties_case()};
  for (const Shape& shape : {Shape{1}, Shape{31}, Shape{2, 3, 4, 44}}) add_elementwise(cases, shape);
  for (const Window& w : {Window{2, 2, 2}, Window{3, 3, 2, 1}, Window{1, 3, 1}, Window{2, 3, 3, 1}})
    for (const Image& s : {Image{2, 3, 6, 8}, Image{1, 2, 7, 5}}) {
      cases.push_back(max_pool_case(s, w));
      cases.push_back(average_pool_case(s, w));
    }
  for (const bool corners : {false, true}) {
    cases.push_back(upsample_case({2, 3, 4, 5}, 8, 10, corners));
    cases.push_back(upsample_case({1, 2, 3, 5}, 7, 4, corners));
    cases.push_back(upsample_case({1, 1, 1, 1}, 3, 2, corners));
    cases.push_back(upsample_case({1, 2, 9, 10}, 4, 1, corners));
    cases.push_back(upsample_case({1, 1, 2, 3}, 1, 33, corners));
    cases.push_back(upsample_case({1, 2, 4, 4}, 4, 4, corners));
  }
  return cases;
}

OP_CASES(image_cases);

}  // namespace

}  // namespace stp::test

// Convolution and transposed convolution.
#include "tests/op_case.h"

namespace stp::test {

namespace {

struct ConvolutionSizes {
  int B, I, Y, X, O, rows, columns, stride, padding;

  int out_Y() const { return (Y + 2 * padding - rows) / stride + 1; }
  int out_X() const { return (X + 2 * padding - columns) / stride + 1; }
  std::string text() const {
    return fmt::format("{} x {} x {} x {} to {} by {} x {} stride {} padding {}", B, I, Y, X, O, rows, columns,
                       stride, padding);
  }
};

std::size_t at(int b, int channels, int c, int Y, int y, int X, int x) {
  return static_cast<std::size_t>(((b * channels + c) * Y + y) * X + x);
}

// body(index of x, index of weight (O, I, rows, columns), index of out) for every product of a convolution.
template <class Body>
void for_products(const ConvolutionSizes& s, const Body& body) {
  for (int b = 0; b < s.B; ++b)
    for (int o = 0; o < s.O; ++o)
      for (int i = 0; i < s.I; ++i)
        for (int out_y = 0; out_y < s.out_Y(); ++out_y)
          for (int out_x = 0; out_x < s.out_X(); ++out_x)
            for (int r = 0; r < s.rows; ++r)
              for (int c = 0; c < s.columns; ++c) {
                const int y = out_y * s.stride + r - s.padding, x = out_x * s.stride + c - s.padding;
                if (y < 0 || y >= s.Y || x < 0 || x >= s.X) continue;
                body(at(b, s.I, i, s.Y, y, s.X, x), at(o, s.I, i, s.rows, r, s.columns, c),
                     at(b, s.O, o, s.out_Y(), out_y, s.out_X(), out_x));
              }
}

// (B, channels, n) full of a bias; zero where it is not given.
Doubles filled(int B, int channels, int n, const Doubles* bias) {
  Doubles out;
  for (int b = 0; b < B; ++b)
    for (int c = 0; c < channels; ++c)
      out.insert(out.end(), static_cast<std::size_t>(n), bias ? (*bias)[static_cast<std::size_t>(c)] : 0.0);
  return out;
}

OpCase convolution_case(const ConvolutionSizes& s, bool bias) {
  OpCase c;
  c.name = "convolution " + s.text() + (bias ? " bias" : "");
  const double deviation = 1 / std::sqrt(static_cast<double>(s.I * s.rows * s.columns));
  const Shape x = {s.B, s.I, s.Y, s.X}, w = {s.O, s.I, s.rows, s.columns}, b = {s.O};
  c.inputs = {input("x", x, normal_values(c.name + "x", x)),
              input("weight", w, normal_values(c.name + "w", w, deviation))};
  if (bias) c.inputs.push_back(input("bias", b, normal_values(c.name + "b", b)));
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out = filled(s.B, s.O, s.out_Y() * s.out_X(), bias ? &in[2] : nullptr);
    for_products(s, [&](std::size_t i, std::size_t k, std::size_t o) { out[o] += in[0][i] * in[1][k]; });
    return std::vector<Doubles>{out};
  };
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{convolution(tape, in[0], in[1], bias ? in[2] : Tensor(), {s.stride, s.padding})};
  };
  return c;
}

// `s` is the convolution that goes the other way: x is as large as its result.
OpCase transposed_case(const ConvolutionSizes& s, bool bias) {
  OpCase c;
  c.name = "transposed_convolution back from " + s.text() + (bias ? " bias" : "");
  const double deviation = std::sqrt(s.stride * s.stride / static_cast<double>(s.O * s.rows * s.columns));
  const Shape x = {s.B, s.O, s.out_Y(), s.out_X()}, w = {s.O, s.I, s.rows, s.columns}, b = {s.I};
  c.inputs = {input("x", x, normal_values(c.name + "x", x)),
              input("weight", w, normal_values(c.name + "w", w, deviation))};
  if (bias) c.inputs.push_back(input("bias", b, normal_values(c.name + "b", b)));
  c.reference = [=](const std::vector<Doubles>& in) {
    Doubles out = filled(s.B, s.I, s.Y * s.X, bias ? &in[2] : nullptr);
    for_products(s, [&](std::size_t i, std::size_t k, std::size_t o) { out[i] += in[0][o] * in[1][k]; });
    return std::vector<Doubles>{out};
  };
  const int extra = s.Y + 2 * s.padding - s.rows - (s.out_Y() - 1) * s.stride;
  c.call = [=](Tape* tape, const std::vector<Tensor>& in) {
    return std::vector<Tensor>{
        transposed_convolution(tape, in[0], in[1], bias ? in[2] : Tensor(), {s.stride, s.padding}, extra)};
  };
  return c;
}

std::vector<OpCase> convolution_cases(Scale scale) {
  if (const int B = static_cast<int>(real_clips(scale)) * 16)
    return {convolution_case({B, 128, 28, 28, 128, 3, 3, 1, 1}, true),
            transposed_case({B, 64, 28, 28, 128, 3, 3, 2, 1}, true)};
  std::vector<OpCase> cases = {convolution_case({1, 1, 1, 1, 1, 1, 1, 1, 0}, true),
                               transposed_case({1, 1, 1, 1, 1, 1, 1, 1, 0}, true)};
  for (const ConvolutionSizes& s :
       {ConvolutionSizes{2, 3, 7, 9, 4, 3, 3, 1, 1}, ConvolutionSizes{2, 3, 8, 7, 5, 3, 3, 2, 1},
        ConvolutionSizes{1, 17, 5, 6, 16, 1, 1, 1, 0}, ConvolutionSizes{3, 4, 6, 5, 3, 2, 3, 2, 0}})
    for (const bool bias : {true, false}) cases.push_back(convolution_case(s, bias));
  cases.push_back(convolution_case({1, 2, 11, 10, 3, 9, 9, 1, 4}, true));
  cases.push_back(convolution_case({2, 8, 6, 5, 16, 1, 1, 2, 0}, false));
  cases.push_back(convolution_case({1, 16, 6, 7, 17, 3, 3, 1, 1}, true));
  for (const ConvolutionSizes& s :
       {ConvolutionSizes{2, 4, 8, 6, 3, 3, 3, 2, 1}, ConvolutionSizes{1, 3, 7, 9, 5, 3, 3, 2, 1},
        ConvolutionSizes{2, 16, 4, 4, 17, 2, 2, 2, 0}, ConvolutionSizes{1, 2, 5, 6, 3, 3, 2, 1, 0}})
    for (const bool bias : {true, false}) cases.push_back(transposed_case(s, bias));
  return cases;
}

OP_CASES(convolution_cases);

}  // namespace

}  // namespace stp::test

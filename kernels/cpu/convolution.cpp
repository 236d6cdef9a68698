// Convolution by oneDNN (library/convolution.h). Its backward primitives only write, so a gradient that is
// added to takes the way over scratch.
#include "kernels/convolution.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/cpu/library/convolution.h"
#include "kernels/table.h"

namespace stp::cpu {

namespace {

// write(place): all of a gradient of `count` elements.
template <class Write>
void contribute_all(const Grad& to, std::int64_t count, const Write& write) {
  if (!to.add) return write(to.f32());
  std::vector<float> made(static_cast<std::size_t>(count));
  write(made.data());
  accumulate({.from = {made.data()}, .to = to, .count = count});
}

}  // namespace

void convolution_forward(const ConvolutionForward& a) {
  if (a.sizes.B == 0) return;
  convolve(a.sizes, a.x, a.weight, a.bias, a.out.f32(), a.out.add);
}

void convolution_backward(const ConvolutionBackward& a) {
  const ConvolutionSizes& s = a.sizes;
  const std::int64_t weights = std::int64_t{1} * s.O * s.I * s.window.size();
  if (s.B == 0) {  // a sum over nothing
    if (a.dweight && !a.dweight.add) std::fill_n(a.dweight.f32(), weights, 0.0f);
    return;
  }
  if (a.dx) {
    contribute_all(a.dx, std::int64_t{1} * s.B * s.I * s.Y * s.X,
                   [&](float* dx) { convolve_to_input(s, a.dout, a.weight, dx); });
  }
  if (a.dweight) contribute_all(a.dweight, weights, [&](float* dw) { convolve_to_weight(s, a.x, a.dout, dw); });
}

}  // namespace stp::cpu

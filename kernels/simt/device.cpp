// The device `simt`: host memory with known bounds, the kernels of kernels/cuda under the executor, and in
// place of the device's libraries of matrix products and convolutions the processor's.
#include <cstring>
#include <vector>

#include "kernels/simt/ptx.h"
#include "kernels/table.h"

namespace stp::simt {

namespace {

void write(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;  // the null pointer of an empty tensor may not reach memcpy
  std::memcpy(to, from, bytes);
  note_written(to, bytes);
}

void zero(void* memory, std::size_t bytes) {
  if (bytes == 0) return;
  std::memset(memory, 0, bytes);
  note_written(memory, bytes);
}

void download(void* to_host, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to_host, from, bytes);
}

// Values as a product in tf32 takes them, and the memory of a copy where they had to be rounded.
class Operand {
 public:
  Operand(const In& values, std::int64_t count, Math math) : in_(values) {
    if (!values || values.type != Element::f32 || math == Math::exact) return;
    rounded_.assign(values.f32(), values.f32() + count);
    for (float& v : rounded_) v = as_float(to_tf32(v));
    in_.data = rounded_.data();
  }
  const In& in() const { return in_; }

 private:
  In in_;
  std::vector<float> rounded_;
};

void note_gradient(const Grad& grad, std::int64_t count) {
  if (grad) note_written(grad.data, static_cast<std::size_t>(count) * bytes_of(grad.type));
}

}  // namespace

DeviceMemory memory() {
  return {
      .allocate = allocate,
      .release = release,
      .zero = zero,
      .copy = write,
      .upload = write,
      .download = download,
      .wait = [] {},
      .allocate_host = cpu::memory().allocate_host,
      .release_host = cpu::memory().release_host,
      .upload_beside = write,
      .join_uploads = [] {},
      .wait_uploads = [] {},
  };
}

DeviceFacts facts() { return cpu::facts(); }

void linear_forward(const LinearForward& a) {
  const Operand x(a.x, a.rows * a.I, a.math), weight(a.weight, static_cast<std::int64_t>(a.O) * a.I, a.math);
  LinearForward rounded = a;
  rounded.x = x.in();
  rounded.weight = weight.in();
  cpu::linear_forward(rounded);
  note_written(a.out.data, static_cast<std::size_t>(a.rows * a.O) * bytes_of(a.out.type));
}

void linear_backward(const LinearBackward& a) {
  const Operand x(a.x, a.rows * a.I, a.math), weight(a.weight, static_cast<std::int64_t>(a.O) * a.I, a.math),
      dout(a.dout, a.rows * a.O, a.math);
  LinearBackward products = a;
  products.x = x.in();
  products.weight = weight.in();
  products.dout = dout.in();
  products.dbias = {};
  cpu::linear_backward(products);
  LinearBackward sums = a;  // of the values as they are
  sums.dx = sums.dweight = {};
  cpu::linear_backward(sums);
  note_gradient(a.dx, a.rows * a.I);
  note_gradient(a.dweight, static_cast<std::int64_t>(a.O) * a.I);
  note_gradient(a.dbias, a.O);
}

void convolution_forward(const ConvolutionForward& a) {
  cpu::convolution_forward(a);
  note_gradient(a.out, static_cast<std::int64_t>(a.sizes.outputs()));
}

void convolution_backward(const ConvolutionBackward& a) {
  cpu::convolution_backward(a);
  note_gradient(a.dx, static_cast<std::int64_t>(a.sizes.inputs()));
  note_gradient(a.dweight, static_cast<std::int64_t>(a.sizes.weights()));
}

}  // namespace stp::simt

// The device `simt`: host memory with known bounds, the kernels of kernels/cuda under the executor, and in
// place of the device's libraries of matrix products and convolutions the processor's.
#include <cstring>

#include "kernels/simt/executor.h"
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
  };
}

DeviceFacts facts() { return cpu::facts(); }

void linear_forward(const LinearForward& a) {
  cpu::linear_forward(a);
  note_written(a.out.data, static_cast<std::size_t>(a.rows * a.O) * bytes_of(a.out.type));
}

void linear_backward(const LinearBackward& a) {
  cpu::linear_backward(a);
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

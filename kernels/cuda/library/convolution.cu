// Convolution by cuDNN, in f32 without TF32. Of its algorithms those that are deterministic are asked for in
// the order the library advises, and the first that the workspace allows is taken. Built without cuDNN, these
// two kernels say so when they are called, and everything else works.
#include "kernels/convolution.h"

#include <stdexcept>

#include "kernels/cuda/library/device.h"
#include "kernels/table.h"

#ifdef STP_CUDNN

#include <cudnn.h>

#include <array>
#include <map>
#include <mutex>
#include <string>

namespace stp::cuda {

namespace {

constexpr std::size_t kScratchBytes = std::size_t{256} << 20;  // at most, for all convolutions together

void check_cudnn(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS)
    throw std::runtime_error(std::string("cuda: ") + what + ": " + cudnnGetErrorString(status));
}

cudnnHandle_t cudnn() {
  static const cudnnHandle_t handle = [] {
    cudnnHandle_t made = nullptr;
    check_cudnn(cudnnCreate(&made), "cuDNN");
    check_cudnn(cudnnSetStream(made, stream()), "cuDNN stream");
    return made;
  }();
  return handle;
}

// Made with the first use, never given back, one user at a time on the one stream.
void* scratch() {
  static void* const memory = [] {
    void* made = nullptr;
    check_cuda(cudaMalloc(&made, kScratchBytes), "workspace of convolutions");
    return made;
  }();
  return memory;
}

// A tensor of rank four, rows last.
class Layout {
 public:
  Layout(int n, int c, int h, int w) {
    check_cudnn(cudnnCreateTensorDescriptor(&layout_), "layout");
    check_cudnn(cudnnSetTensor4dDescriptor(layout_, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, n, c, h, w), "layout");
  }
  ~Layout() { cudnnDestroyTensorDescriptor(layout_); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  cudnnTensorDescriptor_t get() const { return layout_; }

 private:
  cudnnTensorDescriptor_t layout_ = nullptr;
};

template <class Algorithm>
struct Choice {
  Algorithm algorithm{};
  std::size_t bytes = 0;
};

// The first of the library's proposals that is deterministic, fits and computes in f32.
template <class Performance, std::size_t N>
auto first_usable(const std::array<Performance, N>& found, int count) {
  for (int i = 0; i < count; ++i) {
    const Performance& p = found[static_cast<std::size_t>(i)];
    const bool rounds =
        p.mathType == CUDNN_TENSOR_OP_MATH || p.mathType == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;
    if (p.status == CUDNN_STATUS_SUCCESS && p.determinism == CUDNN_DETERMINISTIC && p.memory <= kScratchBytes &&
        !rounds)
      return Choice<decltype(p.algo)>{p.algo, p.memory};
  }
  throw std::runtime_error("cuda: cuDNN has no deterministic algorithm for this convolution");
}

// A convolution made ready once.
class Plan {
 public:
  explicit Plan(const ConvolutionSizes& s)
      : x_(s.B, s.I, s.Y, s.X), bias_(1, s.O, 1, 1), out_(s.B, s.O, s.out_Y(), s.out_X()) {
    const Window& w = s.window;
    check_cudnn(cudnnCreateFilterDescriptor(&weight_), "weight");
    check_cudnn(
        cudnnSetFilter4dDescriptor(weight_, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, s.O, s.I, w.rows, w.columns),
        "weight");
    check_cudnn(cudnnCreateConvolutionDescriptor(&operation_), "convolution");
    check_cudnn(cudnnSetConvolution2dDescriptor(operation_, w.padding, w.padding, w.stride, w.stride, 1, 1,
                                                CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                "convolution");
    check_cudnn(cudnnSetConvolutionMathType(operation_, CUDNN_FMA_MATH), "convolution");
    choose();
  }
  ~Plan() {
    cudnnDestroyConvolutionDescriptor(operation_);
    cudnnDestroyFilterDescriptor(weight_);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  void forward(const float* x, const float* weight, const float* bias, const Grad& out) const {
    const float one = 1, before = out.add ? 1.0f : 0.0f;
    check_cudnn(
        cudnnConvolutionForward(cudnn(), &one, x_.get(), x, weight_, weight, operation_, forward_.algorithm,
                                scratch(), forward_.bytes, &before, out_.get(), out.data),
        "convolution");
    if (bias) check_cudnn(cudnnAddTensor(cudnn(), &one, bias_.get(), bias, &one, out_.get(), out.data), "bias");
  }
  void to_input(const float* dout, const float* weight, const Grad& dx) const {
    const float one = 1, before = dx.add ? 1.0f : 0.0f;
    check_cudnn(
        cudnnConvolutionBackwardData(cudnn(), &one, weight_, weight, out_.get(), dout, operation_,
                                     input_.algorithm, scratch(), input_.bytes, &before, x_.get(), dx.data),
        "convolution, dx");
  }
  void to_weight(const float* x, const float* dout, const Grad& dweight) const {
    const float one = 1, before = dweight.add ? 1.0f : 0.0f;
    check_cudnn(cudnnConvolutionBackwardFilter(cudnn(), &one, x_.get(), x, out_.get(), dout, operation_,
                                               to_weight_.algorithm, scratch(), to_weight_.bytes, &before,
                                               weight_, dweight.data),
                "convolution, dweight");
  }

 private:
  void choose() {
    int count = 0;
    std::array<cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_COUNT> forward{};
    check_cudnn(
        cudnnGetConvolutionForwardAlgorithm_v7(cudnn(), x_.get(), weight_, operation_, out_.get(),
                                               static_cast<int>(forward.size()), &count, forward.data()),
        "algorithm");
    forward_ = first_usable(forward, count);
    std::array<cudnnConvolutionBwdDataAlgoPerf_t, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> input{};
    check_cudnn(
        cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn(), weight_, out_.get(), operation_, x_.get(),
                                                    static_cast<int>(input.size()), &count, input.data()),
        "algorithm, dx");
    input_ = first_usable(input, count);
    std::array<cudnnConvolutionBwdFilterAlgoPerf_t, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> weight{};
    check_cudnn(
        cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn(), x_.get(), out_.get(), operation_, weight_,
                                                      static_cast<int>(weight.size()), &count, weight.data()),
        "algorithm, dweight");
    to_weight_ = first_usable(weight, count);
  }

  Layout x_, bias_, out_;
  cudnnFilterDescriptor_t weight_ = nullptr;
  cudnnConvolutionDescriptor_t operation_ = nullptr;
  Choice<cudnnConvolutionFwdAlgo_t> forward_;
  Choice<cudnnConvolutionBwdDataAlgo_t> input_;
  Choice<cudnnConvolutionBwdFilterAlgo_t> to_weight_;
};

// The plan of a convolution, made when it is first asked for: the same shapes come again in every step.
const Plan& plan_of(const ConvolutionSizes& s) {
  const Window& w = s.window;
  static std::mutex mutex;
  static std::map<std::array<int, 9>, Plan> plans;
  const std::lock_guard lock(mutex);
  const std::array<int, 9> key = {s.B, s.I, s.Y, s.X, s.O, w.rows, w.columns, w.stride, w.padding};
  return plans.try_emplace(key, s).first->second;
}

}  // namespace

void convolution_forward(const ConvolutionForward& a) {
  if (a.sizes.B > 0) plan_of(a.sizes).forward(a.x, a.weight, a.bias, a.out);
}

void convolution_backward(const ConvolutionBackward& a) {
  const ConvolutionSizes& s = a.sizes;
  if (s.B == 0) {  // a sum over nothing
    const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(s.weights());
    if (a.dweight && !a.dweight.add) check_cuda(cudaMemsetAsync(a.dweight.data, 0, bytes, stream()), "dweight");
    return;
  }
  if (a.dx) plan_of(s).to_input(a.dout, a.weight, a.dx);
  if (a.dweight) plan_of(s).to_weight(a.x, a.dout, a.dweight);
}

}  // namespace stp::cuda

#else

namespace stp::cuda {

namespace {
[[noreturn]] void refuse() {
  throw std::runtime_error(
      "cuda: convolution: this program was built without cuDNN; install it and configure again");
}
}  // namespace

void convolution_forward(const ConvolutionForward&) { refuse(); }
void convolution_backward(const ConvolutionBackward&) { refuse(); }

}  // namespace stp::cuda

#endif
